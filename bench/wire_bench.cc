// What it costs to turn a message into frames and back: bazel run //bench:wire_bench

#include <benchmark/benchmark.h>

#include <vector>

#include "common/messages.h"
#include "common/wire/wire.h"

namespace shardmill {
namespace {

Packet UnitOf(size_t bytes) {
  Unit unit;
  unit.step = 12345;
  unit.gradient = Frame::CopyOf(std::vector<float>(bytes / sizeof(float)));
  Packet packet;
  packet.messages.emplace_back(Stamp{JobId{1}, Generation{1}, Term{1}, BootId{2}, BootId{3}}, unit);
  return packet;
}

void BM_Encode(benchmark::State& state) {
  const Packet packet = UnitOf(static_cast<size_t>(state.range(0)));
  FramePool pool(FramePool::Memory::kPrivate);
  WireCodec codec(pool, {});
  for (auto _ : state) benchmark::DoNotOptimize(codec.Encode(packet));
}
BENCHMARK(BM_Encode)->Arg(64)->Arg(1 << 20);

void BM_Decode(benchmark::State& state) {
  FramePool pool(FramePool::Memory::kPrivate);
  WireCodec codec(pool, {});
  const auto encoded = codec.Encode(UnitOf(static_cast<size_t>(state.range(0))));
  const std::vector<Frame> frames(encoded.begin(), encoded.end());
  Packet packet;
  for (auto _ : state) {
    if (!codec.Decode(frames, packet).ok()) state.SkipWithError("it cannot be read");
  }
}
BENCHMARK(BM_Decode)->Arg(64)->Arg(1 << 20);

}  // namespace
}  // namespace shardmill
