// SIGKILL of the process that makes a snapshot, at each of its changes of the file system: before
// it, after it, and in the middle of what it appends. A trial is one of these points; a seed beyond
// the last begins with the first again. A second scenario kills the daemons themselves at moments
// that are drawn, while the files of a snapshot come.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>
#include <thread>

#include "common/json/json.h"
#include "common/process/child.h"
#include "common/rng.h"
#include "tests/sanitized.h"
#include "tests/system/chaos/campaign.h"

namespace shardmill::chaos {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kWays = 3;  // As KillPoint::How has them.
constexpr uint32_t kShards = 3;
// Under a sanitizer a program takes many times as long, and its job has fewer steps.
constexpr milliseconds kLimit{kSanitized ? 240'000 : 60'000};
constexpr int kEpochs = kSanitized ? 100 : 400;

// Runs programs of the build for a trial, and notes what is not as it must be. Lives for the trial,
// one thread.
class Bench final {
 public:
  Bench(const TrialPlaces& places, Trial& trial) : places_(places), trial_(trial) {}

  const std::string& folder() const { return trial_.folder; }
  void Describe(std::string words) { trial_.cluster = std::move(words); }
  void Violation(std::string words) { trial_.violations.push_back(std::move(words)); }
  // Of a program that was run; nothing where it did not end.
  bool Expect(const std::optional<ExitStatus>& is, const ExitStatus& wanted,
              const std::string& what) {
    if (is != wanted) Violation(what + (is ? " ended with " + ExitWords(*is) : " did not end"));
    return is == wanted;
  }

  // What it writes is in OutputOf(name). Null where it cannot be started.
  std::unique_ptr<Child> Start(const std::string& name, std::vector<std::string> argv) {
    ChildOptions options;
    options.name = name;
    options.argv = std::move(argv);
    options.argv[0] = places_.programs + "/" + options.argv[0];
    options.log_path = OutputOf(name);
    fs::remove(options.log_path);
    Result<std::unique_ptr<Child>> child = Child::Spawn(options);
    return child.ok() ? std::move(child).value() : nullptr;
  }
  std::optional<ExitStatus> Run(const std::string& name, std::vector<std::string> argv) {
    const std::unique_ptr<Child> child = Start(name, std::move(argv));
    return child ? child->Wait(kLimit) : std::nullopt;
  }
  std::string OutputOf(const std::string& name) const { return folder() + "/" + name + ".out"; }
  std::string Said(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(OutputOf(name)).rdbuf();
    return text.str();
  }

  // The logical hash of a snapshot, or of a job's newest, as the command for people finds it; empty
  // where it is not sound.
  std::string ContentOf(const std::string& snapshot) {
    const std::optional<ExitStatus> sound =
        Run("verify", {"cli/shardmill", "snapshot", "verify", snapshot, "--json"});
    if (!Expect(sound, {}, "`snapshot verify` of " + snapshot)) return "";
    const Result<JsonValue> json = ParseJson(Said("verify"));
    const JsonValue* content = json.ok() ? json.value().Find("content") : nullptr;
    return content == nullptr ? "" : content->text;
  }

 private:
  const TrialPlaces& places_;
  Trial& trial_;
};

// A trial of one point. Lives for it, one thread.
class SnapshotKill final {
 public:
  explicit SnapshotKill(Bench& bench) : bench_(bench) {}

  void Run(uint64_t seed) {
    fs::create_directories(bench_.folder() + "/kept");
    if (!bench_.Expect(Saver({"make", Kept(), std::to_string(kShards)}), {}, "the first snapshot"))
      return;
    const std::string content = bench_.ContentOf(Kept() + "/job");
    const uint64_t points = CountPoints() * kWays;
    if (points == 0 || content.empty()) return bench_.Violation("there is nothing to kill");
    const uint64_t point = (seed - 1) % points;
    bench_.Describe("point " + std::to_string(point + 1) + " of " + std::to_string(points));
    const std::optional<ExitStatus> killed =
        Save(kShards, Kept(), 1 + point / kWays, point % kWays);
    if (!bench_.Expect(killed, {.signal = SIGKILL}, "the process that saves")) return;
    if (bench_.ContentOf(Kept() + "/job") != content)
      bench_.Violation("what is there is neither the old nor the new");
    for (const uint32_t shards : {1U, 2U, 5U}) {
      const std::string to = bench_.folder() + "/on-" + std::to_string(shards);
      fs::create_directories(to);
      const std::string what = "a restore on " + std::to_string(shards) + " shards";
      if (!bench_.Expect(Save(shards, to, 0, 0), {}, what)) continue;
      if (bench_.ContentOf(to + "/job") != content) bench_.Violation(what + " is another state");
    }
    // The next snapshot comes about all the same, and leaves nothing of this one.
    if (!bench_.Expect(Save(kShards, Kept(), 0, 0), {}, "the next snapshot")) return;
    if (bench_.ContentOf(Kept() + "/job") != content)
      bench_.Violation("the next snapshot is another state");
    // A folder without files is nothing to a store of blobs.
    uint64_t files = 0;
    for (const auto& one : fs::recursive_directory_iterator(Kept())) files += one.is_regular_file();
    if (files != kShards + 1) bench_.Violation("something is left over");
  }

