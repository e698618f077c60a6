// A shard's log. The input's first byte says what the rest is: the file as it is found, or pieces
// that are batches with sound checksums, whose items are any bytes.
#include <cstring>
#include <memory>

#include "common/blob/memory_files.h"
#include "common/crc32c.h"
#include "common/rng.h"
#include "server/shard_log.h"
#include "tests/common/wire/codec.h"
#include "tests/common/wire/random_packet.h"
#include "tests/fuzz/input.h"

namespace shardmill::fuzz {
namespace {

constexpr const char* kPath = "log";
constexpr const char* kAgain = "again";
constexpr size_t kBatchesMax = 16;

struct Read {
  Stamp stamp;
  std::vector<Follow> items;
};

Result<Read> ReadAll(FileSystem& files, const char* path) {
  Read read;
  SM_TRY(ReadShardLog(files, path, TestFrames(), [&](const Stamp& stamp, Follow item) -> Result<> {
    read.stamp = stamp;
    read.items.push_back(std::move(item));
    return {};
  }));
  return read;
}

std::string TextAt(FileSystem& files, const char* path) {
  std::string text(files.Size(path).value(), '\0');
  Check(files.Read(path, 0, std::as_writable_bytes(std::span(text))).ok(), "it can be read");
  return text;
}

void WriteAll(FileSystem& files, const char* path, const Read& what) {
  const auto writer = ShardLogWriter::Begin(files, path, TestFrames());
  Check(writer.ok() && writer.value()->Append(what.stamp, what.items, true).ok(),
        "a log can be written");
}

// What is taken is what we could have written: it comes back from our own bytes as it was.
void TryFile(FileSystem& files) {
  const Result<Read> read = ReadAll(files, kPath);
  if (!read.ok()) return;
  WriteAll(files, kAgain, read.value());
  const std::string first = TextAt(files, kAgain);
  const Result<Read> again = ReadAll(files, kAgain);
  Check(again.ok() && again.value().items.size() == read.value().items.size(), "all is there");
  WriteAll(files, kAgain, again.value());
  Check(TextAt(files, kAgain) == first, "it is the same");
}

void Append(std::string& to, uint64_t value, size_t bytes) {
  to.append(reinterpret_cast<const char*>(&value), bytes);
}

// A batch as it stands in a file.
std::string BatchOf(uint32_t number, bool takes_over, std::string_view body) {
  std::string batch;
  Append(batch, body.size(), sizeof(uint64_t));
  Append(batch, number, sizeof(uint32_t));
  Append(batch, takes_over ? 1 : 0, sizeof(uint32_t));
  Append(batch, Crc32c(std::as_bytes(std::span(body))), sizeof(uint32_t));
  Append(batch, Crc32c(std::as_bytes(std::span(batch))), sizeof(uint32_t));
  return batch.append(body);
}

void Place(FileSystem& files, std::string_view text) {
  const Result<std::unique_ptr<File>> file = files.CreateNew(kPath);
  Check(file.ok() && file.value()->Append(std::as_bytes(std::span(text))).ok(),
        "a file in memory can be written");
}

void TryBatches(Input input) {
  Cutter cutter(input);
  std::string text("shmilog\1", 8);
  for (uint32_t number = 1; number <= kBatchesMax && !cutter.rest().empty(); ++number) {
    const Input body = cutter.Piece();
    text += BatchOf(number, number == 1, TextOf(body));
  }
  MemoryFiles files(1);
  Place(files, text);
  TryFile(files);
}

Follow SomeItem(Rng& rng) {
  constexpr size_t kKinds = std::variant_size_v<Message>;
  for (size_t kind = 0;; kind = (kind + 1) % kKinds) {
    Message message = RandomMessage(rng, kind);
    if (auto* follow = std::get_if<Follow>(&message)) return std::move(*follow);
  }
}

}  // namespace

void Try(Input input) {
  Cutter cutter(input);
  if (cutter.Byte() % 2 == 1) return TryBatches(cutter.rest());
  MemoryFiles files(1);
  Place(files, TextOf(cutter.rest()));
  TryFile(files);
}

std::vector<std::string> Seeds() {
  Rng rng(1);
  std::vector<std::string> seeds;
  for (int i = 0; i < 8; ++i) {
    MemoryFiles files(1);
    Read what{{JobId{1}, Generation{2}, Term{3}, BootId{4}, BootId{}}, {}};
    for (int k = 0; k < 3; ++k) what.items.push_back(SomeItem(rng));
    WriteAll(files, kPath, what);
    const std::string whole = TextAt(files, kPath);
    constexpr size_t kBody = 8 + 24;  // Behind the magic and the head of the batch.
    seeds.push_back(std::string(1, '\0') + whole);
    if (whole.size() < kBody + 65536) seeds.push_back("\1" + AsPiece(whole.substr(kBody)));
  }
  return seeds;
}

}  // namespace shardmill::fuzz
