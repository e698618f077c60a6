// Networks beside Debian's torch: one worker's thread alone, and two workers that train together.
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/benchmarks.h"
#include "bench/cluster.h"
#include "bench/net_runner.h"
#include "common/json/json.h"
#include "common/process/child.h"

namespace shardmill::bench {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kRows = 128;
constexpr double kSeconds = 2;
constexpr const char* kNumber = "samples_per_second";
constexpr const char* kPictures = "/usr/share/datasets/fashion-mnist";

std::vector<std::string> Torch(const Programs& programs, const std::string& net) {
  return {programs.torch, net, std::to_string(kRows), std::to_string(kSeconds)};
}

// What keeps torch from being the baseline; fills in the library that it multiplies with.
std::string MissingTorch(const Programs& programs, std::string* blas) {
  Result<std::string> found =
      RunForWord(programs.scratch, "torch-blas", {programs.torch, "blas"}, "blas");
  if (!found.ok()) return "torch does not run here: apt-get install python3-torch";
  *blas = std::move(found).value();
  if (blas->find("openblas") != std::string::npos) return "";
  return "torch multiplies with " + *blas + ": apt-get install libopenblas0-pthread";
}

// One thread of ours and one of torch's, each by the processor time that it used.
class ThreadSides final : public Sides {
 public:
  ThreadSides(const Programs& programs, std::string net, std::unique_ptr<NetRunner> runner)
      : programs_(programs), net_(std::move(net)), runner_(std::move(runner)) {}

  static Result<Prepared> Prepare(const Programs& programs, const std::string& net) {
    std::string blas;
    const std::string missing = MissingTorch(programs, &blas);
    if (!missing.empty()) return Prepared{nullptr, missing};
    std::unique_ptr<NetRunner> runner = SM_TRY(NetRunner::Make(net, kRows));
    return Prepared{std::make_unique<ThreadSides>(programs, net, std::move(runner)), "",
                    "torch multiplies with " + blas};
  }

  Result<double> Product() override { return runner_->Run(kSeconds, NetRunner::Time::kThread); }
  Result<double> Baseline() override {
    return RunForNumber(programs_.scratch, "torch", Torch(programs_, net_), kNumber);
  }

 private:
  Programs programs_;
  std::string net_;
  std::unique_ptr<NetRunner> runner_;
};

// Two workers and a server as `shardmill train` starts them, against two processes that train
// together in torch, or apart in our library. By the wall clock, and of training alone: the model
// is measured when the job is over, as neither baseline measures its own.
class PairSides final : public Sides {
 public:
  PairSides(const Programs& programs, bool torch) : programs_(programs), torch_(torch) {}

  static Result<Prepared> Prepare(const Programs& programs, const std::string& policy, bool torch) {
    std::string blas;
    const std::string missing = torch ? MissingTorch(programs, &blas) : "";
    if (!missing.empty()) return Prepared{nullptr, missing};
    if (!fs::exists(kPictures)) {
      return Prepared{nullptr, "the pictures are not there: apt-get install dataset-fashion-mnist"};
    }
    auto sides = std::make_unique<PairSides>(programs, torch);
    sides->job_ = programs.scratch + "/pair.toml";
    std::ofstream(sides->job_)
        << "[job]\nruns = \"" << programs.scratch << "/runs\"\n[cluster]\nworkers = 2\n[policy]\n"
        << policy << "\n[optimizer]\nlearning_rate = 0.01\n[data]\nformat = \"idx\"\nfolder = \""
        << kPictures << "\"\nbatch_size = " << kRows
        << "\n[train]\nepochs = 4\nvalidate_epochs = 0\n"
        << "[model]\nlayers = [{ type = \"flatten\" }, { type = \"affine\", units = 512 }, { type "
           "= "
           "\"relu\" }, { type = \"affine\", units = 512 }, { type = \"relu\" }, { type = "
           "\"affine\", units = 10 }]\n";
    return Prepared{std::move(sides), "", torch ? "torch multiplies with " + blas : ""};
  }

  Result<double> Product() override {
    std::vector<std::string> argv{programs_.command, "train", job_, "--quiet", "--json"};
    const std::string text = SM_TRY(RunForOutput(programs_.scratch, "train", argv));
    const JsonValue result = SM_TRY(ParseJson(text));
    const JsonValue* rate = result.Find(kNumber);
    if (rate != nullptr) return rate->number;
    return Error{ErrorCode::kFailed, "`shardmill train --json` tells no " + std::string(kNumber)};
  }

  Result<double> Baseline() override {
    const std::string meeting = programs_.scratch + "/meeting-" + std::to_string(runs_++);
    const auto command = [&](const char* rank) {
      std::vector<std::string> argv{programs_.peer, "net", "ff", std::to_string(kRows),
                                    std::to_string(kSeconds)};
      if (!torch_) return argv;
      argv = Torch(programs_, "ff");
      argv.insert(argv.end(), {rank, meeting});
      return argv;
    };
    ChildOptions other;
    other.name = "pair-1";
    other.argv = command("1");
    other.log_path = programs_.scratch + "/pair-1.log";
    const std::unique_ptr<Child> child = SM_TRY(Child::Spawn(other));
    const double one = SM_TRY(RunForNumber(programs_.scratch, "pair-0", command("0"), kNumber));
    // Both begin and end together, and are alike.
    return 2 * one;
  }

 private:
  Programs programs_;
  bool torch_;
  std::string job_;
  int runs_ = 0;
};

Benchmark Thread(const std::string& net, const std::string& what) {
  return {"nn." + net,
          "samples/s",
          "training steps of " + what + ", batches of " + std::to_string(kRows) +
              ", by the processor time of one thread; baseline: torch on one thread",
          Judge::kRatioAtLeast,
          1.2,
          [net](const Programs& programs) { return ThreadSides::Prepare(programs, net); },
          20};
}

Benchmark Pair(const std::string& name, const std::string& policy, bool torch, double target) {
  return {"nn.pair." + name,
          "samples/s",
          "784-512-512-10, batches of " + std::to_string(kRows) +
              ", two workers and a server as `shardmill train` starts them, " + policy +
              "; baseline: two processes " +
              (torch ? "under torch's DistributedDataParallel over Gloo, a thread each"
                     : "that train the same net by themselves and do not talk"),
          Judge::kRatioAtLeast,
          target,
          [policy, torch](const Programs& programs) {
            return PairSides::Prepare(programs, policy, torch);
          },
          20};
}

}  // namespace

std::vector<Benchmark> NetworkBenchmarks() {
  const std::string sync = "mode = \"sync\"";
  const std::string stale = "mode = \"stale\"\nstaleness = 1";
  return {Thread("ff", "784-512-512-10"),
          Thread("lenet", "LeNet-5 on pictures of 28x28"),
          Thread("residual", "six residual blocks of 16 to 64 channels on pictures of 28x28"),
          Thread("lstm", "an LSTM of 128 units over 28 rows of 28"),
          Pair("torch", sync, true, 2),
          Pair("sync", sync, false, 0.8),
          Pair("stale", stale, false, 0.85)};
}

}  // namespace shardmill::bench
