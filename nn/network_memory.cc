// The part of Network that takes memory and says what lies where in it.

#include <algorithm>

#include "common/assert.h"
#include "nn/choose_layout.h"
#include "nn/network.h"

namespace shardmill::nn {
namespace {

// In whole KiB or MiB, the begun one included.
std::string SizeWords(uint64_t floats) {
  const uint64_t bytes = floats * sizeof(float);
  const bool small = bytes < uint64_t{8} << 20;
  return std::to_string((bytes >> (small ? 10 : 20)) + 1) + (small ? " KiB" : " MiB");
}

}  // namespace

bool Network::Hold(StepLayout& layout, uint64_t rows) {
  wanted_ = layout.Place(rows);
  if (wanted_ > arena_.room() && wanted_ > RoomOfBlock()) return false;
  return arena_.Reserve(wanted_) && host_losses_.Reserve(rows + regularized_);
}

// An eighth of a device's memory is left to what operations need for themselves.
uint64_t Network::RoomOfBlock() const {
  const std::optional<uint64_t> free = backend_.FreeBytes();
  if (!free) return memory_max_;
  return std::min(memory_max_, (*free / sizeof(float) + arena_.room()) / 8 * 7);
}

bool Network::HoldTraining(uint64_t rows) {
  training_ = StepLayout(parts_);
  floats_if_kept_ = training_.Place(rows);
  if (recompute_ != Recompute::kAlways && Hold(training_, rows)) return true;
  if (recompute_ == Recompute::kNever) return false;
  const auto again = [&](uint64_t floats_max) {
    training_ = ChooseLayout(parts_, rows, floats_max);
    return Hold(training_, rows);
  };
  const uint64_t less = std::min(RoomOfBlock(), floats_if_kept_ - 1);
  if (recompute_ == Recompute::kAuto && again(less)) return true;
  return again(0);
}

uint64_t Network::BatchFloats(uint64_t rows) const {
  uint64_t row = 0;
  for (const GraphValue& value : std::span(graph_.values).first(graph_.inputs)) {
    if (value.type.kind != ValueKind::kSparse) row += value.type.row.size();
  }
  return rows * (row + (loss_->ReadsLabels() ? 1 : output().size()));
}

uint64_t Network::products() const { return WorkForward(parts_); }

uint64_t Network::products_of_step() const { return WorkForward(parts_) + WorkBack(parts_); }

bool Network::Keep(std::span<const Optimizer* const> rules) {
  if (!transfer_) return false;
  std::vector<uint64_t> sizes;
  for (const ParameterInfo& info : graph_.parameters) sizes.push_back(info.shape.size());
  recordings_.Forget();
  kept_parameters_.emplace(backend_);
  if (!kept_parameters_->Hold(sizes, rules)) kept_parameters_.reset();
  return kept_parameters_.has_value();
}

Result<> Network::MakeRoom(uint64_t rows) {
  rows = std::min(rows, rows_max_);
  Result<> made = MakeRoomForBatch(rows);
  if (made.ok() || !kept_parameters_) return made;
  // What rules keep takes memory that steps may need more.
  kept_parameters_.reset();
  return MakeRoomForBatch(rows);
}

Result<> Network::MakeRoomForBatch(uint64_t rows) {
  sizes_.clear();
  for (size_t index = 0; index < graph_.parameters.size(); ++index) {
    sizes_.push_back(Keeps(index) ? 0 : graph_.parameters[index].shape.size());
  }
  SM_TRY(ReserveTransfer(rows, BatchFloats(rows), true));
  return MakeRoomForStep(rows);
}

Result<> Network::MakeRoomForStep(uint64_t rows) {
  if (rows <= training_.rows()) return {};
  const bool holds = HoldTraining(rows);
  memory_ = {.rows = rows,
             .bytes = wanted_ * sizeof(float),
             .bytes_if_kept = floats_if_kept_ * sizeof(float)};
  for (size_t node = 0; node < graph_.nodes.size(); ++node) {
    for (const uint32_t again : training_.again(node)) {
      if (!graph_.nodes[again].passes) memory_.again.push_back(graph_.nodes[again].name);
    }
  }
  memory_.share_again =
      static_cast<double>(WorkAgain(parts_, training_)) / static_cast<double>(products());
  recordings_.Forget();
  CutWayBack();
  if (holds) return {};
  GiveUpRoom();
  return NoRoom(rows, wanted_, true);
}

Result<> Network::MakeRoomToEvaluate(uint64_t rows) {
  if (rows <= evaluation_.rows()) return {};
  recordings_.Forget();
  if (Hold(evaluation_, rows)) return {};
  evaluation_.Place(0);
  if (wanted_ <= memory_max_) GiveUpRoom();
  return NoRoom(rows, wanted_);
}

void Network::GiveUpRoom() {
  arena_.Release();
  training_.Place(0);
  evaluation_.Place(0);
}

Error Network::NoRoom(uint64_t rows, uint64_t floats, bool of_step) const {
  const bool over = floats > memory_max_;
  const uint64_t room = RoomOfBlock();
  std::string words =
      "there is no room for a batch of " + std::to_string(rows) + " rows: it takes ";
  if (of_step && recompute_ != Recompute::kNever && !memory_.again.empty()) {
    words += "at the least, with layers computed again on the way back, ";
  }
  words += "a block of " + SizeWords(floats);
  if (over) {
    words += ", and compute.memory lacks " + SizeWords(floats - memory_max_) + " of that";
  } else if (floats > room) {
    words += ", and " + SizeWords(floats - room) + " of that are missing";
    if (!backend_.on_host()) words += " (an eighth of what is free is left to operations)";
  }
  words += ": lower data.batch_size";
  if (over) words += " or raise compute.memory";
  if (of_step && recompute_ == Recompute::kNever) {
    words += R"(, or have layers computed again with compute.recompute = "auto")";
  }
  // More than the job allows is so again whenever it is tried.
  return {over && of_step ? ErrorCode::kBadUsage : ErrorCode::kFailed, words};
}

Result<Samples> Network::Lend(const Samples& samples,
                              std::span<const std::span<const float>> parameters,
                              std::span<const std::span<float>> gradients) {
  SM_ASSERT(parameters.size() == graph_.parameters.size());
  lent_ = parameters;
  const bool training = !gradients.empty();
  Samples lent = samples;
  lent.targets = targets_;
  sizes_.clear();
  for (size_t index = 0; index < lent_.size(); ++index) {
    sizes_.push_back(Keeps(index) ? 0 : lent_[index].size());
  }
  SM_TRY(ReserveTransfer(samples.rows, Transfer::FloatsOf(lent), training));
  SM_TRY(training ? MakeRoomForStep(samples.rows) : MakeRoomToEvaluate(samples.rows));
  layout_ = training ? &training_ : &evaluation_;
  if (transfer_) lent = transfer_->Bring(lent);
  lent_targets_ = lent.targets;
  LendGradients(gradients);
  if (varies_.empty()) {
    ChooseRecordings(lent, training);
  } else {
    recordings_.ChooseNone();
  }
  return lent;
}

Error Network::NoRoomFor(const Shortage& shortage, uint64_t rows) const {
  std::string words =
      "there is no room for the " + std::string(shortage.what) + ": " + SizeWords(shortage.floats) +
      (shortage.of_host ? " of the host's memory, lent to the device" : " of the device's memory");
  const std::optional<uint64_t> free = backend_.FreeBytes();
  if (!shortage.of_host && free && shortage.floats > *free / sizeof(float)) {
    words += ", of which " + SizeWords(shortage.floats - *free / sizeof(float)) + " are missing";
  }
  words += shortage.of_batch
               ? ", for a batch of " + std::to_string(rows) + " rows: lower data.batch_size"
               : R"(: make layers smaller, or compute on the processor (compute.device = "cpu"))";
  return {ErrorCode::kFailed, words};
}

// What a batch and its parameters take cannot be less, and so goes before the block of the step.
Result<> Network::ReserveTransfer(uint64_t rows, uint64_t batch, bool training) {
  if (!transfer_ || !transfer_->Reserve(batch, sizes_, training)) return {};
  GiveUpRoom();
  const std::optional<Shortage> shortage = transfer_->Reserve(batch, sizes_, training);
  if (shortage) return NoRoomFor(*shortage, rows);
  return {};
}

std::span<float> Network::SavedOf(size_t node, uint64_t rows, bool again) const {
  const SavedSize& size = parts_.saved[node];
  return arena_.At(layout_->saved(node, again), size.of_batch + rows * size.of_row);
}

Tensor Network::Take(uint64_t offset, const Shape& shape) const {
  return Tensor(arena_.At(offset, shape.size()), shape);
}

Tensor Network::GradientOf(uint32_t value, uint64_t rows) const {
  return Take(layout_->gradient(value), graph_.values[value].type.row.Rows(rows));
}

}  // namespace shardmill::nn
