#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/result.h"

namespace shardmill {

enum class Unpacked : uint8_t {
  kMore,  // It goes on once there are more bytes or more room.
  kEnd,   // The stream ended well, its checks included.
  kBad,
};

// One packed stream. Owned by a source, on its thread. What is wrong with the bytes is told by Run;
// nothing else fails but memory.
class Unpacker {
 public:
  virtual ~Unpacker() = default;

  // Moves on in both spans.
  virtual Unpacked Run(std::span<const uint8_t>& in, std::span<uint8_t>& out) = 0;
  // A name, the same pointer for all of a kind: "gzip".
  virtual const char* format() const = 0;
  // What was bad, in the library's words.
  virtual std::string message() const = 0;
};

inline constexpr size_t kMagicBytesMax = 6;

// For the stream that begins with these bytes; null where they are none of ours.
std::unique_ptr<Unpacker> UnpackerFor(std::span<const uint8_t> begin);

// The streams inside R's files, which say of themselves what they are.
std::unique_ptr<Unpacker> MakeZlibUnpacker();
std::unique_ptr<Unpacker> MakeBzip2Unpacker();
std::unique_ptr<Unpacker> MakeRawLzmaUnpacker();

}  // namespace shardmill
