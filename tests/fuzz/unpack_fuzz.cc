// Packed bytes: gzip, Zstandard, bzip2 and xz, told apart by how they begin. The input is the file.
#include <algorithm>

#include "tests/fuzz/input.h"
#include "tests/worker/data/files.h"
#include "worker/data/byte_source.h"

namespace shardmill::fuzz {
namespace {

// Above it a file is refused: a few bytes may unpack to more than there is memory.
constexpr uint64_t kBytesMax = 1 << 16;

}  // namespace

void Try(Input input) {
  const std::unique_ptr<ByteSource> source = SourceOf(input, "f");
  const Result<std::vector<uint8_t>> whole = ReadAll(*source, "f", kBytesMax);
  if (!whole.ok()) return Check(!whole.error().message.empty(), "who refuses says why");
  Check(whole.value().size() <= kBytesMax, "the bound holds");
  // The same comes of it where it is read in small pieces.
  const std::unique_ptr<ByteSource> again = SourceOf(input, "f");
  std::vector<uint8_t> pieces;
  std::vector<uint8_t> piece(7 + input.size() % 300);
  while (true) {
    const Result<size_t> read = again->Read(piece);
    Check(read.ok(), "what could be read at once can be read in pieces");
    if (read.value() == 0) break;
    pieces.insert(pieces.end(), piece.begin(), piece.begin() + static_cast<long>(read.value()));
  }
  Check(pieces == whole.value(), "pieces make the whole");
}

std::vector<std::string> Seeds() {
  const std::vector<uint8_t> text = shardmill::BytesOf("three three three words\n");
  std::vector<std::string> seeds;
  for (const auto& pack : {Gzipped, Zstandarded, Bzipped, Xzipped}) {
    const std::vector<uint8_t> packed = pack(text);
    seeds.emplace_back(TextOf(packed));
    seeds.push_back(seeds.back() + seeds.back());
  }
  return seeds;
}

}  // namespace shardmill::fuzz
