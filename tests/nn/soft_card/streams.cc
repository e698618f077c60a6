#include "tests/nn/soft_card/streams.h"

#include <algorithm>
#include <utility>

#include "tests/nn/soft_card/memory.h"

namespace shardmill::soft {

void Streams::Record(CUevent_st& event, CUstream_st& stream) {
  stream.tasks.push_back(
      {.kind = Task::Kind::kMark, .marks = event.marks, .number = ++event.marks->recorded});
}

void Streams::Wait(CUstream_st& stream, const CUevent_st& event) {
  stream.tasks.push_back(
      {.kind = Task::Kind::kWait, .marks = event.marks, .number = event.marks->recorded});
}

bool Streams::Spoil() const {
  bool found = false;
  for (cudaStream_t const stream : streams_) {
    if (!stream->capture) continue;
    stream->capture->spoiled = found = true;
  }
  return found;
}

void Streams::RunUntil(const std::function<bool()>& so,
                       const std::function<void(const Task&)>& work) {
  Draw();
  while (!so()) {
    cudaStream_t const stream = Next();
    if (stream == nullptr) Die("streams wait for each other");
    const Task task = std::move(stream->tasks.front());
    stream->tasks.pop_front();
    if (task.kind == Task::Kind::kWork) work(task);
    if (task.kind == Task::Kind::kMark) task.marks->reached = task.number;
    if (rng_.Below(8) == 0) Draw();
  }
}

bool Streams::idle() const {
  return std::ranges::all_of(streams_, [](cudaStream_t stream) { return stream->tasks.empty(); });
}

void Streams::Draw() {
  for (size_t i = streams_.size(); i > 1; --i) std::swap(streams_[i - 1], streams_[rng_.Below(i)]);
}

cudaStream_t Streams::Next() const {
  for (cudaStream_t const stream : streams_) {
    if (stream->tasks.empty()) continue;
    const Task& task = stream->tasks.front();
    if (task.kind != Task::Kind::kWait || task.marks->reached >= task.number) return stream;
  }
  return nullptr;
}

}  // namespace shardmill::soft