 private:
  std::string Kept() const { return bench_.folder() + "/kept"; }

  std::optional<ExitStatus> Saver(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "tests/system/chaos/saver");
    return bench_.Run("saver", std::move(arguments));
  }
  std::optional<ExitStatus> Save(uint32_t shards, const std::string& to, uint64_t kill,
                                 uint64_t how) {
    return Saver({Kept(), to, std::to_string(shards), std::to_string(kill), std::to_string(how)});
  }

  // Changes that a save makes beside a snapshot that is there.
  uint64_t CountPoints() {
    const std::string copy = bench_.folder() + "/copy";
    fs::copy(Kept(), copy, fs::copy_options::recursive);
    if (!bench_.Expect(Save(kShards, copy, 0, 0), {}, "a save that is not disturbed")) return 0;
    fs::remove_all(copy);
    return std::strtoull(bench_.Said("saver").c_str(), nullptr, 10);
  }

  Bench& bench_;
};

// A trial with coordinator, servers and workers as they are. Lives for it, one thread.
class DaemonKill final {
 public:
  DaemonKill(Bench& bench, uint64_t seed)
      : bench_(bench),
        rng_(seed),
        servers_(static_cast<uint32_t>(1 + rng_.Below(4))),
        again_(servers_ + static_cast<uint32_t>(1 + rng_.Below(3))) {
    if (rng_.Chance(0.5)) std::swap(servers_, again_);
  }

  void Run() {
    WriteJob();
    const std::string whole = bench_.folder() + "/whole";
    const std::optional<ExitStatus> undisturbed =
        bench_.Run("whole", Train(whole, servers_, {"every=1h"}));
    if (!bench_.Expect(undisturbed, {}, "the job that is not disturbed")) return;
    const std::string content = bench_.ContentOf(whole + "/job");
    if (!KillWhileItSaves()) return;
    uint64_t newest = 0;
    for (const uint64_t number : Complete()) {
      if (bench_.ContentOf(Kept() + "/job/" + FolderName(number)).empty()) return;
      newest = number;
    }
    if (newest < seen_) return bench_.Violation("a snapshot that was complete is gone");
    std::vector<std::string> keys = {"every=1h", "keep=1"};
    if (newest > 0) keys.emplace_back("resume=latest");
    const std::optional<ExitStatus> resumed = bench_.Run("again", Train(Kept(), again_, keys));
    if (!bench_.Expect(resumed, {}, "the job that begins from it")) return;
    if (bench_.ContentOf(Kept() + "/job") != content) bench_.Violation("it is another state");
    if (bench_.Said("again").find(R"("rollbacks":0,)") == std::string::npos) {
      bench_.Violation("a snapshot could not be read");
    }
    uint64_t files = 0;
    for (const auto& one : fs::recursive_directory_iterator(Kept())) {
      const std::string name = one.path().filename().string();
      files += one.is_regular_file() && name != ".lock" && name != "seen-by-all" ? 1 : 0;
    }
    // What a job without a snapshot has left is nobody's to remove.
    if (newest > 0 && files != again_ + 1) bench_.Violation("something is left over");
  }

 private:
  std::string Kept() const { return bench_.folder() + "/kept"; }

  void WriteJob() {
    fs::create_directories(bench_.folder());
    std::ofstream rows(bench_.folder() + "/rows.csv");
    rows << "a,b,c,label\n";
    for (int i = 0; i < 300; ++i) {
      const uint64_t label = rng_.Below(3);
      for (uint64_t k = 0; k < 3; ++k) rows << (k == label ? 5 : 0) + rng_.Below(4) << ",";
      rows << label << "\n";
    }
    std::ofstream(bench_.folder() + "/job.toml")
        << "job = { name = \"job\", runs = \"" << bench_.folder() << "/runs\" }\n"
        << "cluster = { shards_per_server = 1, workers = 2, lease = \"2s\" }\n"
        << "data = { format = \"csv\", train = \"" << bench_.folder() << "/rows.csv\", test = \""
        << bench_.folder() << "/rows.csv\", batch_size = 10 }\n"
        << "optimizer = { name = \"adam\" }\ntrain = { epochs = " << kEpochs << " }\n"
        << "[model]\nlayers = [ { type = \"affine\", units = 200 }, { type = \"relu\" },\n"
        << "  { type = \"affine\", units = 3 } ]\n";
  }

