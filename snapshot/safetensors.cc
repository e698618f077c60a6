#include "snapshot/safetensors.h"

#include <algorithm>
#include <array>
#include <set>

#include "common/config/text.h"
#include "common/json/json.h"

namespace shardmill {
namespace {

constexpr std::string_view kMetadata = "__metadata__";
constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kAlignment =
    8;  // Of the first tensor, so that its numbers can be used in place.

constexpr std::array kDtypes = {Dtype::kF32, Dtype::kU64, Dtype::kI64, Dtype::kU8};

Error Bad(const std::string& what) { return {ErrorCode::kBadInput, "no safetensors: " + what}; }

// What a tensor of this shape takes, or nothing where that is beyond all sizes.
std::optional<uint64_t> TensorBytes(Dtype dtype, std::span<const uint64_t> shape) {
  uint64_t bytes = BytesOf(dtype);
  for (const uint64_t size : shape) {
    if (__builtin_mul_overflow(bytes, size, &bytes)) return {};
  }
  return bytes;
}

std::array<std::byte, kLengthBytes> LittleEndian(uint64_t value) {
  std::array<std::byte, kLengthBytes> bytes{};
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(value >> (8 * i));
  return bytes;
}

uint64_t FromLittleEndian(const std::array<std::byte, kLengthBytes>& bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i)
    value |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  return value;
}

Result<std::vector<uint64_t>> ReadWholes(const JsonValue& json, const std::string& words) {
  if (json.kind != JsonValue::Kind::kList) return Bad(words + " is no list");
  std::vector<uint64_t> wholes;
  for (const JsonValue& item : json.items) {
    if (!item.is_whole) return Bad(words + " is no list of whole numbers");
    wholes.push_back(item.whole);
  }
  return wholes;
}

Result<Dtype> ReadDtype(const JsonValue& json, const std::string& words) {
  if (json.kind != JsonValue::Kind::kText) return Bad(words + " has a dtype that is no text");
  for (const Dtype dtype : kDtypes) {
    if (NameOf(dtype) == json.text) return dtype;
  }
  return Bad(words + " has the dtype " + config::QuoteForMessage(json.text) +
             "; known here are F32, U64, I64 and U8");
}

// The tensor's place is still counted from the first tensor's.
Result<Tensor> ReadTensor(const std::string& name, const JsonValue& json) {
  const std::string words = "the tensor " + config::QuoteForMessage(name);
  const JsonValue* dtype = json.Find("dtype");
  const JsonValue* shape = json.Find("shape");
  const JsonValue* offsets = json.Find("data_offsets");
  if (!dtype || !shape || !offsets || json.members.size() != 3) {
    return Bad(words + " is not made of dtype, shape and data_offsets");
  }
  Tensor tensor;
  tensor.name = name;
  tensor.dtype = SM_TRY(ReadDtype(*dtype, words));
  tensor.shape = SM_TRY(ReadWholes(*shape, words + ": its shape"));
  const std::vector<uint64_t> place = SM_TRY(ReadWholes(*offsets, words + ": data_offsets"));
  if (place.size() != 2 || place[0] > place[1])
    return Bad(words + " does not begin before it ends");
  tensor.begin = place[0];
  tensor.end = place[1];
  const std::optional<uint64_t> bytes = TensorBytes(tensor.dtype, tensor.shape);
  if (!bytes || *bytes != tensor.end - tensor.begin) {
    return Bad(words + " has " + std::to_string(tensor.end - tensor.begin) +
               " bytes, which is not what its shape says");
  }
  return tensor;
}

Result<> ReadMetadata(const JsonValue& json, TensorIndex& index) {
  if (json.kind != JsonValue::Kind::kObject) return Bad("__metadata__ is no object");
  for (const auto& [key, value] : json.members) {
    if (value.kind != JsonValue::Kind::kText) {
      return Bad("in __metadata__ " + config::QuoteForMessage(key) + " is no text");
    }
    index.metadata.emplace_back(key, value.text);
  }
  return {};
}

Result<TensorIndex> ParseHeader(std::string_view header, uint64_t data_begin, uint64_t data_bytes) {
  // What JSON allows before and behind an object the format does not, but for blanks behind.
  const size_t last = header.find_last_not_of(' ');
  if (!header.starts_with('{') || header[last] != '}') {
    return Bad("the header does not begin with { and end with }");
  }
  if (!IsUtf8(header)) return Bad("the header is no UTF-8");
  const JsonValue json = SM_TRY(ParseJson(header, kTensorHeaderMax));
  TensorIndex index;
  for (const auto& [name, value] : json.members) {
    if (name == kMetadata) {
      SM_TRY(ReadMetadata(value, index));
    } else {
      index.tensors.push_back(SM_TRY(ReadTensor(name, value)));
    }
  }
  std::ranges::stable_sort(index.tensors, [](const Tensor& a, const Tensor& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t at = 0;
  for (Tensor& tensor : index.tensors) {
    if (tensor.begin != at) {
      return Bad("the tensor " + config::QuoteForMessage(tensor.name) + " begins at byte " +
                 std::to_string(tensor.begin) + " of the data, where " + std::to_string(at) +
                 " comes next");
    }
    at = tensor.end;
    if (at > data_bytes) break;
    tensor.begin += data_begin;
    tensor.end += data_begin;
  }
  if (at == data_bytes) return index;
  return Bad("the tensors take " + std::to_string(at) + " bytes or more, and " +
             std::to_string(data_bytes) + " are there");
}

}  // namespace

std::string_view NameOf(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32:
      return "F32";
    case Dtype::kU64:
      return "U64";
    case Dtype::kI64:
      return "I64";
    case Dtype::kU8:
      return "U8";
  }
  return "";
}

uint64_t BytesOf(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32:
      return 4;
    case Dtype::kU64:
    case Dtype::kI64:
      return 8;
    case Dtype::kU8:
      return 1;
  }
  return 0;
}

