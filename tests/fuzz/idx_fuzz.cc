// A pair of IDX files: the labels as a piece, then the images.
#include "tests/fuzz/checked_rows.h"
#include "tests/fuzz/input.h"
#include "tests/worker/data/files.h"
#include "worker/data/idx_reader.h"

namespace shardmill::fuzz {

void Try(Input input) {
  static MemoryFile images;
  static MemoryFile labels;
  Cutter cutter(input);
  labels.Fill(cutter.Piece());
  images.Fill(cutter.rest());
  CheckedRows rows;
  const Result<> read = ReadIdx({images.path(), labels.path()}, rows);
  Check(read.ok() || !read.error().message.empty(), "who refuses says why");
}

std::vector<std::string> Seeds() {
  const std::vector<uint8_t> pixels = {0, 1, 2, 3, 4, 5, 250, 251, 252, 253, 254, 255};
  const std::vector<uint8_t> classes = {3, 9};
  const std::vector<uint8_t> images = Idx({2, 3, 2}, pixels);
  const std::vector<uint8_t> labels = Idx({2}, classes);
  const std::vector<uint8_t> packed = Gzipped(images);
  const std::string first = AsPiece(TextOf(labels));
  return {first + std::string(TextOf(images)), first + std::string(TextOf(packed))};
}

}  // namespace shardmill::fuzz