  std::vector<std::string> Train(const std::string& to, uint32_t servers,
                                 const std::vector<std::string>& keys) const {
    std::vector<std::string> argv = {"cli/shardmill",
                                     "train",
                                     bench_.folder() + "/job.toml",
                                     "--json",
                                     "--quiet",
                                     "--set",
                                     "snapshot.to=" + to,
                                     "--set",
                                     "cluster.servers=" + std::to_string(servers)};
    for (const std::string& key : keys) argv.insert(argv.end(), {"--set", "snapshot." + key});
    return argv;
  }

  static std::string FolderName(uint64_t number) {
    const std::string digits = std::to_string(number);
    return std::string(12 - digits.size(), '0') + digits;
  }
  // Numbers that have a manifest, or none, the lowest first.
  std::vector<uint64_t> Numbers(bool complete) const {
    std::vector<uint64_t> numbers;
    std::error_code gone;  // The job removes old ones meanwhile.
    for (fs::directory_iterator at(Kept() + "/job", gone), end; !gone && at != end;
         at.increment(gone)) {
      const std::string name = at->path().filename().string();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      if (fs::exists(at->path() / "manifest", gone) == complete)
        numbers.push_back(std::stoull(name));
      gone.clear();
    }
    std::ranges::sort(numbers);
    return numbers;
  }
  std::vector<uint64_t> Complete() const { return Numbers(true); }

  static std::vector<int> ChildrenOf(int pid) {
    const std::string id = std::to_string(pid);
    std::ifstream list("/proc/" + id + "/task/" + id + "/children");
    std::vector<int> children;
    for (int child = 0; list >> child;) children.push_back(child);
    return children;
  }

  // Waits for the so many-th snapshot to begin, and some more, and kills all, one after the other.
  bool KillWhileItSaves() {
    const std::unique_ptr<Child> train =
        bench_.Start("killed", Train(Kept(), servers_, {"every=10ms", "keep=2"}));
    if (!train) {
      bench_.Violation("the job cannot be started");
      return false;
    }
    const uint64_t from = 1 + rng_.Below(8);
    const auto limit = std::chrono::steady_clock::now() + kLimit;
    while (!train->Poll() && std::chrono::steady_clock::now() < limit) {
      const std::vector<uint64_t> begun = Numbers(false);
      if (!begun.empty() && begun.back() >= from) break;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    std::this_thread::sleep_for(std::chrono::microseconds(rng_.Below(8000)));
    const std::vector<uint64_t> complete = Complete();
    seen_ = complete.empty() ? 0 : complete.back();
    kill(train->pid(), SIGSTOP);  // It would start them again.
    std::vector<int> pids = ChildrenOf(train->pid());
    for (; !pids.empty();
         std::this_thread::sleep_for(std::chrono::microseconds(rng_.Below(1500)))) {
      const size_t next = rng_.Below(pids.size());
      kill(pids[next], SIGKILL);
      pids.erase(pids.begin() + static_cast<int64_t>(next));
    }
    bench_.Describe(std::to_string(servers_) + " servers, then " + std::to_string(again_) +
                    ", killed after snapshot " + std::to_string(seen_));
    train->Kill();
    return train->Wait(kLimit).has_value();
  }

  Bench& bench_;
  Rng rng_;
  uint32_t servers_;
  uint32_t again_;     // Servers of the job that begins from what is left.
  uint64_t seen_ = 0;  // The newest snapshot that was complete before anything was killed.
};

void RunPoint(uint64_t seed, const TrialPlaces& places, Trial& trial) {
  Bench bench(places, trial);
  SnapshotKill(bench).Run(seed);
}

void RunDaemons(uint64_t seed, const TrialPlaces& places, Trial& trial) {
  Bench bench(places, trial);
  DaemonKill(bench, seed).Run();
}

}  // namespace

const Scenario kSnapshotKill{.name = "snapshot-kill", .alone = RunPoint};
const Scenario kSnapshotKillDaemons{.name = "snapshot-kill-daemons", .alone = RunDaemons};

}  // namespace shardmill::chaos
