#include "server/key_cache.h"

#include <algorithm>

#include "common/mutation.h"

namespace shardmill {

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
  auto rows = std::make_shared<KeyRows>();
  rows->table = table;
  // It stays, and is looked at again: what came may be a peer's memory, lent for the moment.
  rows->keys = Frame::CopyOf(list.keys.keys());
  rows->rows.assign(list.keys.keys().size(), RowIndex::kNone);
  mine.lists.emplace_front(list.id, rows);
  mine.keys += rows->rows.size();
  while (mine.lists.size() > lists_max_ || (mine.keys > keys_max_ && mine.lists.size() > 1)) {
    mine.keys -= mine.lists.back().second->rows.size();
    mine.lists.pop_back();
  }
  return rows;
}

}  // namespace shardmill
