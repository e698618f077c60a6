// Reads R's serialization: https://cran.r-project.org/doc/manuals/r-release/R-ints.html, section
// "Serialization Formats".
#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

#include "worker/data/r_data.h"

namespace shardmill {
namespace {

constexpr int kDepthMax = 200;
// What few bytes can stand for many of: items of lists, and numbers of ranges. Of the latter a
// table has no more than its file has bytes, for it has other columns too, unless they are so few.
constexpr uint64_t kItemsMax = uint64_t{1} << 22;
constexpr uint64_t kRangesFew = uint64_t{1} << 20;

// What the low byte of an item's flags says it is.
enum Type : uint32_t {
  kNilType = 0,
  kSymbol = 1,
  kPairList = 2,
  kChars = 9,
  kLogicals = 10,
  kIntegers = 13,
  kReals = 14,
  kStrings = 16,
  kVector = 19,
  kExpressions = 20,
  kRaw = 24,
  kAltRep = 238,
  kAttributeList = 239,
  kBaseNamespace = 247,
  kMissingArgument = 251,
  kGlobalEnvironment = 253,
  kNil = 254,
  kReference = 255,
};

constexpr uint32_t kHasAttributes = 1U << 9;
constexpr uint32_t kHasTag = 1U << 10;

// Goes through the bytes of one value. Lives for one call of ParseRValue. The first thing that is
// wrong is kept in words_, and ends the reading.
class Reader final {
 public:
  explicit Reader(std::span<const uint8_t> bytes)
      : bytes_(bytes), ranges_max_(std::max<uint64_t>(kRangesFew, bytes.size())) {}

  std::optional<RValue> ReadDocument() {
    if (bytes_.size() < 2 || bytes_[0] != 'X' || bytes_[1] != '\n') {
      return Fail("not in R's XDR format");
    }
    bytes_ = bytes_.subspan(2);
    const uint32_t version = Whole();
    Whole();  // Of R, and the least that reads it.
    Whole();
    if (version != 2 && version != 3) return Fail("of a version that is not read");
    if (version == 3) Skip(Whole());  // The name of an encoding.
    if (!words_.empty()) return {};
    return Item(0);
  }

  const std::string& words() const { return words_; }

 private:
  std::nullopt_t Fail(const std::string& words) {
    if (words_.empty()) words_ = words;
    return std::nullopt;
  }

  bool Has(uint64_t bytes) {
    if (bytes <= bytes_.size()) return true;
    Fail("cut off");
    return false;
  }

  void Skip(uint64_t bytes) {
    if (Has(bytes)) bytes_ = bytes_.subspan(bytes);
  }

  uint32_t Whole() {
    if (!Has(4)) return 0;
    uint32_t whole = 0;
    for (size_t i = 0; i < 4; ++i) whole = whole << 8 | bytes_[i];
    bytes_ = bytes_.subspan(4);
    return whole;
  }

  double Real() {
    const uint64_t high = Whole();
    return std::bit_cast<double>(high << 32 | Whole());
  }

  // How many items of at least so many bytes follow.
  std::optional<uint64_t> Length(uint64_t item_bytes) {
    uint64_t length = Whole();
    if (length == UINT32_MAX) {
      length = Whole();
      length = length << 32 | Whole();
    }
    if (!words_.empty() || length > bytes_.size() / item_bytes) return Fail("cut off");
    return length;
  }

  std::optional<RValue> Item(int depth) {
    if (depth > kDepthMax) return Fail("nested too deep");
    if (++items_ > kItemsMax && depth > 0) return Fail("of too many parts");
    const uint32_t flags = Whole();
    if (!words_.empty()) return {};
    const uint32_t type = flags & 0xff;
    switch (type) {
      case kNilType:
      case kNil:
      case kMissingArgument:
      case kGlobalEnvironment:
      case kBaseNamespace:
        return RValue{};
      case kSymbol:
        return Symbol(depth);
      case kReference:
        return Reference(flags);
      case kPairList:
      case kAttributeList:
        return PairList(flags, depth);
      case kChars:
        return Chars();
      case kAltRep:
        return AltRep(depth);
      default:
        break;
    }
    std::optional<RValue> value = Vector(type, depth);
    if (value.has_value() && (flags & kHasAttributes) != 0) {
      std::optional<RValue> attributes = Item(depth + 1);
      if (!attributes.has_value()) return {};
      value->attributes = std::move(attributes->attributes);
    }
    return value;
  }

  std::optional<RValue> Vector(uint32_t type, int depth) {
    RValue value;
    const bool eights = type == kReals;
    const std::optional<uint64_t> length = Length(type == kRaw ? 1 : eights ? 8 : 4);
    if (!length.has_value()) return {};
    switch (type) {
      case kLogicals:
      case kIntegers:
        value.kind = RValue::Kind::kWholes;
        value.wholes.reserve(*length);
        for (uint64_t i = 0; i < *length; ++i) {
          value.wholes.push_back(static_cast<int32_t>(Whole()));
        }
        return value;
      case kReals:
        value.kind = RValue::Kind::kNumbers;
        value.numbers.reserve(*length);
        for (uint64_t i = 0; i < *length; ++i) value.numbers.push_back(Real());
        return value;
      case kStrings:
        value.kind = RValue::Kind::kTexts;
        for (uint64_t i = 0; i < *length; ++i) {
          if ((Whole() & 0xff) != kChars) return Fail("text that is none");
          std::optional<RValue> text = Chars();
          if (!text.has_value()) return {};
          value.texts.push_back(std::move(text->texts[0]));
        }
        return value;
      case kVector:
      case kExpressions:
        value.kind = RValue::Kind::kList;
        for (uint64_t i = 0; i < *length; ++i) {
          std::optional<RValue> item = Item(depth + 1);
          if (!item.has_value()) return {};
          value.items.push_back(*std::move(item));
        }
        return value;
      case kRaw:
        value.kind = RValue::Kind::kOther;
        Skip(*length);
        return value;
      default:
        return Fail("with R code or other things in it that are no data (type " +
                    std::to_string(type) + ")");
    }
  }

