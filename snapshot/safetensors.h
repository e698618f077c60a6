#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"

// The safetensors format: 8 bytes, little-endian, the length of a header; the header, JSON; then
// the tensors' bytes. Whoever writes streams: the header first, then the bytes in the tensors'
// order.
namespace shardmill {

enum class Dtype : uint8_t { kF32, kU64, kI64, kU8 };
std::string_view NameOf(Dtype dtype);
uint64_t BytesOf(Dtype dtype);

struct Tensor {
  std::string name = {};
  Dtype dtype = Dtype::kF32;
  std::vector<uint64_t> shape = {};
  uint64_t begin = 0;  // Where its bytes lie, in the file.
  uint64_t end = 0;

  bool operator==(const Tensor&) const = default;
};

// What a file has. A value.
struct TensorIndex {
  std::vector<std::pair<std::string, std::string>> metadata = {};
  std::vector<Tensor> tensors = {};  // As their bytes lie.

  const Tensor* Find(std::string_view name) const;
  const std::string* Metadata(std::string_view key) const;
};

// The largest header that the format allows, in bytes.
inline constexpr uint64_t kTensorHeaderMax = 100'000'000;

// The first bytes of a file, length and header: fills in where the tensors will lie, one after the
// other. Fails on names that are no UTF-8, occur twice or are taken by the format, on shapes beyond
// all sizes, and on more tensors than a header may have.
Result<std::string> FormatTensorHeader(TensorIndex& index);

// Reads bytes of a file, from `begin` on.
using ReadBytes = std::function<Result<>(uint64_t begin, std::span<std::byte> to)>;

// Reads length and header of a file of so many bytes, believing nothing: the tensors must cover all
// that follows the header, once, and each be as large as its shape says. The errors are kBadInput.
Result<TensorIndex> ReadTensorHeader(uint64_t file_bytes, const ReadBytes& read);

}  // namespace shardmill
