// Runs a fuzz target: under libFuzzer where this build has it (--config=fuzz), and else over its
// seeds and mutations of them by chance, as any test.
//   [--inputs N] [--seconds N] [--corpus FOLDER] [--artifacts PREFIX] [FILE...]
// Files are tried alone, and nothing else.

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "common/rng.h"
#include "tests/fuzz/target.h"

namespace shardmill::fuzz {
namespace {

constexpr size_t kBytesMax = 8192;

struct Arguments {
  uint64_t inputs = 20'000;
  uint64_t seconds = 0;  // 0: no bound.
  std::string corpus = {};
  std::string artifacts = "";  // Inputs that end the process: what their paths begin with.
  std::vector<std::string> files = {};
};

bool Parse(const std::vector<std::string>& words, Arguments& arguments) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (!words[i].starts_with("--")) {
      arguments.files.push_back(words[i]);
      continue;
    }
    if (i + 1 == words.size()) return false;
    const std::string& value = words[i + 1];
    if (words[i] == "--inputs") {
      arguments.inputs = std::strtoull(value.c_str(), nullptr, 10);
    } else if (words[i] == "--seconds") {
      arguments.seconds = std::strtoull(value.c_str(), nullptr, 10);
    } else if (words[i] == "--corpus") {
      arguments.corpus = value;
    } else if (words[i] == "--artifacts") {
      arguments.artifacts = value;
    } else {
      return false;
    }
    ++i;
  }
  return true;
}

#ifndef SHARDMILL_LIBFUZZER
void TryText(const std::string& text) {
  Try({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

void TryFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) std::fprintf(stderr, "%s: cannot be read\n", path.c_str());
  TryText({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
}
#else
// A folder that has the seeds and takes what the fuzzer finds; where none is named it is one of its
// own, and gone in the end. One thread.
class Corpus final {
 public:
  explicit Corpus(const std::string& named) : path_(named), own_(named.empty()) {
    if (own_) path_ = (std::filesystem::temp_directory_path() / "fuzz-XXXXXX").string();
    if (own_ && mkdtemp(path_.data()) == nullptr) std::abort();
    std::filesystem::create_directories(path_);
    const std::vector<std::string> seeds = Seeds();
    for (size_t i = 0; i < seeds.size(); ++i) {
      std::ofstream(path_ + "/seed-" + std::to_string(i), std::ios::binary) << seeds[i];
    }
  }
  ~Corpus() {
    std::error_code ignored;
    if (own_) std::filesystem::remove_all(path_, ignored);
  }
  Corpus(const Corpus&) = delete;
  Corpus& operator=(const Corpus&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool own_;
};

// What libFuzzer is told: its own words for ours.
std::vector<std::string> WordsOf(const Arguments& arguments, const std::string& program) {
  std::vector<std::string> words = {program,
                                    "-runs=" + std::to_string(arguments.inputs),
                                    "-max_total_time=" + std::to_string(arguments.seconds),
                                    "-max_len=" + std::to_string(kBytesMax),
                                    "-timeout=20",
                                    "-rss_limit_mb=4096",
                                    "-detect_leaks=0",  // After each input; at the end they are.
                                    "-entropic=0",  // Weighing the corpus took half of the time.
                                    "-reload=0",    // Nobody else writes to the folder.
                                    "-print_final_stats=1",
                                    "-artifact_prefix=" + arguments.artifacts};
  if (!arguments.files.empty()) {
    words.resize(1);
    words.insert(words.end(), arguments.files.begin(), arguments.files.end());
    return words;
  }
  static const Corpus corpus(arguments.corpus);  // Until the process ends.
  words.push_back(corpus.path());
  return words;
}
#endif

int Usage(const std::string& program) {
  std::fprintf(stderr,
               "usage: %s [--inputs N] [--seconds N] [--corpus FOLDER] [--artifacts PREFIX] "
               "[FILE...]\n",
               program.c_str());
  return 2;
}

#ifndef SHARDMILL_LIBFUZZER
std::string Mutated(Rng& rng, const std::vector<std::string>& seeds) {
  std::string text = seeds[rng.Below(seeds.size())];
  for (uint64_t changes = 1 + rng.Below(6); changes > 0; --changes) {
    const size_t at = rng.Below(text.size() + 1);
    const size_t size = rng.Below(std::min<size_t>(text.size() - at, 16) + 1);
    switch (rng.Below(5)) {
      case 0:
        text.resize(at);
        break;
      case 1:
        text.erase(at, size);
        break;
      case 2:
        text.insert(at, text.substr(at, size));
        break;
      case 3:
        text.insert(at, 1 + rng.Below(4), static_cast<char>(rng.Next()));
        break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(rng.Next());
    }
  }
  text.resize(std::min(text.size(), kBytesMax));
  return text;
}

int Run(const Arguments& arguments) {
  const std::vector<std::string> seeds = Seeds();
  for (const std::string& seed : seeds) TryText(seed);
  for (uint64_t input = 0; input < arguments.inputs; ++input) {
    Rng rng(Mix(input));
    TryText(Mutated(rng, seeds));
  }
  std::printf("%llu inputs and %zu seeds\n", static_cast<unsigned long long>(arguments.inputs),
              seeds.size());
  return 0;
}

int Main(const std::vector<std::string>& words, const std::string& program) {
  Arguments arguments;
  if (!Parse(words, arguments)) return Usage(program);
  for (const std::string& file : arguments.files) TryFile(file);
  return arguments.files.empty() ? Run(arguments) : 0;
}
#endif

}  // namespace
}  // namespace shardmill::fuzz

#ifdef SHARDMILL_LIBFUZZER
// What was freed stays unused for a while, and is read no more; the sanitizer's own bound for that,
// a quarter of a gigabyte, costs most of the speed.
extern "C" const char* __asan_default_options() {
  return "quarantine_size_mb=16:malloc_context_size=8";
}

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  static std::vector<std::string> words;
  static std::vector<char*> pointers;
  const std::string program = (*argv)[0];
  shardmill::fuzz::Arguments arguments;
  if (!shardmill::fuzz::Parse({*argv + 1, *argv + *argc}, arguments)) {
    std::exit(shardmill::fuzz::Usage(program));
  }
  words = shardmill::fuzz::WordsOf(arguments, program);
  for (std::string& word : words) pointers.push_back(word.data());
  *argc = static_cast<int>(pointers.size());
  pointers.push_back(nullptr);
  *argv = pointers.data();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  shardmill::fuzz::Try({data, size});
  return 0;
}
#else
int main(int argc, char** argv) {
  return shardmill::fuzz::Main(std::vector<std::string>(argv + 1, argv + argc), argv[0]);
}
#endif
