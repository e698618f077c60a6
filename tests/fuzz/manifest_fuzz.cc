// A snapshot's manifest. Where the input's first byte is even the rest is the file; else it is what
// stands behind the checksum, which is made to fit.
#include "common/crc32c.h"
#include "snapshot/manifest.h"
#include "snapshot/shard_file.h"
#include "tests/fuzz/input.h"

namespace shardmill::fuzz {
namespace {

constexpr size_t kCrcBytes = 4;

Manifest Sound() {
  Manifest manifest;
  manifest.job = JobId{77};
  manifest.line = {JobId{70}};
  manifest.name = "job";
  manifest.number = 4;
  manifest.view.generation = Generation{3};
  manifest.view.shards = {{ShardId{0}, {}, {}, "x"}, {ShardId{1}, {}, {}, "y"}};
  manifest.view.tables = {{TableId{1}, {"w", 64, {}, 0, UpdateSettings{}}, {0, 16, 64}},
                          {TableId{4}, {"emb", 0, {}, 3, UpdateSettings{}}, {0, 2000, 4096}}};
  manifest.cut = {{WorkerId{0}, 12, 32.5, 12, 12, 0, 1}, {WorkerId{1}, 11, 32, 11, 11, 0, 0}};
  manifest.data = {100, 10, 2, 30, {{1, 5, 9}, {2, 0, 10}}, 121, {{WorkerId{1}, 9, {}}}};
  manifest.keys = {{"model", "softmax"}};
  manifest.time_ms = 1'700'000'000'000;
  for (uint32_t shard = 0; shard < 2; ++shard) {
    manifest.files.push_back({ShardFileName(ShardId{shard}), 600, 512, {shard, 7}, 40 + shard});
  }
  return manifest;
}

// The magic text that a manifest begins with.
std::string Beginning() {
  const std::string whole = EncodeManifest({});
  return whole.substr(0, whole.find('\n') + 1);
}

}  // namespace

void Try(Input input) {
  static const std::string beginning = Beginning();
  Cutter cutter(input);
  const bool sound_checksum = cutter.Byte() % 2 == 1;
  std::string bytes(TextOf(cutter.rest()));
  if (sound_checksum) {
    const uint32_t crc = Crc32c(BytesOf(cutter.rest()));
    std::string begin = beginning;
    for (size_t i = 0; i < kCrcBytes; ++i) begin += static_cast<char>(crc >> (8 * i));
    bytes = begin + bytes;
  }
  const Result<Manifest> manifest = DecodeManifest(bytes);
  if (!manifest.ok()) return;
  const std::string first = EncodeManifest(manifest.value());
  const Result<Manifest> again = DecodeManifest(first);
  Check(again.ok(), "what we write of a manifest that we took is taken");
  Check(EncodeManifest(again.value()) == first, "it is the same manifest");
}

std::vector<std::string> Seeds() {
  const std::string whole = EncodeManifest(Sound());
  return {std::string(1, '\0') + whole, "\1" + whole.substr(Beginning().size() + kCrcBytes)};
}

}  // namespace shardmill::fuzz
