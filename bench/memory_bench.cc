// What a step's block takes, and how long the step, as more of it is computed again.
//   memory_bench NET ROWS SECONDS    0 seconds: without times
#include <array>
#include <cstdint>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "bench/net_runner.h"

namespace shardmill::bench {
namespace {

using nn::Recompute;

struct Measured {
  nn::StepMemory memory = {};
  std::unique_ptr<NetRunner> runner = {};  // Where times are asked for.
};

Result<Measured> Measure(const std::string& net, uint64_t rows, const StepRoom& room, bool timed) {
  Measured measured;
  Device device = Processor();
  const auto network = SM_TRY(nn::Network::Make(SpecOf(net, room), *device.backend));
  SM_TRY(network->MakeRoom(rows));
  measured.memory = network->memory();
  if (!timed) return measured;
  measured.runner =
      SM_TRY(NetRunner::Make(net, rows, NetRunner::Work::kGradients, std::move(device), room));
  return measured;
}

double Percent(double part, double all) { return 100 * part / all; }

void Print(const Measured& measured, double rate, double kept_rate) {
  const nn::StepMemory& memory = measured.memory;
  std::cout << std::fixed << std::setprecision(1) << "| "
            << static_cast<double>(memory.bytes) / (1 << 20) << " | "
            << Percent(static_cast<double>(memory.bytes), static_cast<double>(memory.bytes_if_kept))
            << " | " << memory.again.size() << " | " << 100 * memory.share_again << " | ";
  if (measured.runner) std::cout << Percent(kept_rate, rate);
  std::cout << " |\n";
}

// All is kept, then the block is bounded more and more, and at last as small as it can be. The
// rates are taken turn by turn.
Result<> Run(const std::string& net, uint64_t rows, double seconds) {
  constexpr int kTurns = 5;
  std::vector<Measured> all;
  all.push_back(SM_TRY(Measure(net, rows, {.recompute = Recompute::kNever}, seconds > 0)));
  const uint64_t kept = all[0].memory.bytes;
  const StepRoom least{.recompute = Recompute::kAlways};
  Measured last = SM_TRY(Measure(net, rows, least, seconds > 0));
  for (const uint64_t percent : {90, 75, 50, 33}) {
    const uint64_t bound = kept / 100 * percent;
    if (bound <= last.memory.bytes) continue;
    const StepRoom room{.recompute = Recompute::kAuto, .bytes = bound};
    all.push_back(SM_TRY(Measure(net, rows, room, seconds > 0)));
  }
  all.push_back(std::move(last));
  std::vector<double> rates(all.size());
  for (int turn = 0; turn < kTurns && seconds > 0; ++turn) {
    for (size_t i = 0; i < all.size(); ++i) {
      rates[i] += SM_TRY(all[i].runner->Run(seconds / kTurns, NetRunner::Time::kThread));
    }
  }
  std::cout << "| MiB | % of all kept | layers again | % of the way forward's products | % of the "
               "time |\n| --- | --- | --- | --- | --- |\n";
  for (size_t i = 0; i < all.size(); ++i) Print(all[i], rates[i], rates[0]);
  return {};
}

}  // namespace
}  // namespace shardmill::bench

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "memory_bench NET ROWS SECONDS\n";
    return 2;
  }
  const auto ran = shardmill::bench::Run(argv[1], std::strtoull(argv[2], nullptr, 10),
                                         std::strtod(argv[3], nullptr));
  if (ran.ok()) return 0;
  std::cerr << ran.error().message << "\n";
  return 1;
}
