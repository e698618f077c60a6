#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "common/mailbox.h"
#include "common/process/wake.h"
#include "common/result.h"
#include "server/disk_desk.h"
#include "server/log_desk.h"

namespace shardmill {

// One thread that waits for disks, so that no shard of the process does, with a desk for each. It
// and the shards share the reference counts of the frames in what they hand each other, and nothing
// else. Owned by main; what the desks need outlives it.
template <class Desk>
class DeskAgent final {
 public:
  using Request = typename Desk::Request;
  using Answer = typename Desk::Answer;

  // A shard's end of it, for the shard's thread.
  class Line final {
   public:
    Line(DeskAgent& agent, size_t place, uint64_t speaker)
        : agent_(&agent), place_(place), speaker_(speaker) {}

    // Another shard speaks from now on: nothing comes of what the one before it asked for.
    void BeginAnew() { ++speaker_; }
    // Does not wait: where there is no room now the request stays with who asks, to be asked again
    // when the file can be read.
    [[nodiscard]] bool TryAsk(Request& request) {
      Asked asked{place_, speaker_, std::move(request)};
      if (agent_->asked_.TryPut(asked)) return true;
      Box().waits.store(true);
      // Room that came before that was said is told to nobody.
      if (agent_->asked_.TryPut(asked)) return true;
      request = std::move(asked.what);
      return false;
    }
    // A file that can be read when there may be an answer, or room for a request.
    int wake_file() const { return Box().wake.file(); }
    std::optional<Answer> NextAnswer() {
      Box().wake.Clear();
      return Own(Box().mail.TryTake());
    }
    std::optional<Answer> AwaitAnswer(std::chrono::milliseconds time) {
      return Own(Box().mail.TakeWithin(time));
    }

   private:
    auto& Box() const { return *agent_->answers_[place_]; }
    template <class Answered>
    std::optional<Answer> Own(std::optional<Answered> answer) const {
      if (!answer || answer->speaker != speaker_) return {};
      return std::move(answer->what);
    }

    DeskAgent* agent_;
    size_t place_;
    uint64_t speaker_;
  };

  explicit DeskAgent(std::vector<Desk> desks) : desks_(std::move(desks)) {
    for (size_t i = 0; i < desks_.size(); ++i) answers_.push_back(std::make_unique<Answers>());
    thread_ = std::thread([this] { Run(); });
  }
  // What is under way ends without a trace.
  ~DeskAgent() {
    asked_.Close();
    for (const auto& answers : answers_) answers->mail.Close();
    thread_.join();
  }
  DeskAgent(const DeskAgent&) = delete;
  DeskAgent& operator=(const DeskAgent&) = delete;

  // Who had it before is not heard any more. For main's thread.
  Line LineOf(size_t place) { return {*this, place, ++lines_ << 32}; }

 private:
  // Requests of all shards, and answers to one, that wait in memory at most.
  static constexpr size_t kRoom = 4;

  struct Asked {
    size_t place = 0;
    uint64_t speaker = 0;
    Request what;
  };
  struct Answered {
    uint64_t speaker = 0;
    Answer what;
  };
  struct Answers {
    Mailbox<Answered> mail{kRoom};
    Wake wake;
    std::atomic<bool> waits{false};  // For room. Set by the shard, which the agent wakes once.
  };

  void Run() {
    while (const auto asked = asked_.Take()) {
      for (const auto& waiting : answers_) {
        if (waiting->waits.exchange(false)) waiting->wake.Signal();
      }
      Answers& answers = *answers_[asked->place];
      desks_[asked->place].Do(asked->what, [&](Answer answer) -> Result<> {
        if (!answers.mail.Put({asked->speaker, std::move(answer)})) {
          return Error{ErrorCode::kUnavailable, "the process ends"};
        }
        answers.wake.Signal();
        return {};
      });
    }
  }

  uint64_t lines_ = 0;       // Given so far.
  std::vector<Desk> desks_;  // The thread's own.
  Mailbox<Asked> asked_{kRoom};
  std::vector<std::unique_ptr<Answers>> answers_;
  std::thread thread_;
};

// For snapshots, and for logs.
using DiskAgent = DeskAgent<DiskDesk>;
using LogAgent = DeskAgent<LogDesk>;

}  // namespace shardmill
