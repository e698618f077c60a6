#pragma once

#include <cuda_runtime.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/rng.h"

namespace shardmill::soft {

// How often an event was recorded, and how many of those the stream has come to.
struct Marks {
  uint64_t recorded = 0;
  uint64_t reached = 0;
};

struct Task {
  enum class Kind : uint8_t { kWork, kMark, kWait };

  Kind kind = Kind::kWork;
  std::function<void()> work = {};
  std::shared_ptr<Marks> marks = {};
  uint64_t number = 0;  // Which of its marks.
};

// What a stream was given while it was recorded, unless that was spoiled.
struct Capture {
  std::vector<std::function<void()>> works = {};
  bool spoiled = false;
};

}  // namespace shardmill::soft

struct CUstream_st {
  std::deque<shardmill::soft::Task> tasks;
  std::optional<shardmill::soft::Capture> capture;
};

struct CUevent_st {
  std::shared_ptr<shardmill::soft::Marks> marks = std::make_shared<shardmill::soft::Marks>();
  cudaStream_t captured = nullptr;  // In what is recorded of this stream.
};

struct CUgraph_st {
  std::vector<std::function<void()>> works;
};

struct CUgraphExec_st {
  std::vector<std::function<void()>> works;
};

namespace shardmill::soft {

// The streams of a card. What they are given is done when somebody waits, and not before; of those
// that may go on the first one does by an order that is drawn, and drawn anew now and then: one
// stream may run far ahead, another be left as far behind as waits allow.
class Streams final {
 public:
  explicit Streams(uint64_t seed) : rng_(seed) {}

  void Add(cudaStream_t stream) { streams_.push_back(stream); }
  void Remove(cudaStream_t stream) { std::erase(streams_, stream); }
  static void Record(CUevent_st& event, CUstream_st& stream);
  static void Wait(CUstream_st& stream, const CUevent_st& event);
  // Whether a stream is recorded; then what is not allowed meanwhile has spoiled that.
  bool Spoil() const;

  // Goes on until it is so; `work` does a task's work.
  void RunUntil(const std::function<bool()>& so, const std::function<void(const Task&)>& work);
  bool idle() const;

 private:
  void Draw();
  cudaStream_t Next() const;

  Rng rng_;
  std::vector<cudaStream_t> streams_;  // Who comes first is to go on first.
};

}  // namespace shardmill::soft