const Tensor* TensorIndex::Find(std::string_view name) const {
  const auto found = std::ranges::find(tensors, name, &Tensor::name);
  return found == tensors.end() ? nullptr : &*found;
}

const std::string* TensorIndex::Metadata(std::string_view key) const {
  for (const auto& [name, value] : metadata) {
    if (name == key) return &value;
  }
  return nullptr;
}

Result<std::string> FormatTensorHeader(TensorIndex& index) {
  const auto bad = [](const std::string& name, const char* why) {
    return Error{ErrorCode::kFailed, "a tensor cannot be called " + config::QuoteForMessage(name) +
                                         " in a safetensors file: " + why};
  };
  JsonWriter json;
  json.BeginObject().Key(kMetadata).BeginObject();
  for (const auto& [key, value] : index.metadata) json.Key(key).Text(value);
  json.EndObject();
  std::set<std::string_view> names;
  uint64_t at = 0;
  for (Tensor& tensor : index.tensors) {
    if (!IsUtf8(tensor.name)) return bad(tensor.name, "it is no UTF-8");
    if (tensor.name == kMetadata) return bad(tensor.name, "the format uses that name");
    if (!names.insert(tensor.name).second) return bad(tensor.name, "another one is");
    const std::optional<uint64_t> bytes = TensorBytes(tensor.dtype, tensor.shape);
    tensor.begin = at;
    if (!bytes || __builtin_add_overflow(at, *bytes, &at))
      return bad(tensor.name, "it is too large");
    tensor.end = at;
    json.Key(tensor.name).BeginObject().Key("dtype").Text(NameOf(tensor.dtype));
    json.Key("shape").BeginList();
    for (const uint64_t size : tensor.shape) json.Whole(size);
    json.EndList().Key("data_offsets").BeginList().Whole(tensor.begin).Whole(tensor.end);
    json.EndList().EndObject();
  }
  std::string header = json.EndObject().Take();
  header.resize((header.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  if (header.size() > kTensorHeaderMax) {
    return Error{ErrorCode::kFailed,
                 "the header of a safetensors file would have " + std::to_string(header.size()) +
                     " bytes; the format allows " + std::to_string(kTensorHeaderMax)};
  }
  const auto length = LittleEndian(header.size());
  header.insert(0, reinterpret_cast<const char*>(length.data()), length.size());
  for (Tensor& tensor : index.tensors) {
    tensor.begin += header.size();
    tensor.end += header.size();
  }
  return header;
}

Result<TensorIndex> ReadTensorHeader(uint64_t file_bytes, const ReadBytes& read) {
  std::array<std::byte, kLengthBytes> length{};
  if (file_bytes < length.size()) return Bad("it has no header");
  SM_TRY(read(0, length));
  const uint64_t size = FromLittleEndian(length);
  if (size < 2 || size > kTensorHeaderMax || size > file_bytes - kLengthBytes) {
    return Bad("a header of " + std::to_string(size) + " bytes cannot be");
  }
  std::string header(size, '\0');
  SM_TRY(read(kLengthBytes, std::as_writable_bytes(std::span(header))));
  const uint64_t data_begin = kLengthBytes + size;
  return ParseHeader(header, data_begin, file_bytes - data_begin);
}

}  // namespace shardmill
