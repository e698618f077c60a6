#include "common/identity.h"

#include <array>
#include <type_traits>
#include <utility>
#include <variant>

#include "common/assert.h"

namespace shardmill {
namespace {

constexpr std::array<std::pair<Role, std::string_view>, 4> kRoles = {{
    {Role::kCoordinator, "coordinator"},
    {Role::kServer, "server"},
    {Role::kWorker, "worker"},
    {Role::kTool, "operator"},
}};

template <class Kind, class... Kinds>
constexpr bool kIsOneOf = (std::is_same_v<Kind, Kinds> || ...);

// Whether processes of a role send messages of a kind.
template <class Kind>
bool Speaks(Role role) {
  if constexpr (kIsOneOf<Kind, Hello>) {
    return true;
  } else if constexpr (kIsOneOf<Kind, GetView>) {
    return role != Role::kCoordinator;
  } else if constexpr (kIsOneOf<Kind, Welcome, Refused>) {
    return role == Role::kCoordinator || role == Role::kServer;
  } else if constexpr (kIsOneOf<Kind, Unit, End, Pull, Join, Renew, Goodbye, Report, MakeTable,
                                GetLease>) {
    return role == Role::kWorker;
  } else if constexpr (kIsOneOf<Kind, Held, Ended, Pulled, Waiting, Register, Beat, Frozen,
                                Installed, Saved, Follow, Followed, Host>) {
    return role == Role::kServer;
  } else if constexpr (kIsOneOf<Kind, Rebalance>) {
    return role == Role::kTool;
  } else {
    static_assert(kIsOneOf<Kind, Granted, Renewed, Farewell, ViewIs, Registered, Freeze, Install,
                           GetSaved, Leased, Replicas, Hosting, Balance>);
    return role == Role::kCoordinator;
  }
}

// The rank that a message is sent for.
template <class Kind>
std::optional<WorkerId> RankOf(const Kind& message) {
  if constexpr (requires { message.sender; }) {
    return message.sender.rank;
  } else if constexpr (std::is_same_v<Kind, Join>) {
    if (message.any) return std::nullopt;
    return message.rank;
  } else {
    return std::nullopt;
  }
}

std::string RankWords(const Identity& who, WorkerId rank) {
  const std::string number = std::to_string(rank.value);
  if (who.rank) {
    if (*who.rank == rank) return "";
    return "the key \"" + who.name + "\" is bound to rank " + std::to_string(who.rank->value) +
           " and may not hold rank " + number;
  }
  if (who.bound == nullptr || !who.bound->contains(rank)) return "";
  return "rank " + number + " is bound to a key of its own, and \"" + who.name + "\" is another";
}

}  // namespace

std::string_view NameOf(Role role) {
  for (const auto& [value, name] : kRoles) {
    if (value == role) return name;
  }
  SM_ASSERT(false);
}

std::optional<Role> RoleNamed(std::string_view name) {
  for (const auto& [value, known] : kRoles) {
    if (known == name) return value;
  }
  return std::nullopt;
}

std::string ForbiddenWords(const Envelope& envelope) {
  if (envelope.identity == nullptr) return "";
  const Identity& who = *envelope.identity;
  return std::visit(
      [&who](const auto& message) -> std::string {
        using Kind = std::decay_t<decltype(message)>;
        if (!Speaks<Kind>(who.role)) {
          return "the key \"" + who.name + "\" is a " + std::string(NameOf(who.role)) +
                 "'s, and may not say this";
        }
        const std::optional<WorkerId> rank = RankOf(message);
        return rank ? RankWords(who, *rank) : "";
      },
      envelope.message);
}

}  // namespace shardmill
