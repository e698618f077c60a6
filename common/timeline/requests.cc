#include "common/timeline/requests.h"

#include <initializer_list>
#include <variant>

#include "common/rng.h"

namespace shardmill {
namespace {

enum class Kind : uint64_t { kPush = 1, kPull, kEnd };

uint64_t IdOf(Kind kind, BootId worker, ShardId shard, std::initializer_list<uint64_t> about) {
  uint64_t id = Mix(worker.value + static_cast<uint64_t>(kind));
  id = Mix(id ^ shard.value);
  for (const uint64_t one : about) id = Mix(id ^ one);
  return id;
}

// A Unit and a Held, an End and an Ended, a Pull and a Pulled name what they are about alike.
template <class Push, class End, class Pull>
TimelineRequest Of(const Message& message, BootId worker, ShardId shard) {
  if (const auto* push = std::get_if<Push>(&message)) {
    return {"push", IdOf(Kind::kPush, worker, shard, {push->step, push->attempt, push->index})};
  }
  if (const auto* end = std::get_if<End>(&message)) {
    return {"end", IdOf(Kind::kEnd, worker, shard, {end->step})};
  }
  if (const auto* pull = std::get_if<Pull>(&message)) {
    return {"pull", IdOf(Kind::kPull, worker, shard, {pull->pull})};
  }
  return {};
}

}  // namespace

TimelineRequest RequestOf(const Message& message, BootId worker, ShardId shard) {
  return Of<Unit, End, Pull>(message, worker, shard);
}

TimelineRequest AnswerOf(const Message& message, BootId worker, ShardId shard) {
  return Of<Held, Ended, Pulled>(message, worker, shard);
}

}  // namespace shardmill
