#include "server/key_cache.h"

#include <algorithm>

#include "common/mutation.h"

namespace shardmill {
namespace {

constexpr size_t kSpareMax = 16;

}  // namespace

std::shared_ptr<KeyRows> KeyCache::Get(WorkerId rank, TableId table, const KeyList& list) {
  const WorkerId owner = Mutated(Mutation::kKeysOfAnyRank) ? WorkerId{} : rank;
  Rank& mine = ranks_[owner];
  const auto found =
      std::ranges::find_if(mine.lists, [&](const auto& known) { return known.first == list.id; });
  if (found != mine.lists.end()) {
    mine.lists.splice(mine.lists.begin(), mine.lists, found);
    return found->second->table == table ? found->second : nullptr;
  }
  if (list.keys.size() == 0) return nullptr;
  std::shared_ptr<KeyRows> rows = Make(table, list.keys.keys());
  mine.lists.emplace_front(list.id, rows);
  mine.keys += rows->rows.size();
  while (mine.lists.size() > lists_max_ || (mine.keys > keys_max_ && mine.lists.size() > 1)) {
    ForgetLast(mine);
  }
  return rows;
}

std::shared_ptr<KeyRows> KeyCache::Make(TableId table, std::span<const uint64_t> keys) {
  std::shared_ptr<KeyRows> rows;
  if (spare_.empty()) {
    rows = std::make_shared<KeyRows>();
  } else {
    rows = std::move(spare_.back());
    spare_.pop_back();
  }
  rows->table = table;
  // It stays, and is looked at again: what came may be a peer's memory, lent for the moment.
  rows->keys = frames_.CopyOf(std::as_bytes(keys));
  rows->rows.assign(keys.size(), RowIndex::kNone);
  return rows;
}

void KeyCache::ForgetLast(Rank& rank) {
  std::shared_ptr<KeyRows> last = std::move(rank.lists.back().second);
  rank.lists.pop_back();
  rank.keys -= last->rows.size();
  if (last.use_count() > 1 || spare_.size() == kSpareMax) return;
  last->keys = Frame();
  spare_.push_back(std::move(last));
}

}  // namespace shardmill
