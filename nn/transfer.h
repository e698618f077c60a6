#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "nn/arena.h"
#include "nn/backend.h"
#include "nn/samples.h"

namespace shardmill::nn {

// Copies to the host what the operations so far will have made; over when the event is.
Event CopyOutMade(Backend& backend, ConstTensor from, std::span<float> host);

// What there was no room for.
struct Shortage {
  const char* what;
  uint64_t floats = 0;
  bool of_host = false;   // Of its memory that the device reads and writes by itself.
  bool of_batch = false;  // Fewer rows take less.
};

// The way between the host's memory and that of a backend that has its own: a batch goes in one
// copy, each parameter when it is there, and each gradient leaves when it is final, all through
// memory of the host that the device reads and writes by itself. What it brings, operations wait
// for. Owned by a network and used on its thread; a call's copies are over before the next call.
class Transfer final {
 public:
  // Halves: gradients cross to the host with 16 bits a number.
  Transfer(Backend& backend, bool halves);

  // Floats that a batch takes.
  static uint64_t FloatsOf(const Samples& samples);
  // Room for a batch, for parameters of these sizes and, where there is a way back, their
  // gradients; or what there is none for.
  std::optional<Shortage> Reserve(uint64_t batch, std::span<const uint64_t> parameters,
                                  bool gradients);

  // The batch in the device's memory, until the next call.
  Samples Bring(const Samples& samples);

  // Where a parameter lies there, and its gradient.
  std::span<const float> parameter(size_t index) const;
  std::span<float> gradient(size_t index) const;
  void BringParameter(size_t index, std::span<const float> host);
  // Of a gradient that the operations so far will have made: rounds it as it is to leave.
  void MakeReady(size_t index);
  void BeginToFetch(size_t index);
  // Waits for one that was begun. False where the device has failed.
  bool Fetch(size_t index, std::span<float> host);

 private:
  struct Place {
    uint64_t offset = 0;
    uint64_t size = 0;
    Event fetched = {};
  };

  template <class T>
  std::span<const T> Pack(std::span<const T> numbers);
  // How many floats a gradient has on its way.
  uint64_t OnItsWay(const Place& place) const {
    return halves_ ? (place.size + 1) / 2 : place.size;
  }
  // What of a gradient leaves.
  Tensor Leaving(size_t index) const;
  void CopyIn(const Arena& from, const Arena& to, uint64_t offset, uint64_t floats);

  Backend& backend_;
  Arena batch_, batch_on_host_;
  Arena parameters_, parameters_on_host_;
  Arena gradients_, gradients_on_host_;
  const bool halves_;
  Arena halved_;
  std::vector<Place> places_;
  std::vector<Input> inputs_;
  uint64_t packed_ = 0;  // Floats of the batch.
};

}  // namespace shardmill::nn
