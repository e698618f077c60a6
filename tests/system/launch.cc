#include "tests/system/launch.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/run_folder.h"
#include "common/http/http_client.h"
#include "common/process/nobody.h"
#include "common/rng.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kPatience{60};
constexpr uint32_t kSide = 6;  // Of a picture, in pixels.
constexpr uint32_t kClasses = 4;

void PutBigEndian(std::ostream& out, uint32_t value) {
  for (const int shift : {24, 16, 8, 0}) out.put(static_cast<char>((value >> shift) & 0xFF));
}

// Class c lights row c of the picture, over noise.
void WritePart(const std::string& folder, const std::string& part, uint32_t count, Rng* rng) {
  std::ofstream images(folder + "/" + part + "-images-idx3-ubyte", std::ios::binary);
  std::ofstream labels(folder + "/" + part + "-labels-idx1-ubyte", std::ios::binary);
  PutBigEndian(images, 0x803);
  for (const uint32_t size : {count, kSide, kSide}) PutBigEndian(images, size);
  PutBigEndian(labels, 0x801);
  PutBigEndian(labels, count);
  for (uint32_t i = 0; i < count; ++i) {
    const auto label = static_cast<uint32_t>(rng->Below(kClasses));
    labels.put(static_cast<char>(label));
    for (uint32_t pixel = 0; pixel < kSide * kSide; ++pixel) {
      const uint64_t light = pixel / kSide == label ? 120 : 0;
      images.put(static_cast<char>(light + rng->Below(100)));
    }
  }
}

std::vector<std::string> CommandOf(const std::string& program,
                                   const std::vector<std::string>& arguments) {
  std::vector<std::string> argv{fs::current_path().string() + "/" + program};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return argv;
}

std::unique_ptr<Child> Spawn(const std::string& name, std::vector<std::string> argv,
                             bool announces) {
  ChildOptions options;
  options.name = name;
  options.argv = std::move(argv);
  options.log_path = TestFolder() + "/" + name + ".out";
  options.announces = announces;
  Result<std::unique_ptr<Child>> child = Child::Spawn(options);
  EXPECT_TRUE(child.ok()) << child.error().message;
  return std::move(child).value();
}

}  // namespace

std::string TestFolder() {
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  std::string folder = testing::TempDir() + "/" + test->name();
  fs::create_directories(folder);
  return folder;
}

std::string WriteJob(uint32_t epochs) {
  const std::string folder = TestFolder();
  Rng rng(1);
  WritePart(folder, "train", 2000, &rng);
  WritePart(folder, "t10k", 500, &rng);
  const std::string path = folder + "/job.toml";
  std::ofstream job(path);
  job << "job = { name = \"tiny\", seed = 5, runs = \"" << folder << "/runs\" }\n"
      << "cluster = { servers = 1, shards_per_server = 2, workers = 2, lease = \"2s\" }\n"
      << "data = { format = \"idx\", folder = \"" << folder << "\", batch_size = 20 }\n"
      << "train = { epochs = " << epochs << " }\n"
      << "[model]\n"
      << "layers = [ { type = \"flatten\" }, { type = \"affine\", units = 4 } ]\n";
  return path;
}

std::unique_ptr<Child> Launch(const std::string& name, const std::string& program,
                              std::vector<std::string> arguments) {
  return Spawn(name, CommandOf(program, arguments), false);
}

std::unique_ptr<Child> LaunchAsNobody(const std::string& name, const std::string& program,
                                      std::vector<std::string> arguments) {
  return Spawn(name, AsNobody(CommandOf(program, arguments)), false);
}

Daemon LaunchDaemon(const std::string& name, const std::string& program,
                    std::vector<std::string> arguments) {
  Daemon daemon{.process = Spawn(name, CommandOf(program, arguments), true), .where = {}};
  const Result<std::optional<Announcement>> read =
      AnnouncementReader(daemon.process->announce_fd()).Read(kPatience);
  const bool announced = read.ok() && read.value();
  EXPECT_TRUE(announced) << name << " does not say where it is: " << OutputOf(name);
  if (announced) daemon.where = *read.value();
  return daemon;
}

std::unique_ptr<Child> LaunchTrain(const std::string& job, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"train", job});
  return Launch("train", "cli/shardmill", std::move(arguments));
}

std::string OutputOf(const std::string& name) {
  std::ostringstream text;
  text << std::ifstream(TestFolder() + "/" + name + ".out").rdbuf();
  return text.str();
}

std::string LastLineOf(const std::string& name) {
  std::istringstream lines(OutputOf(name));
  std::string last;
  for (std::string line; std::getline(lines, line);) last = line;
  return last;
}

JobStatus AwaitState(JobStatus::State state) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < end) {
    for (const std::string& run : FindRuns(TestFolder() + "/runs")) {
      const Result<RunRecord> record = ReadRunRecord(run);
      if (!record.ok()) continue;
      const auto text = HttpGetBody(record.value().http, "/status", std::chrono::seconds(2));
      if (!text.ok()) continue;
      const Result<JobStatus> status = ParseJobStatus(text.value());
      EXPECT_TRUE(status.ok()) << status.error().message;
      if (status.ok() && status.value().state == state) return status.value();
    }
    poll(nullptr, 0, 20);
  }
  ADD_FAILURE() << "the job is never " << NameOf(state) << ": " << OutputOf("train");
  return {};
}

bool Await(const std::function<bool()>& is_true) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!is_true()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    poll(nullptr, 0, 20);
  }
  return true;
}

std::vector<int> ChildrenOf(int pid) {
  const std::string path =
      "/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children";
  std::ifstream file(path);
  std::vector<int> children;
  for (int child = 0; file >> child;) children.push_back(child);
  return children;
}

std::string CommandOf(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
  std::string words;
  for (std::string word; std::getline(file, word, '\0');) words += word + " ";
  return words;
}

bool Runs(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const size_t name_end = text.rfind(')');  // "PID (NAME) STATE ...".
  return name_end != std::string::npos && text.size() > name_end + 2 && text[name_end + 2] != 'Z';
}

}  // namespace shardmill
