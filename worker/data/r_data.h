#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/result.h"

namespace shardmill {

struct RObject;

// A value as R writes it, of the kinds that data are made of. Only the field of its kind means
// anything. All were read with distrust of the bytes.
struct RValue {
  enum class Kind : uint8_t { kNull, kWholes, kNumbers, kTexts, kList, kOther };

  Kind kind = Kind::kNull;
  std::vector<int32_t> wholes;     // Of integers, logicals and factors.
  std::vector<double> numbers;     // NA is a NaN.
  std::vector<std::string> texts;  // NA is "NA".
  std::vector<RValue> items;
  std::vector<RObject> attributes;  // Or the names and values of a pairlist.

  const RValue* Attribute(const std::string& name) const;
};

// A value and its name.
struct RObject {
  std::string name;
  RValue value;
};

inline constexpr int32_t kMissingWhole = INT32_MIN;

// Reads one serialized value in R's XDR format. The error is kBadInput.
Result<RValue> ParseRValue(std::span<const uint8_t> bytes, const std::string& name);

// The objects in a file that R saved: an .rda (packed or not), or the .rdb of a package, whose .rdx
// lies beside it. Where `object` names one, only that is read. Errors name the file; a file that is
// not there is kUnavailable.
Result<std::vector<RObject>> ReadRObjects(const std::string& path, const std::string& object);

}  // namespace shardmill
