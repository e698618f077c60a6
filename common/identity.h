#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "common/ids.h"
#include "common/messages.h"

namespace shardmill {

// Who the other end of a connection has proved to be, by its key. Made from the list of those who
// are let in, and lives as long as that; the simulator makes its own.
struct Identity {
  Role role = Role::kTool;
  std::optional<WorkerId> rank = {};  // The one rank that this key may hold; a worker's.
  // Ranks that other keys are bound to: not for keys without a rank. Null: none.
  const std::set<WorkerId>* bound = nullptr;
  std::string name = {};  // Of the certificate, for people.
};

// "coordinator", "server", "worker" or "operator".
std::string_view NameOf(Role role);
std::optional<Role> RoleNamed(std::string_view name);

// Why the sender may not say this, in words; empty where it may, and where the job has no keys. A
// core asks before it looks at anything else.
std::string ForbiddenWords(const Envelope& envelope);

}  // namespace shardmill
