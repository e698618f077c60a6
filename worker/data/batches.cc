#include "worker/data/batches.h"

#include <algorithm>
#include <utility>

#include "common/assert.h"

namespace shardmill {
namespace {

// All of these but what rows from `begin` on have of them; `each` of every row.
template <class T>
std::span<const T> Rows(std::span<const T> values, uint64_t rows, uint64_t begin, uint64_t count) {
  const uint64_t each = rows == 0 ? 0 : values.size() / rows;
  return values.subspan(begin * each, count * each);
}

}  // namespace

std::vector<size_t> KeyedInputs(std::span<const ParameterSpec> parameters) {
  std::vector<size_t> inputs;
  for (const ParameterSpec& parameter : parameters) {
    if (parameter.sparse() && std::ranges::find(inputs, parameter.input) == inputs.end()) {
      inputs.push_back(parameter.input);
    }
  }
  return inputs;
}

void BatchMaker::Fill(std::span<const uint32_t> numbers, GatheredRows& rows) {
  store_.Gather(numbers, rows);
  for (const size_t input : keyed_inputs_) {
    distinct_.Apply(store_.columns()[input].kind, rows.columns[input]);
  }
}

Batch BatchMaker::View(const GatheredRows& rows, uint64_t chance) {
  inputs_.clear();
  for (size_t i = 0; i + 1 < rows.columns.size(); ++i) inputs_.push_back(rows.columns[i].view());
  const ColumnView target = rows.columns.back().view();
  return {.inputs = inputs_,
          .labels = target.ids,
          .values = target.floats,
          .rows = static_cast<uint32_t>(rows.rows),
          .chance = chance};
}

Batch BatchPart::Of(const Batch& batch, uint32_t begin, uint32_t rows_max) {
  SM_ASSERT(begin <= batch.rows);
  const uint32_t count = std::min(rows_max, batch.rows - begin);
  inputs_.assign(batch.inputs.begin(), batch.inputs.end());
  ends_.resize(inputs_.size());
  for (size_t i = 0; i < inputs_.size(); ++i) {
    ColumnView& input = inputs_[i];
    if (input.ends.empty()) {
      input.floats = Rows(input.floats, batch.rows, begin, count);
      input.ids = Rows(input.ids, batch.rows, begin, count);
      continue;
    }
    const uint64_t first = begin == 0 ? 0 : input.ends[begin - 1];
    const uint64_t last = count == 0 ? first : input.ends[begin + count - 1];
    ends_[i].clear();
    for (const uint64_t end : input.ends.subspan(begin, count)) ends_[i].push_back(end - first);
    input.ends = ends_[i];
    input.ids = input.ids.subspan(first, last - first);
    input.floats = input.floats.subspan(first, last - first);
  }
  return {.inputs = inputs_,
          .labels = Rows(batch.labels, batch.rows, begin, count),
          .values = Rows(batch.values, batch.rows, begin, count),
          .rows = count,
          .chance = batch.chance + begin};
}

Batches::Batches(const SampleStore& store, const BatchPlan& plan, std::vector<size_t> keyed_inputs,
                 uint32_t read_ahead)
    : store_(store),
      plan_(plan),
      keyed_inputs_(std::move(keyed_inputs)),
      read_ahead_(read_ahead),
      order_(store.rows(), plan),
      maker_(store, keyed_inputs_) {}

Batches::Place Batches::After(const Place& place) const {
  if (place.step + 1 < steps_per_epoch()) return {place.epoch, place.step + 1};
  return {place.epoch + 1, 0};
}

void Batches::ReadFrom(const Place& place) {
  ahead_.reset();
  // The thread has an order and a maker of its own: those of this object serve the caller's.
  ahead_ = std::make_unique<ReadAhead>(
      size_t{read_ahead_} + 1,
      [this, order = BatchOrder(store_.rows(), plan_), maker = BatchMaker(store_, keyed_inputs_),
       at = place](GatheredRows& rows) mutable -> Result<> {
        maker.Fill(order.RowsOf(at.epoch, at.step), rows);
        at = After(at);
        return {};
      });
  next_ = place;
}

Batch Batches::At(uint64_t epoch, uint64_t step) {
  const uint64_t chance = order_.ChanceOf(epoch, step);
  if (read_ahead_ == 0) {
    maker_.Fill(order_.RowsOf(epoch, step), rows_);
    return maker_.View(rows_, chance);
  }
  const Place place{epoch, step};
  if (!ahead_ || next_ != place) ReadFrom(place);
  next_ = After(place);
  return maker_.View(*ahead_->Next().value(), chance);
}

Batch Batches::At(const DataRange& places) {
  SM_ASSERT(leased());
  maker_.Fill(order_.RowsOf(places), rows_);
  return maker_.View(rows_, order_.ChanceOf(places));
}

}  // namespace shardmill
