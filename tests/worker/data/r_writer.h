#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/worker/data/files.h"

namespace shardmill {

// Writes what R would. A value of one thread; cannot fail.
class RWriter final {
 public:
  RWriter& Whole(uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
      bytes_.push_back(static_cast<uint8_t>(value >> shift));
    return *this;
  }
  RWriter& Chars(const std::string& text) {
    Whole(0x00040009).Whole(static_cast<uint32_t>(text.size()));
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    return *this;
  }
  RWriter& Symbol(const std::string& name) { return Whole(1).Chars(name); }
  RWriter& Texts(const std::vector<std::string>& texts) {
    Whole(16).Whole(static_cast<uint32_t>(texts.size()));
    for (const std::string& text : texts) Chars(text);
    return *this;
  }
  RWriter& Wholes(const std::vector<uint32_t>& values, bool attributes = false) {
    Whole(attributes ? 0x0300 | 13 : 13).Whole(static_cast<uint32_t>(values.size()));
    for (const uint32_t value : values) Whole(value);
    return *this;
  }
  RWriter& Numbers(const std::vector<double>& values) {
    Whole(14).Whole(static_cast<uint32_t>(values.size()));
    for (const double value : values) {
      const auto bits = std::bit_cast<uint64_t>(value);
      Whole(static_cast<uint32_t>(bits >> 32)).Whole(static_cast<uint32_t>(bits));
    }
    return *this;
  }
  // A link of a pairlist, whose value follows.
  RWriter& Link(const std::string& tag) { return Whole(0x0402).Symbol(tag); }
  RWriter& End() { return Whole(254); }

  // As one value stands alone, which `write` brings.
  static std::vector<uint8_t> Value(const std::function<void(RWriter&)>& write) {
    RWriter writer;
    writer.bytes_ = BytesOf("X\n");
    writer.Whole(2).Whole(0x00030500).Whole(0x00020300);
    write(writer);
    return writer.bytes_;
  }

  // As save() writes one object, which `write` brings.
  static std::vector<uint8_t> Rda(const std::string& name,
                                  const std::function<void(RWriter&)>& write) {
    RWriter writer;
    writer.bytes_ = BytesOf("RDX2\nX\n");
    writer.Whole(2).Whole(0x00030500).Whole(0x00020300).Link(name);
    write(writer);
    writer.End();
    return writer.bytes_;
  }

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace shardmill