  std::optional<RValue> Chars() {
    RValue value;
    value.kind = RValue::Kind::kTexts;
    const uint32_t length = Whole();
    if (length == UINT32_MAX) {
      value.texts.emplace_back("NA");
      return value;
    }
    if (!Has(length)) return {};
    value.texts.emplace_back(reinterpret_cast<const char*>(bytes_.data()), length);
    Skip(length);
    return value;
  }

  std::optional<RValue> Symbol(int depth) {
    std::optional<RValue> name = Item(depth + 1);
    if (!name.has_value()) return {};
    if (name->texts.size() != 1) return Fail("a symbol without a name");
    symbols_.push_back(name->texts[0]);
    return name;
  }

  std::optional<RValue> Reference(uint32_t flags) {
    const uint32_t index = flags >> 8 != 0 ? flags >> 8 : Whole();
    if (index == 0 || index > symbols_.size()) return Fail("a reference to nothing");
    RValue value;
    value.kind = RValue::Kind::kTexts;
    value.texts.push_back(symbols_[index - 1]);
    return value;
  }

  // Its links are as many as it is long, and none is deeper than the one before.
  std::optional<RValue> PairList(uint32_t flags, int depth) {
    RValue list;
    list.kind = RValue::Kind::kList;
    while ((flags & 0xff) == kPairList || (flags & 0xff) == kAttributeList) {
      if ((flags & kHasAttributes) != 0 && !Item(depth + 1).has_value()) return {};
      std::string tag;
      if ((flags & kHasTag) != 0) {
        std::optional<RValue> name = Item(depth + 1);
        if (!name.has_value()) return {};
        if (name->texts.size() == 1) tag = std::move(name->texts[0]);
      }
      std::optional<RValue> value = Item(depth + 1);
      if (!value.has_value()) return {};
      list.attributes.push_back({std::move(tag), *std::move(value)});
      flags = Whole();
      if (!words_.empty()) return {};
    }
    if ((flags & 0xff) != kNil && (flags & 0xff) != kNilType) return Fail("a list without an end");
    return list;
  }

  // What R has put off computing: a range of numbers, or another value in a wrap.
  std::optional<RValue> AltRep(int depth) {
    const std::optional<RValue> info = Item(depth + 1);
    std::optional<RValue> state = info.has_value() ? Item(depth + 1) : std::nullopt;
    const std::optional<RValue> attributes = state.has_value() ? Item(depth + 1) : std::nullopt;
    if (!attributes.has_value()) return {};
    const std::string name = info->attributes.empty() || info->attributes[0].value.texts.empty()
                                 ? ""
                                 : info->attributes[0].value.texts[0];
    std::optional<RValue> value;
    if (name == "compact_intseq") value = Range(*state);
    if (name.starts_with("wrap_") && !state->attributes.empty()) {
      value = std::move(state->attributes[0].value);
    }
    if (name.starts_with("wrap_") && !value.has_value() && !state->items.empty()) {
      value = std::move(state->items[0]);
    }
    if (!value.has_value()) return Fail("with a vector \"" + name + "\" that is not read");
    value->attributes = attributes->attributes;
    return value;
  }

  std::optional<RValue> Range(const RValue& state) {
    constexpr double kLengthMax = 1 << 30;
    if (state.numbers.size() != 3 || !(state.numbers[0] >= 0 && state.numbers[0] <= kLengthMax) ||
        !(state.numbers[1] >= -kLengthMax && state.numbers[1] <= kLengthMax)) {
      return Fail("a range without bounds");
    }
    RValue range;
    range.kind = RValue::Kind::kWholes;
    const auto length = static_cast<int32_t>(state.numbers[0]);
    ranges_ += static_cast<uint64_t>(length);
    if (ranges_ > ranges_max_) return Fail("of too many parts");
    const auto first = static_cast<int32_t>(state.numbers[1]);
    const int32_t step = state.numbers[2] < 0 ? -1 : 1;
    for (int32_t i = 0; i < length; ++i) range.wholes.push_back(first + i * step);
    return range;
  }

  std::span<const uint8_t> bytes_;
  std::vector<std::string> symbols_;
  uint64_t items_ = 0;
  const uint64_t ranges_max_;
  uint64_t ranges_ = 0;
  std::string words_;
};

}  // namespace

const RValue* RValue::Attribute(const std::string& name) const {
  for (const auto& [key, value] : attributes) {
    if (key == name) return &value;
  }
  return nullptr;
}

Result<RValue> ParseRValue(std::span<const uint8_t> bytes, const std::string& name) {
  Reader reader(bytes);
  std::optional<RValue> value = reader.ReadDocument();
  if (value.has_value() && reader.words().empty()) return *std::move(value);
  return Error{ErrorCode::kBadInput, name + ": R's data are " + reader.words()};
}

}  // namespace shardmill
