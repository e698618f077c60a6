#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "common/process/file_descriptor.h"
#include "tests/fuzz/target.h"

namespace shardmill::fuzz {

// Ends the process where what must hold does not.
void Check(bool holds, const char* words);

inline std::string_view TextOf(Input input) {
  return {reinterpret_cast<const char*>(input.data()), input.size()};
}
inline std::span<const std::byte> BytesOf(Input input) { return std::as_bytes(input); }

// Takes an input apart from its beginning; where it is too short there is less. A value.
class Cutter final {
 public:
  explicit Cutter(Input input) : rest_(input) {}

  uint8_t Byte();
  // A piece whose length, two bytes with the low one first, stands before it.
  Input Piece();
  Input rest() const { return rest_; }

 private:
  Input rest_;
};

// What Cutter::Piece takes off again.
std::string AsPiece(std::string_view bytes);

// A file in memory that can be opened by its path, whole and anew for each input. Owned by its
// target, on its thread; ends the process where the system does not let it.
class MemoryFile final {
 public:
  MemoryFile();

  void Fill(Input bytes);
  const std::string& path() const { return path_; }

 private:
  FileDescriptor file_;
  std::string path_;
};

}  // namespace shardmill::fuzz
