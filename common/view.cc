#include "common/view.h"

namespace shardmill {

const Member* View::FindMember(WorkerId rank) const {
  for (const Member& member : members) {
    if (member.rank == rank) return &member;
  }
  return nullptr;
}

const TablePlace* View::FindTable(const std::string& name) const {
  for (const TablePlace& table : tables) {
    if (table.spec.name == name) return &table;
  }
  return nullptr;
}

}  // namespace shardmill
