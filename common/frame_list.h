#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <utility>
#include <vector>

#include "common/frame.h"

namespace shardmill {

// A few frames, one after the other; the first four cost no allocation. A value.
class FrameList final {
 public:
  FrameList() = default;
  FrameList(std::initializer_list<Frame> frames) {
    for (const Frame& frame : frames) push_back(frame);
  }
  explicit FrameList(const std::vector<Frame>& frames) {
    for (const Frame& frame : frames) push_back(frame);
  }

  void push_back(Frame frame) {
    if (many_.empty() && count_ < few_.size()) {
      few_[count_++] = std::move(frame);
      return;
    }
    if (many_.empty()) {
      many_.assign(std::make_move_iterator(few_.begin()), std::make_move_iterator(few_.end()));
    }
    many_.push_back(std::move(frame));
  }

  void clear() { *this = {}; }

  size_t size() const { return many_.empty() ? count_ : many_.size(); }
  bool empty() const { return size() == 0; }
  const Frame* begin() const { return many_.empty() ? few_.data() : many_.data(); }
  const Frame* end() const { return begin() + size(); }
  const Frame& front() const { return *begin(); }
  const Frame& operator[](size_t i) const { return begin()[i]; }

 private:
  std::array<Frame, 4> few_;
  size_t count_ = 0;
  std::vector<Frame> many_;  // All of them, where they are more than a few.
};

}  // namespace shardmill
