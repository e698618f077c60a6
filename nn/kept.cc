#include "nn/kept.h"

#include <algorithm>
#include <cstring>

#include "common/assert.h"
#include "nn/transfer.h"

namespace shardmill::nn {
namespace {

constexpr uint64_t kSquares = sizeof(double) / sizeof(float);

Tensor Flat(std::span<float> floats) { return Tensor(floats, {floats.size()}); }
ConstTensor Flat(std::span<const float> floats) { return ConstTensor(floats, {floats.size()}); }

}  // namespace

Kept::Kept(Backend& backend)
    : backend_(backend),
      parameters_(backend),
      gradients_(backend),
      state_(backend),
      squares_(backend),
      squares_on_host_(backend, Arena::Where::kHost),
      on_host_(backend, Arena::Where::kHost) {}

bool Kept::Hold(std::span<const uint64_t> sizes, std::span<const Optimizer* const> rules) {
  SM_ASSERT(sizes.size() == rules.size());
  uint64_t floats = 0, state = 0;
  for (size_t index = 0; index < sizes.size(); ++index) {
    places_.push_back(
        {.offset = floats, .size = sizes[index], .state = state, .rule = rules[index]});
    floats += InLines(sizes[index] * sizeof(float));
    state += InLines(StateSize(places_.back()) * sizeof(float));
  }
  told_.resize(sizes.size());
  const uint64_t squares = kSquares * sizes.size();
  const bool holds = parameters_.Reserve(floats) && gradients_.Reserve(floats) &&
                     on_host_.Reserve(floats) && state_.Reserve(state) &&
                     squares_.Reserve(squares) && squares_on_host_.Reserve(squares);
  if (!holds) return false;
  backend_.Fill(0.0F, Flat(gradients_.At(0, floats)));
  backend_.Fill(0.0F, Flat(squares_.At(0, squares)));
  if (state > 0) backend_.Fill(0.0F, Flat(state_.At(0, state)));
  return true;
}

std::span<float> Kept::parameter(size_t index) const {
  return parameters_.At(places_[index].offset, places_[index].size);
}

std::span<float> Kept::gradient(size_t index) const {
  return gradients_.At(places_[index].offset, places_[index].size);
}

void Kept::Forget() {
  for (Place& place : places_) place.there = false;
}

void Kept::Bring(size_t index, std::span<const float> host) {
  if (places_[index].there) return;
  Lend(index, host);
  places_[index].there = true;
}

void Kept::Lend(size_t index, std::span<const float> host) {
  Place& place = places_[index];
  SM_ASSERT(host.size() == place.size);
  place.there = false;
  const std::span<float> here = on_host_.At(place.offset, place.size);
  std::ranges::copy(host, here.begin());
  // A step may still be under way there.
  backend_.Wait(Stream::kCopyIn, backend_.Record(Stream::kCompute));
  backend_.CopyIn(here, Flat(parameter(index)));
  backend_.Wait(Stream::kCompute, backend_.Record(Stream::kCopyIn));
}

Tensor Kept::SquaresOf(size_t index) const { return Flat(squares_.At(kSquares * index, kSquares)); }

void Kept::Measure(size_t index) {
  backend_.SumSquares(Flat(std::span<const float>(gradient(index))), SquaresOf(index));
}

void Kept::ForgetGradient(size_t index) {
  backend_.Fill(0.0F, Flat(gradient(index)));
  told_[index] = 0;
}

void Kept::BeginToTell() {
  const uint64_t floats = kSquares * places_.size();
  CopyOutMade(backend_, Flat(std::span<const float>(squares_.At(0, floats))),
              squares_on_host_.At(0, floats));
}

void Kept::TakeTold() {
  std::memcpy(told_.data(), squares_on_host_.At(0, kSquares * places_.size()).data(),
              places_.size() * sizeof(double));
}

void Kept::Step(std::span<const UpdateTime> times) {
  SM_ASSERT(times.size() == places_.size());
  for (size_t index = 0; index < places_.size(); ++index) {
    if (!has(index)) continue;
    const Place& place = places_[index];
    backend_.Step(*place.rule, times[index], Flat(std::span<const float>(gradient(index))),
                  Flat(parameter(index)), Flat(state_.At(place.state, StateSize(place))));
  }
  ++steps_;
}

void Kept::PutState(size_t index, std::span<const float> host) {
  const Place& place = places_[index];
  SM_ASSERT(host.size() == StateSize(place));
  for (uint64_t begin = 0; begin < host.size(); begin += place.size) {
    const std::span<float> here = on_host_.At(place.offset, place.size);
    std::ranges::copy(host.subspan(begin, place.size), here.begin());
    backend_.Wait(Stream::kCopyIn, backend_.Record(Stream::kCompute));
    backend_.CopyIn(here, Flat(state_.At(place.state + begin, place.size)));
    const Event there = backend_.Record(Stream::kCopyIn);
    backend_.Wait(Stream::kCompute, there);
    // The next slot goes through the same memory. A device that has failed says so in a step.
    static_cast<void>(backend_.Synchronize(there));
  }
}

bool Kept::Fetch(std::span<const float> from, std::span<float> host) {
  SM_ASSERT(from.size() == host.size());
  if (host.empty()) return true;
  const std::span<float> here = on_host_.At(0, host.size());
  if (!backend_.Synchronize(CopyOutMade(backend_, Flat(from), here))) return false;
  std::ranges::copy(here, host.begin());
  return true;
}

bool Kept::FetchParameter(size_t index, std::span<float> host) {
  return Fetch(parameter(index), host);
}

bool Kept::FetchGradient(size_t index, std::span<float> host) {
  return Fetch(gradient(index), host);
}

bool Kept::FetchState(size_t index, std::span<float> host) {
  const Place& place = places_[index];
  for (uint64_t begin = 0; begin < host.size(); begin += place.size) {
    const std::span<float> from = state_.At(place.state + begin, place.size);
    if (!Fetch(from, host.subspan(begin, place.size))) return false;
  }
  return true;
}

}  // namespace shardmill::nn
