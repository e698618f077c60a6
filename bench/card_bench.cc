// What a card does, beside which tools/gpu/run sets what PyTorch does on it.
//   card_bench NET ROWS SECONDS float|tf32|bf16   gradients as a worker finds them: samples a
//                                                 second, and what that is of products and copies
//   card_bench NET ROWS SECONDS float|tf32|bf16 steps
//                                                 whole steps of plain descent, with weights that
//                                                 stay on the card: samples a second
//   card_bench ceilings                           what these come to at best
//   card_bench card                               which one it is
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/net_runner.h"
#include "bench/stopwatch.h"
#include "common/assert.h"
#include "worker/device.h"

namespace shardmill::bench {
namespace {

using nn::Backend;
using nn::Stream;
using nn::Tensor;

constexpr std::array<std::pair<std::string_view, ProductRounding>, 3> kProducts = {{
    {"float", ProductRounding::kFloat},
    {"tf32", ProductRounding::kTf32},
    {"bf16", ProductRounding::kBf16},
}};

Result<Device> Card(ProductRounding products) {
  return OpenDevice({.compute = {.device = ComputeDevice::kCuda, .products = products},
                     .library = CardLibrary()});
}

// Memory of the device or of the host, given back at the end.
class Block final {
 public:
  Block(Backend& backend, uint64_t floats, bool on_host = false)
      : backend_(backend),
        on_host_(on_host),
        floats_(floats),
        memory_(on_host ? backend.AllocateHost(floats) : backend.Allocate(floats)) {
    SM_ASSERT(memory_ != nullptr);
  }
  ~Block() { on_host_ ? backend_.ReleaseHost(memory_) : backend_.Release(memory_); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  Tensor As(const nn::Shape& shape) const { return {{memory_, floats_}, shape}; }

 private:
  Backend& backend_;
  const bool on_host_;
  const uint64_t floats_;
  float* const memory_;
};

// Seconds of one of many.
template <class Work>
double Seconds(Backend& backend, Stream stream, Work work) {
  constexpr int kTimes = 20;
  const auto wait = [&] { SM_ASSERT(backend.Synchronize(backend.Record(stream))); };
  for (int warm = 0; warm < 3; ++warm) work();
  wait();
  const Stopwatch watch;
  for (int i = 0; i < kTimes; ++i) work();
  wait();
  return watch.Seconds() / kTimes;
}

double TeraflopsOfProducts(Backend& backend) {
  constexpr uint64_t kEdge = 8192;
  const Block left(backend, kEdge * kEdge), right(backend, kEdge * kEdge),
      out(backend, kEdge * kEdge);
  const nn::Shape square{kEdge, kEdge};
  // Not zeros, which cost a card less.
  backend.Fill(0.37F, left.As(square));
  backend.Fill(-1.91F, right.As(square));
  const double seconds = Seconds(backend, Stream::kCompute, [&] {
    backend.Affine(left.As(square), right.As(square), {}, {}, out.As(square));
  });
  return 2.0 * kEdge * kEdge * kEdge / seconds / 1e12;
}

Result<> PrintCeilings() {
  for (const auto& [name, products] : kProducts) {
    const Device card = SM_TRY(Card(products));
    std::cout << name << "_teraflops " << TeraflopsOfProducts(*card.backend) << "\n";
  }
  constexpr uint64_t kFloats = uint64_t{64} << 20;
  constexpr double kGigabytes = 4.0 * kFloats / 1e9;
  const Device card = SM_TRY(Card(ProductRounding::kFloat));
  Backend& backend = *card.backend;
  const Block from(backend, kFloats), to(backend, kFloats), host(backend, kFloats, true);
  const nn::Shape line{kFloats};
  const auto copy = [&] { backend.Copy(from.As({kFloats / 64, 64}), to.As({kFloats / 64, 64})); };
  const auto in = [&] { backend.CopyIn(host.As(line).floats(), from.As(line)); };
  const auto out = [&] { backend.CopyOut(from.As(line), host.As(line).floats()); };
  std::cout << "device " << card.words << "\n"
            << "copy_gigabytes " << 2 * kGigabytes / Seconds(backend, Stream::kCompute, copy)
            << "\n"
            << "in_gigabytes " << kGigabytes / Seconds(backend, Stream::kCopyIn, in) << "\n"
            << "out_gigabytes " << kGigabytes / Seconds(backend, Stream::kCopyOut, out) << "\n";
  return {};
}

// In which ways it was slower than it could have been.
void PrintSlower(const NetRunner& runner) {
  const nn::ConvolutionCounts convolutions = runner.backend().convolutions();
  if (convolutions.by_kernels > 0) {
    std::cout << "slower " << convolutions.by_kernels << " of "
              << convolutions.by_kernels + convolutions.by_library << " convolutions by kernels\n";
  }
  const std::string why = runner.network().NotRecordedWords();
  if (!why.empty()) std::cout << "slower not recorded, since " << why << "\n";
}

Result<> MeasureSteps(const std::string& net, uint64_t rows, double seconds, Device card) {
  const std::unique_ptr<NetRunner> runner =
      SM_TRY(NetRunner::Make(net, rows, NetRunner::Work::kSteps, std::move(card)));
  if (runner->network().kept() == nullptr) {
    return Error{ErrorCode::kFailed, "the card has no room for the weights"};
  }
  std::cout << "samples_per_second " << SM_TRY(runner->Run(seconds, NetRunner::Time::kWall))
            << "\n";
  PrintSlower(*runner);
  return {};
}

// Convolutions keep 10 bits of fraction where products have 7, and take the longer.
std::string_view CeilingOf(std::string_view products, const NetRunner& runner) {
  return products == "bf16" && runner.backend().convolutions().by_library > 0 ? "tf32" : products;
}

Result<> Measure(const std::string& net, uint64_t rows, double seconds, std::string_view products,
                 Device card) {
  const std::unique_ptr<NetRunner> runner =
      SM_TRY(NetRunner::Make(net, rows, NetRunner::Work::kGradients, std::move(card)));
  const double rate = SM_TRY(runner->Run(seconds, NetRunner::Time::kWall));
  const nn::Network& network = runner->network();
  const double steps = rate / static_cast<double>(rows);
  uint64_t parameters = 0;
  for (const nn::ParameterInfo& info : network.parameters()) parameters += info.shape.size();
  const uint64_t batch = rows * (network.inputs()[0].type.row.size() + 1);
  const auto gigabytes = [steps](uint64_t floats) {
    return 4e-9 * static_cast<double>(floats) * steps;
  };
  std::cout << "samples_per_second " << rate << "\n"
            << "teraflops " << 2e-12 * static_cast<double>(network.products_of_step()) * rate
            << "\n"
            << "ceiling " << CeilingOf(products, *runner) << "\n"
            << "in_gigabytes " << gigabytes(parameters + batch) << "\n"
            << "out_gigabytes " << gigabytes(parameters) << "\n";
  PrintSlower(*runner);
  return {};
}

Result<> Run(const std::vector<std::string>& arguments) {
  if (arguments == std::vector<std::string>{"ceilings"}) return PrintCeilings();
  if (arguments == std::vector<std::string>{"card"}) {
    const Device card = SM_TRY(Card(ProductRounding::kFloat));
    std::cout << card.words << "\n";
    return {};
  }
  const bool steps = arguments.size() == 5 && arguments[4] == "steps";
  const auto products =
      std::ranges::find(kProducts, steps || arguments.size() == 4 ? arguments[3] : "",
                        &std::pair<std::string_view, ProductRounding>::first);
  if (products == kProducts.end()) {
    return Error{ErrorCode::kBadUsage,
                 "card_bench NET ROWS SECONDS float|tf32|bf16 [steps], card_bench ceilings, or "
                 "card_bench card"};
  }
  Device card = SM_TRY(Card(products->second));
  const uint64_t rows = std::strtoull(arguments[1].c_str(), nullptr, 10);
  const double seconds = std::strtod(arguments[2].c_str(), nullptr);
  return steps ? MeasureSteps(arguments[0], rows, seconds, std::move(card))
               : Measure(arguments[0], rows, seconds, products->first, std::move(card));
}

}  // namespace
}  // namespace shardmill::bench

int main(int argc, char** argv) {
  const shardmill::Result<> done =
      shardmill::bench::Run(std::vector<std::string>(argv + 1, argv + argc));
  if (done.ok()) return 0;
  std::cerr << done.error().message << "\n";
  return 1;
}
