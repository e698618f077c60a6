// What a worker notices of snapshots.
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/benchmarks.h"
#include "bench/cluster.h"
#include "bench/statistics.h"
#include "bench/stopwatch.h"
#include "client/session.h"
#include "common/blob/folder_store.h"
#include "common/blob/posix_files.h"
#include "snapshot/folder.h"

namespace shardmill::bench {
namespace {

constexpr std::chrono::minutes kPatience{5};
constexpr uint64_t kPieceFloats = uint64_t{1} << 18;
constexpr uint64_t kPieces = 256;
constexpr int kSteps = 1000;
constexpr double kTail = 0.99;

// One worker at half load: it reads and pushes to a part of a table of 256 MiB, another one each
// step, and then rests for as long as that took.
class Reader final {
 public:
  static Result<std::unique_ptr<Reader>> Start(const Programs& programs,
                                               const std::string& snapshots) {
    auto reader = std::make_unique<Reader>();
    reader->cluster_ =
        SM_TRY(Cluster::Start(programs, {.shared_memory = true, .snapshots = snapshots}));
    const SessionOptions options = SM_TRY(reader->cluster_->WorkerOptions(0));
    reader->session_ = SM_TRY(Session::Open(options));
    TableOptions sums;
    sums.update.emplace().rule = UpdateRule::kAdd;
    reader->table_ = SM_TRY(reader->session_->Dense("t", kPieces * kPieceFloats, sums));
    reader->gradient_.emplace(SM_TRY(reader->session_->Allocate(kPieceFloats)));
    std::ranges::fill(reader->gradient_->floats(), 1.0F);
    return reader;
  }

  // How long the slowest reads take, in ms.
  Result<double> Tail() {
    std::vector<double> reads;
    for (int i = 0; i < kSteps; ++i) {
      const Stopwatch whole;
      TrainingStep step = SM_TRY(session_->Begin(kPatience));
      const uint64_t begin = step.number() * 37 % kPieces * kPieceFloats;
      const Stopwatch read;
      const Ticket ticket = SM_TRY(step.Pull(table_, begin, into_));
      SM_TRY(step.Wait(ticket));
      reads.push_back(read.Seconds() * 1e3);
      SM_TRY(step.Push(table_, begin, gradient_->floats()));
      SM_TRY(step.Finish(1));
      std::this_thread::sleep_for(std::chrono::duration<double>(whole.Seconds()));
    }
    return Quantile(std::move(reads), kTail);
  }

 private:
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<Session> session_;
  DenseTable table_;
  std::optional<Memory> gradient_;
  std::vector<float> into_ = std::vector<float>(kPieceFloats);
};

class SavingSides final : public Sides {
 public:
  static Result<Prepared> Prepare(const Programs& programs) {
    auto sides = std::make_unique<SavingSides>();
    sides->folder_ = programs.scratch + "/kept";
    sides->saving_ = SM_TRY(Reader::Start(programs, sides->folder_));
    sides->idle_ = SM_TRY(Reader::Start(programs, ""));
    return Prepared{std::move(sides), ""};
  }

  Result<double> Product() override {
    const uint64_t before = SM_TRY(Snapshots());
    const double tail = SM_TRY(saving_->Tail());
    const uint64_t after = SM_TRY(Snapshots());
    if (after > before) return tail;
    return Error{ErrorCode::kFailed, "no snapshot was made meanwhile"};
  }
  Result<double> Baseline() override { return idle_->Tail(); }

 private:
  Result<uint64_t> Snapshots() {
    FolderStore store(files_, folder_);
    return HighestNumber(store, "job");
  }

  PosixFiles files_;
  std::string folder_;
  std::unique_ptr<Reader> saving_;
  std::unique_ptr<Reader> idle_;
};

}  // namespace

std::vector<Benchmark> SnapshotBenchmarks() {
  return {
      {"snapshot.pull", "ms",
       "the 99th percentile of reads of 1 MiB by a worker at half load, while 256 MiB are saved "
       "again and again; baseline: the same without snapshots",
       Judge::kRatioAtMost, 2, &SavingSides::Prepare}};
}

}  // namespace shardmill::bench
