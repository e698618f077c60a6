#include "bench/dense_runner.h"

#include <chrono>
#include <span>
#include <utility>

namespace shardmill::bench {
namespace {

constexpr std::chrono::minutes kPatience{5};

}  // namespace

Result<std::unique_ptr<DenseRunner>> DenseRunner::Start(const Programs& programs,
                                                        const ClusterOptions& cluster,
                                                        const StepSize& size, bool in_place) {
  auto runner = std::make_unique<DenseRunner>();
  runner->size_ = size;
  runner->in_place_ = in_place;
  runner->cluster_ = SM_TRY(Cluster::Start(programs, cluster));
  const SessionOptions options = SM_TRY(runner->cluster_->WorkerOptions(0));
  runner->session_ = SM_TRY(Session::Open(options));
  TableOptions sums;
  sums.update.emplace().rule = UpdateRule::kAdd;
  for (int i = 0; i < size.tables; ++i) {
    runner->tables_.push_back(
        SM_TRY(runner->session_->Dense("t" + std::to_string(i), size.floats, sums)));
    runner->into_.emplace_back(in_place ? 0 : size.floats);
  }
  runner->gradient_.emplace(SM_TRY(runner->session_->Allocate(size.floats)));
  std::ranges::fill(runner->gradient_->floats(), 1.0F);
  return runner;
}

Result<> DenseRunner::Step() {
  TrainingStep step = SM_TRY(session_->Begin(kPatience));
  if (tickets_.empty()) SM_TRY(AskForAll(step, {}));
  for (const Ticket ticket : tickets_) SM_TRY(step.Wait(ticket));
  const auto summed = static_cast<float>(step.number() - 1);
  for (size_t i = 0; i < tables_.size(); ++i) {
    const std::span<const ReadPiece> pieces = step.Pieces(tickets_[i]);
    const float first = in_place_ ? pieces.front().values.front() : into_[i].front();
    const float last = in_place_ ? pieces.back().values.back() : into_[i].back();
    if (first == summed && last == summed) continue;
    return Error{ErrorCode::kFailed, "a table does not hold the sum of what was pushed"};
  }
  for (const DenseTable table : tables_) SM_TRY(step.Push(table, 0, gradient_->floats()));
  SM_TRY(AskForAll(step, {.next_step = true}));
  SM_TRY(step.Finish(1));
  return {};
}

Result<> DenseRunner::AskForAll(TrainingStep& step, const PullOptions& options) {
  tickets_.clear();
  for (size_t i = 0; i < tables_.size(); ++i) {
    tickets_.push_back(in_place_ ? SM_TRY(step.Read(tables_[i], 0, tables_[i].size, options))
                                 : SM_TRY(step.Pull(tables_[i], 0, into_[i], options)));
  }
  return {};
}

Result<double> DenseRunner::GigabytesPerSecond() {
  const Stopwatch watch;
  SM_TRY(Step());
  return size_.GigabytesBothWays() / watch.Seconds();
}

Result<double> DenseRunner::MedianMicroseconds() {
  return MedianMicrosecondsOf([this] { return Step(); });
}

}  // namespace shardmill::bench
