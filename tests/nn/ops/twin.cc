#include "tests/nn/ops/twin.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <utility>

#include "nn/build_id.h"
#include "tests/nn/soft_card/open.h"
#include "worker/device.h"

namespace shardmill::nn {
namespace {

// As floats, which is what memory is counted in.
template <class T>
std::vector<float> AsFloats(const std::vector<T>& numbers) {
  std::vector<float> floats(numbers.size() * sizeof(T) / sizeof(float));
  if (!floats.empty()) std::memcpy(floats.data(), numbers.data(), numbers.size() * sizeof(T));
  return floats;
}

}  // namespace

Result<LoadedPlugin::BackendPointer> OpenDeviceNamed(const std::string& name, uint64_t seed,
                                                     const BackendSettings& settings) {
  if (name == "copies") {
    const auto destroy = [](Backend* backend) { std::unique_ptr<Backend> gone(backend); };
    return LoadedPlugin::BackendPointer(std::make_unique<CpuBackend>(false).release(), {destroy});
  }
  if (name != "card") {
    return OpenSoftCard({.seed = seed, .convolves = name == "soft"}, settings);
  }
  const std::string built = "nn/ops/cuda/libshardmill_cuda.so";
  const std::string library = std::filesystem::exists(built) ? built : CardLibrary();
  const std::unique_ptr<LoadedPlugin> plugin = SM_TRY(LoadedPlugin::Open(library, kBuildId));
  return plugin->Make(settings);
}

Twin::~Twin() {
  for (float* const memory : of_here_) here_.Release(memory);
  for (float* const memory : of_other_) other_.Release(memory);
}

Pair Twin::Make(const Shape& shape, const std::vector<float>& numbers) {
  of_here_.push_back(here_.Allocate(numbers.size()));
  of_other_.push_back(other_.Allocate(numbers.size()));
  SM_ASSERT(of_here_.back() != nullptr && of_other_.back() != nullptr);
  std::ranges::copy(numbers, of_here_.back());
  const Pair pair{{{of_here_.back(), numbers.size()}, shape},
                  {{of_other_.back(), numbers.size()}, shape}};
  other_.CopyIn(numbers, pair.there);
  SM_ASSERT(other_.Synchronize(other_.Record(Stream::kCopyIn)));
  return pair;
}

Pair Twin::In(const Shape& shape, double low, double high) {
  std::vector<float> numbers(shape.size());
  for (float& number : numbers) number = static_cast<float>(low + (high - low) * rng_.Uniform());
  return Make(shape, numbers);
}

Pair Twin::Ids(uint64_t count, uint64_t limit) {
  std::vector<uint32_t> ids(count);
  for (uint32_t& id : ids) id = static_cast<uint32_t>(rng_.Below(limit));
  return Make({count}, AsFloats(ids));
}

Pair Twin::Ends(uint64_t rows, uint64_t* end) {
  std::vector<uint64_t> ends(rows);
  *end = 0;
  for (uint64_t& each : ends) each = *end += rng_.Below(4);
  return Make({2 * rows}, AsFloats(ends));
}

Pair Twin::Out(const Shape& shape) {
  return Make(shape, std::vector<float>(shape.size(), std::numeric_limits<float>::quiet_NaN()));
}

Pair Twin::Copy(const Pair& from) {
  const std::span<const float> numbers = from.here.floats();
  return Make(from.here.shape(), {numbers.begin(), numbers.end()});
}

void Twin::Run(const std::function<void(Backend&)>& operation) {
  operation(here_);
  operation(other_);
}

std::vector<float> Twin::There(const Pair& pair) {
  other_.Wait(Stream::kCopyOut, other_.Record(Stream::kCompute));
  std::vector<float> numbers(pair.there.size());
  other_.CopyOut(pair.there, numbers);
  const bool good = other_.Synchronize(other_.Record(Stream::kCopyOut));
  if (!good) numbers.assign(numbers.size(), std::numeric_limits<float>::quiet_NaN());
  return numbers;
}

double Twin::Difference(const Pair& pair) {
  const std::vector<float> got = There(pair);
  double greatest = 1e-30, apart = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const auto want = static_cast<double>(pair.here.data()[i]);
    const double difference = std::abs(static_cast<double>(got[i]) - want);
    if (!std::isfinite(difference)) return std::numeric_limits<double>::infinity();
    greatest = std::max(greatest, std::abs(want));
    apart = std::max(apart, difference);
  }
  return apart / greatest;
}

std::span<const uint32_t> IdsOf(const Pair& pair, const Backend& backend) {
  const ConstTensor ids = pair.in(backend);
  return {reinterpret_cast<const uint32_t*>(ids.data()), ids.size()};
}

std::span<const uint64_t> EndsOf(const Pair& pair, const Backend& backend) {
  const ConstTensor ends = pair.in(backend);
  return {reinterpret_cast<const uint64_t*>(ends.data()), ends.size() / 2};
}

}  // namespace shardmill::nn
