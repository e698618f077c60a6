#include "server/data_leases.h"

#include <algorithm>

#include "common/assert.h"
#include "common/mutation.h"

namespace shardmill {
namespace {

constexpr uint64_t kChunkBatches = 64;  // Of a chunk, where nobody says more.
constexpr uint64_t kChunksOfWorker =
    8;  // In an epoch, at least, where the data has so many batches.

bool Before(const DataRange& left, const DataRange& right) {
  return left.epoch != right.epoch ? left.epoch < right.epoch : left.begin < right.begin;
}

}  // namespace

std::string DataLeases::Begin(uint64_t rows) {
  if (rows == 0) return "a data set of no rows";
  if (rows == state_.rows) return "";
  if (state_.rows > 0) {
    return "this worker's data set has " + std::to_string(rows) + " rows, and that of others " +
           std::to_string(state_.rows) + "; all must read the same files";
  }
  state_.rows = rows;
  state_.chunk = plan_.chunk;
  if (plan_.chunk > 0) return "";
  const uint64_t batches = rows / (uint64_t{workers_} * kChunksOfWorker * plan_.batch);
  state_.chunk = plan_.batch * std::clamp<uint64_t>(batches, 1, kChunkBatches);
  return "";
}

DataState::Rank& DataLeases::RankOf(WorkerId rank) {
  const auto found = std::ranges::lower_bound(state_.ranks, rank, {}, &DataState::Rank::rank);
  if (found != state_.ranks.end() && found->rank == rank) return *found;
  return *state_.ranks.insert(found, {rank, 0, {}});
}

bool DataLeases::Use(WorkerId rank, DataCursor used) {
  std::vector<DataLease>& held = RankOf(rank).held;
  const auto whole = [&](const DataLease& lease) {
    return lease.seq < used.seq || (lease.seq == used.seq && used.offset >= lease.range.size());
  };
  const auto first = std::ranges::find_if_not(held, whole);
  for (auto lease = held.begin(); lease != first; ++lease) state_.used += lease->range.size();
  const bool any = first != held.begin();
  held.erase(held.begin(), first);
  return any;
}

bool DataLeases::Grant(WorkerId id) {
  if (state_.rows == 0) return false;
  DataState::Rank& rank = RankOf(id);
  bool any = false;
  while (rank.held.size() < plan_.ahead) {
    DataRange range;
    if (!state_.returned.empty()) {
      range = state_.returned.front();
      state_.returned.erase(state_.returned.begin());
    } else if (state_.epoch < plan_.epochs) {
      const uint64_t size = std::min(state_.chunk, state_.rows - state_.begin);
      range = {state_.epoch, state_.begin, state_.begin + size};
      state_.begin += size;
      if (state_.begin == state_.rows) {
        ++state_.epoch;
        state_.begin = 0;
      }
    } else {
      break;
    }
    rank.held.push_back({++rank.last, range});
    any = true;
  }
  return any;
}

void DataLeases::Return(WorkerId id, DataCursor used) {
  Use(id, used);
  DataState::Rank& rank = RankOf(id);
  for (const DataLease& lease : rank.held) {
    DataRange left = lease.range;
    if (lease.seq == used.seq && !Mutated(Mutation::kReturnWhole)) left.begin += used.offset;
    state_.used += lease.range.size() - left.size();
    state_.returned.insert(std::ranges::upper_bound(state_.returned, left, Before), left);
  }
  rank.held.clear();
}

std::vector<DataLease> DataLeases::HeldAfter(WorkerId id, uint64_t seq) const {
  std::vector<DataLease> leases;
  for (const DataState::Rank& rank : state_.ranks) {
    if (rank.rank != id) continue;
    for (const DataLease& lease : rank.held) {
      if (lease.seq > seq) leases.push_back(lease);
    }
  }
  return leases;
}

bool DataLeases::Over() const {
  return state_.rows > 0 && state_.epoch >= plan_.epochs && state_.returned.empty() &&
         std::ranges::all_of(state_.ranks, [](const auto& rank) { return rank.held.empty(); });
}

DataState DataLeases::AtCut(const std::vector<RankState>& cut) const {
  DataLeases then = *this;
  for (const DataState::Rank& rank : state_.ranks) {
    const auto state = std::ranges::find(cut, rank.rank, &RankState::rank);
    then.Return(rank.rank, state == cut.end() ? DataCursor{} : state->used);
  }
  return then.state_;
}

}  // namespace shardmill
