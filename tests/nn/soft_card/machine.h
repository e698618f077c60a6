#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <memory>
#include <utility>

#include "tests/nn/soft_card/memory.h"
#include "tests/nn/soft_card/settings.h"
#include "tests/nn/soft_card/streams.h"
#include "tests/nn/soft_card/threads.h"

namespace shardmill::soft {

// The card: its memory, what it is given to do, and what is to fail on it. One thread uses it.
class Machine final {
 public:
  explicit Machine(const Settings& settings)
      : settings_(settings),
        device_(settings.memory_bytes),
        host_(settings.memory_bytes),
        streams_(settings.seed),
        threads_(settings.seed) {
    device_.Close();
  }

  // The one that CUDA's functions speak of without naming it.
  static Machine& Get() { return *Own(); }
  static void Reset(const Settings& settings);

  const Settings& settings() const { return settings_; }
  Memory& device() { return device_; }
  Memory& host() { return host_; }
  Streams& streams() { return streams_; }
  Threads& threads() { return threads_; }

  bool lost() const { return lost_; }
  bool failed() const { return failed_; }
  uint64_t calls() const { return calls_; }
  // Whether a call that may fail does.
  bool Fails();

  // Or records it.
  cudaError_t Enqueue(cudaStream_t stream, std::function<void()> work);
  // The card does what it is given until it is so.
  void RunUntil(const std::function<bool()>& so);
  void Finish() {
    RunUntil([this] { return streams_.idle(); });
  }

  // The bus, one way or the other.
  void Crossed(uint64_t bytes) { crossed_ += bytes; }
  uint64_t crossed() const { return crossed_; }

  // What CUDA's words have handles for.
  template <class T>
  void Make(T** handle) {
    *handle = std::make_unique<T>().release();
    ++handles_;
  }
  template <class T>
  void Drop(T* handle) {
    std::unique_ptr<T> gone(handle);
    --handles_;
  }
  uint64_t held() const { return handles_ + device_.blocks() + host_.blocks(); }

  // The last failure, which whoever asks takes along.
  cudaError_t Keep(cudaError_t error) { return error == cudaSuccess ? error : last_ = error; }
  cudaError_t last() const { return last_; }
  cudaError_t TakeLast() { return lost_ ? last_ : std::exchange(last_, cudaSuccess); }

 private:
  static std::unique_ptr<Machine>& Own();

  const Settings settings_;
  Memory device_;
  Memory host_;
  Streams streams_;
  Threads threads_;
  uint64_t handles_ = 0;
  uint64_t calls_ = 0;
  uint64_t works_ = 0;
  uint64_t crossed_ = 0;
  bool failed_ = false;
  bool lost_ = false;
  cudaError_t last_ = cudaSuccess;
};

// Ends the program where a place is none of the card's.
void CheckPlace(const void* place, const char* words);

}  // namespace shardmill::soft
