#include "tests/fuzz/input.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace shardmill::fuzz {

void Check(bool holds, const char* words) {
  if (holds) return;
  std::fprintf(stderr, "what must hold does not: %s\n", words);
  std::abort();
}

uint8_t Cutter::Byte() {
  if (rest_.empty()) return 0;
  const uint8_t byte = rest_.front();
  rest_ = rest_.subspan(1);
  return byte;
}

Input Cutter::Piece() {
  const size_t low = Byte();
  const size_t said = low | static_cast<size_t>(Byte()) << 8;
  const size_t size = std::min(said, rest_.size());
  const Input piece = rest_.first(size);
  rest_ = rest_.subspan(size);
  return piece;
}

std::string AsPiece(std::string_view bytes) {
  std::string piece{static_cast<char>(bytes.size() & 0xff), static_cast<char>(bytes.size() >> 8)};
  return piece.append(bytes);
}

MemoryFile::MemoryFile() : file_(memfd_create("input", MFD_CLOEXEC)) {
  Check(file_.get() >= 0, "the system has memory for a file");
  path_ = "/proc/self/fd/" + std::to_string(file_.get());
}

void MemoryFile::Fill(Input bytes) {
  const auto size = static_cast<ssize_t>(bytes.size());
  const bool filled = ftruncate(file_.get(), size) == 0 &&
                      pwrite(file_.get(), bytes.data(), bytes.size(), 0) == size;
  Check(filled, "the system has memory for a file");
}

}  // namespace shardmill::fuzz
