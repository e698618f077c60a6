#include "nn/transfer.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "common/assert.h"
#include "nn/ops/bf16.h"

namespace shardmill::nn {
uint64_t Transfer::FloatsOf(const Samples& samples) {
  uint64_t floats = 0;
  for (const Input& input : samples.inputs) {
    floats += InLines(input.floats.size_bytes()) + InLines(input.ids.size_bytes()) +
              InLines(input.ends.size_bytes());
  }
  return floats + InLines(samples.targets.labels.size_bytes()) +
         InLines(samples.targets.values.size_bytes());
}

Event CopyOutMade(Backend& backend, ConstTensor from, std::span<float> host) {
  backend.Wait(Stream::kCopyOut, backend.Record(Stream::kCompute));
  backend.CopyOut(from, host);
  return backend.Record(Stream::kCopyOut);
}

Transfer::Transfer(Backend& backend, bool halves)
    : backend_(backend),
      batch_(backend),
      batch_on_host_(backend, Arena::Where::kHost),
      parameters_(backend),
      parameters_on_host_(backend, Arena::Where::kHost),
      gradients_(backend),
      gradients_on_host_(backend, Arena::Where::kHost),
      halves_(halves),
      halved_(backend) {}

std::optional<Shortage> Transfer::Reserve(uint64_t batch, std::span<const uint64_t> parameters,
                                          bool gradients) {
  places_.resize(parameters.size());
  uint64_t end = 0;
  for (size_t index = 0; index < parameters.size(); ++index) {
    places_[index] = {.offset = end, .size = parameters[index]};
    end += InLines(parameters[index] * sizeof(float));
  }
  struct Want {
    Arena& there;
    Arena& here;
    Shortage of;
  };
  const std::array wants = {
      Want{parameters_, parameters_on_host_, {"weights", end}},
      Want{gradients_, gradients_on_host_, {"gradients of the weights", gradients ? end : 0}},
      Want{batch_, batch_on_host_, {"rows", batch, false, true}}};
  for (const auto& [there, here, of] : wants) {
    if (!there.Reserve(of.floats)) return of;
    if (here.Reserve(of.floats)) continue;
    return Shortage{of.what, of.floats, true, of.of_batch};
  }
  const uint64_t halves = gradients && halves_ ? end : 0;
  if (!halved_.Reserve(halves)) return Shortage{"gradients of the weights in 16 bits", halves};
  return std::nullopt;
}

template <class T>
std::span<const T> Transfer::Pack(std::span<const T> numbers) {
  const uint64_t floats = InLines(numbers.size_bytes());
  if (floats == 0) return {};
  std::memcpy(batch_on_host_.At(packed_, floats).data(), numbers.data(), numbers.size_bytes());
  const float* const there = batch_.At(packed_, floats).data();
  packed_ += floats;
  return {reinterpret_cast<const T*>(there), numbers.size()};
}

Samples Transfer::Bring(const Samples& samples) {
  packed_ = 0;
  inputs_.clear();
  for (const Input& input : samples.inputs) {
    inputs_.push_back(
        {.floats = Pack(input.floats), .ids = Pack(input.ids), .ends = Pack(input.ends)});
  }
  const Targets targets{.labels = Pack(samples.targets.labels),
                        .values = Pack(samples.targets.values)};
  CopyIn(batch_on_host_, batch_, 0, packed_);
  return {.inputs = inputs_, .targets = targets, .rows = samples.rows, .chance = samples.chance};
}

void Transfer::CopyIn(const Arena& from, const Arena& to, uint64_t offset, uint64_t floats) {
  if (floats == 0) return;
  backend_.CopyIn(from.At(offset, floats), Tensor(to.At(offset, floats), {floats}));
  backend_.Wait(Stream::kCompute, backend_.Record(Stream::kCopyIn));
}

std::span<const float> Transfer::parameter(size_t index) const {
  return parameters_.At(places_[index].offset, places_[index].size);
}

std::span<float> Transfer::gradient(size_t index) const {
  return gradients_.At(places_[index].offset, places_[index].size);
}

void Transfer::BringParameter(size_t index, std::span<const float> host) {
  const Place& place = places_[index];
  SM_ASSERT(host.size() == place.size);
  std::ranges::copy(host, parameters_on_host_.At(place.offset, place.size).begin());
  CopyIn(parameters_on_host_, parameters_, place.offset, place.size);
}

Tensor Transfer::Leaving(size_t index) const {
  const Place& place = places_[index];
  const uint64_t floats = OnItsWay(place);
  return Tensor((halves_ ? halved_ : gradients_).At(place.offset, floats), {floats});
}

void Transfer::MakeReady(size_t index) {
  const uint64_t size = places_[index].size;
  if (halves_ && size > 0) backend_.Halve(ConstTensor(gradient(index), {size}), Leaving(index));
}

void Transfer::BeginToFetch(size_t index) {
  Place& place = places_[index];
  if (place.size == 0) return;
  const Tensor leaves = Leaving(index);
  place.fetched = CopyOutMade(backend_, leaves, gradients_on_host_.At(place.offset, leaves.size()));
}

bool Transfer::Fetch(size_t index, std::span<float> host) {
  const Place& place = places_[index];
  if (place.size == 0) return true;
  if (!backend_.Synchronize(place.fetched)) return false;
  const std::span<const float> come = gradients_on_host_.At(place.offset, OnItsWay(place));
  if (!halves_) {
    std::ranges::copy(come, host.begin());
    return true;
  }
  for (size_t i = 0; i < host.size() / 2; ++i) {
    host[2 * i] = FirstOf(come[i]);
    host[2 * i + 1] = SecondOf(come[i]);
  }
  if (host.size() % 2 > 0) host.back() = FirstOf(come.back());
  return true;
}

}  // namespace shardmill::nn
