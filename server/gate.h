#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "common/messages.h"

namespace shardmill {

// Where answers wait until what they show is at the level that the job was promised. What an answer
// shows is a version: the entries that it knows of. Owned by a Shard, on its thread.
class Gate final {
 public:
  // Who may see what of the shard.
  enum class To : uint8_t {
    kWorker,       // What is at the level.
    kCoordinator,  // What no promotion takes back, whether it is at the level or not.
  };

  // It stands open at first.
  void Close() { closed_ = true; }
  void Open(Outbox& outbox) {
    if (!closed_) return;
    closed_ = false;
    Reach(0, 0, outbox);
  }

  // All of these versions and below are so far. They never go back, until Clear.
  void Reach(uint64_t at_level, uint64_t kept, Outbox& outbox) {
    at_level_ = std::max(at_level_, at_level);
    kept_ = std::max(kept_, kept);
    std::erase_if(waiting_, [&](Waiting& one) {
      if (!MaySee(one.to, one.version)) return false;
      asked_.erase(QuestionOf(one.message));
      outbox.push_back(std::move(one.message));
      return true;
    });
  }

  // Sends what shows `version`, now or when it may. Who asks again meanwhile gets one answer: then
  // this is false.
  [[nodiscard]] bool Pass(To to, uint64_t version, Outgoing message, Outbox& outbox) {
    if (MaySee(to, version)) {
      outbox.push_back(std::move(message));
      return true;
    }
    const bool first = asked_.insert(QuestionOf(message)).second;
    if (first) waiting_.push_back({to, version, std::move(message)});
    return first;
  }

  // Nothing has been shown, and nobody waits.
  void Clear() {
    waiting_.clear();
    asked_.clear();
    at_level_ = 0;
    kept_ = 0;
  }

  uint64_t waiting() const { return waiting_.size(); }

 private:
  struct Waiting {
    To to = To::kWorker;
    uint64_t version = 0;
    Outgoing message;
  };
  // Who has asked, for an answer of which kind, and which.
  using Question = std::tuple<PeerId, size_t, uint64_t>;

  static Question QuestionOf(const Outgoing& answer) {
    uint64_t which = 0;
    if (const auto* pulled = std::get_if<Pulled>(&answer.message)) which = pulled->pull;
    if (const auto* ended = std::get_if<Ended>(&answer.message)) which = ended->step;
    if (const auto* frozen = std::get_if<Frozen>(&answer.message)) which = frozen->number.value;
    return {answer.peer, answer.message.index(), which};
  }

  bool MaySee(To to, uint64_t version) const {
    return !closed_ || version <= (to == To::kWorker ? at_level_ : kept_);
  }

  bool closed_ = false;
  uint64_t at_level_ = 0;
  uint64_t kept_ = 0;
  std::vector<Waiting> waiting_;
  std::set<Question> asked_;  // What waits answers these.
};

}  // namespace shardmill
