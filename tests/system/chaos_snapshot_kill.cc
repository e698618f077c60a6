// SIGKILL of the process that makes a snapshot, at each of its changes of the file system: before
// it, after it, and in the middle of what it appends. A trial is one of these points; a seed beyond
// the last begins with the first again.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/json/json.h"
#include "common/process/child.h"
#include "tests/system/chaos_campaign.h"

namespace shardmill::chaos {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kWays = 3;  // As KillPoint::How has them.
constexpr uint32_t kShards = 3;
constexpr milliseconds kLimit{60'000};

// One trial. Lives for it, one thread.
class SnapshotKill final {
 public:
  SnapshotKill(const TrialPlaces& places, Trial& trial) : places_(places), trial_(trial) {}

  void Run(uint64_t seed) {
    fs::create_directories(trial_.folder + "/kept");
    if (!Expect(Saver({"make", Kept(), std::to_string(kShards)}), {}, "the first snapshot")) return;
    const std::string content = ContentOf(Kept());
    const uint64_t points = CountPoints() * kWays;
    if (points == 0 || content.empty()) return Violation("there is nothing to kill");
    const uint64_t point = (seed - 1) % points;
    trial_.cluster = "point " + std::to_string(point + 1) + " of " + std::to_string(points);
    const ExitStatus killed = Save(kShards, Kept(), 1 + point / kWays, point % kWays);
    if (!Expect(killed, {.signal = SIGKILL}, "the process that saves")) return;
    if (ContentOf(Kept()) != content) Violation("what is there is neither the old nor the new");
    for (const uint32_t shards : {1U, 2U, 5U}) {
      const std::string to = trial_.folder + "/on-" + std::to_string(shards);
      fs::create_directories(to);
      const std::string what = "a restore on " + std::to_string(shards) + " shards";
      if (!Expect(Save(shards, to, 0, 0), {}, what)) continue;
      if (ContentOf(to) != content) Violation(what + " is another state");
    }
    // The next snapshot comes about all the same, and leaves nothing of this one.
    if (!Expect(Save(kShards, Kept(), 0, 0), {}, "the next snapshot")) return;
    if (ContentOf(Kept()) != content) Violation("the next snapshot is another state");
    // A folder without files is nothing to a store of blobs.
    uint64_t files = 0;
    for (const auto& one : fs::recursive_directory_iterator(Kept())) files += one.is_regular_file();
    if (files != kShards + 1) Violation("something is left over");
  }

 private:
  std::string Kept() const { return trial_.folder + "/kept"; }
  void Violation(std::string words) { trial_.violations.push_back(std::move(words)); }
  bool Expect(const ExitStatus& is, const ExitStatus& wanted, const std::string& what) {
    if (is != wanted) Violation(what + " ended with " + ExitWords(is));
    return is == wanted;
  }

  ExitStatus Start(const std::string& name, std::vector<std::string> argv) {
    ChildOptions options;
    options.name = name;
    options.argv = std::move(argv);
    options.argv[0] = places_.programs + "/" + options.argv[0];
    options.log_path = OutputOf(name);
    fs::remove(options.log_path);
    Result<std::unique_ptr<Child>> child = Child::Spawn(options);
    if (!child.ok()) return {.code = 1};
    return child.value()->Wait(kLimit).value_or(ExitStatus{.code = 1});
  }
  std::string OutputOf(const std::string& name) const {
    return trial_.folder + "/" + name + ".out";
  }
  std::string Said(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(OutputOf(name)).rdbuf();
    return text.str();
  }

  ExitStatus Saver(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "tests/system/chaos_saver");
    return Start("saver", std::move(arguments));
  }
  ExitStatus Save(uint32_t shards, const std::string& to, uint64_t kill, uint64_t how) {
    return Saver({Kept(), to, std::to_string(shards), std::to_string(kill), std::to_string(how)});
  }

  // Changes that a save makes beside a snapshot that is there.
  uint64_t CountPoints() {
    const std::string copy = trial_.folder + "/copy";
    fs::copy(Kept(), copy, fs::copy_options::recursive);
    if (!Expect(Save(kShards, copy, 0, 0), {}, "a save that is not disturbed")) return 0;
    fs::remove_all(copy);
    return std::strtoull(Said("saver").c_str(), nullptr, 10);
  }

  // The logical hash of the newest, as the command for people finds it; empty where it is not
  // sound.
  std::string ContentOf(const std::string& folder) {
    const ExitStatus sound =
        Start("verify", {"cli/shardmill", "snapshot", "verify", folder + "/job", "--json"});
    if (!Expect(sound, {}, "`snapshot verify`")) return "";
    const Result<JsonValue> json = ParseJson(Said("verify"));
    const JsonValue* content = json.ok() ? json.value().Find("content") : nullptr;
    return content == nullptr ? "" : content->text;
  }

  const TrialPlaces& places_;
  Trial& trial_;
};

void Run(uint64_t seed, const TrialPlaces& places, Trial& trial) {
  SnapshotKill(places, trial).Run(seed);
}

}  // namespace

const Scenario kSnapshotKill{.name = "snapshot-kill", .alone = Run};

}  // namespace shardmill::chaos
