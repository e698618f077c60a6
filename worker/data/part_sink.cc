#include "worker/data/part_sink.h"

#include <cmath>
#include <utility>

#include "common/assert.h"
#include "common/config/text.h"
#include "common/rng.h"

namespace shardmill {
namespace {

// Keeps the chance of the split apart from what else the job's seed is used for.
constexpr uint64_t kSplitting = 0x73706c6974746564;
constexpr uint64_t kRowsBetweenStops = 4096;

bool SameColumns(const Columns& some, const Columns& others) {
  if (some.size() != others.size()) return false;
  for (size_t i = 0; i < some.size(); ++i) {
    const Column& one = some[i];
    const Column& other = others[i];
    if (one.name != other.name || one.kind != other.kind || one.row_shape != other.row_shape) {
      return false;
    }
  }
  return true;
}

}  // namespace

RowSplit::RowSplit(std::vector<double> shares, uint64_t seed)
    : shares_(std::move(shares)), seed_(Mix(seed ^ kSplitting)) {}

size_t RowSplit::Next() {
  if (rows_ % kBlock == 0) DealBlock();
  return deal_[rows_++ % kBlock];
}

void RowSplit::DealBlock() {
  double sum = 0;
  size_t next = 0;
  for (size_t part = 0; part < shares_.size(); ++part) {
    sum += shares_[part];
    const auto end = static_cast<size_t>(std::lround(sum * static_cast<double>(kBlock)));
    while (next < end && next < kBlock) deal_[next++] = static_cast<uint8_t>(part);
  }
  Rng rng(Mix(seed_ + rows_));
  for (size_t left = kBlock; left > 1; --left) {
    std::swap(deal_[left - 1], deal_[rng.Below(left)]);
  }
}

PartSink::PartSink(Options options, RowCache& cache)
    : options_(std::move(options)),
      cache_(cache),
      budget_{.bytes_max = options_.memory},
      bad_rows_(options_.bad_rows_max) {}

Result<> PartSink::Begin(const Columns& columns) {
  SM_TRY(CheckStop());
  for (const std::unique_ptr<RowBuilder>& builder : builders_) {
    if (SameColumns(builder->columns(), columns)) continue;
    return Error{ErrorCode::kBadInput,
                 "the files of the data set do not have the same columns, or images of one size"};
  }
  while (builders_.size() < options_.parts) {
    builders_.push_back(std::make_unique<RowBuilder>(columns, budget_));
  }
  if (columns.back().missing) builders_[part_]->MissTarget();
  return {};
}

Result<> PartSink::Take(const Row& row, const RowPlace& place) {
  const size_t part = split_ ? split_->Next() : part_;
  SM_TRY(builders_[part]->Append(row, place));
  if (budget_.spent() && !spilled_) SM_TRY(Overflow());
  return ++rows_ % kRowsBetweenStops == 0 ? CheckStop() : Result<>();
}

Result<> PartSink::TakeBad(const RowPlace& place, const std::string& words) {
  SM_TRY(CheckStop());
  return bad_rows_.Add(place, words);
}

Result<> PartSink::CheckStop() {
  if (!options_.stopped || !options_.stopped()) return {};
  return Error{ErrorCode::kStopped, "stopped while the data were read"};
}

Result<> PartSink::Overflow() {
  if (!cache_.enabled()) {
    return Error{ErrorCode::kBadUsage,
                 "the rows take more than data.memory, " + config::FormatSize(options_.memory) +
                     ": raise it, or name a folder in data.cache for packed rows, with room for "
                     "about as much as the unpacked text"};
  }
  SM_TRY(cache_.Lock(options_.stopped));
  found_ = SM_TRY(cache_.Open(notes_));
  if (!found_.empty()) return Error{ErrorCode::kStopped, "another process has packed the rows"};
  spilled_ = true;
  for (size_t i = 0; i < builders_.size(); ++i) SM_TRY(builders_[i]->Spill(cache_.PathOf(i)));
  return {};
}

void PartSink::SetWords(const std::vector<std::vector<std::string>>& words) {
  for (const std::unique_ptr<RowBuilder>& builder : builders_) {
    for (size_t i = 0; i < words.size(); ++i) {
      if (!words[i].empty()) builder->SetWords(i, words[i]);
    }
  }
}

Result<std::vector<std::unique_ptr<SampleStore>>> PartSink::Finish() {
  std::vector<std::unique_ptr<SampleStore>> stores;
  for (size_t i = 0; i < builders_.size(); ++i) {
    stores.push_back(SM_TRY(builders_[i]->Finish(cache_.made_of(i), bad_rows_.count())));
  }
  if (spilled_) cache_.RemoveOld();
  return stores;
}

}  // namespace shardmill
