#include "worker/data/line_source.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace shardmill {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 16;
constexpr size_t kLineBytesMax = size_t{16} << 20;
constexpr uint64_t kJoinedMax = 100;  // A quote that is never closed shall not take the whole file.

}  // namespace

LineSource::LineSource(std::unique_ptr<ByteSource> bytes, std::string name)
    : bytes_(std::move(bytes)), name_(std::move(name)), buffer_(kBufferBytes) {}

Result<LineSource> LineSource::Open(const std::string& path) {
  std::unique_ptr<ByteSource> bytes = SM_TRY(OpenSource(path));
  return LineSource(std::move(bytes), path);
}

Result<bool> LineSource::Next() {
  number_ += joined_ + 1;
  joined_ = 0;
  begin_ = started_ ? std::min(begin_ + length_ + 1, filled_) : 0;
  if (begin_ == filled_) SM_TRY(Fill());
  if (!started_) SM_TRY(SkipMark());
  started_ = true;
  if (begin_ == filled_ && at_end_) {
    length_ = 0;
    return false;
  }
  length_ = SM_TRY(FindLength(0));
  first_length_ = length_;
  return true;
}

// The mark that some programs put before text.
Result<> LineSource::SkipMark() {
  constexpr std::string_view kUtf8Mark = "\xef\xbb\xbf";
  while (filled_ < kUtf8Mark.size() && !at_end_) SM_TRY(Fill());
  const std::string_view text(buffer_.data(), filled_);
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    return Error{ErrorCode::kBadInput,
                 name_ + ": the text is UTF-16; UTF-8 is read (iconv -f UTF-16 -t UTF-8)"};
  }
  if (text.starts_with(kUtf8Mark)) begin_ = kUtf8Mark.size();
  return {};
}

Result<bool> LineSource::Extend() {
  if (begin_ + length_ == filled_ || joined_ == kJoinedMax || length_ > kLineBytesMax / 2) {
    return false;
  }
  const size_t next = SM_TRY(FindLength(length_ + 1));
  if (begin_ + length_ + 1 == filled_ && at_end_) return false;
  length_ = next;
  ++joined_;
  return true;
}

void LineSource::Shorten() {
  length_ = first_length_;
  joined_ = 0;
}

std::string_view LineSource::line() const {
  std::string_view line(buffer_.data() + begin_, length_);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

Result<size_t> LineSource::FindLength(size_t from) {
  for (;;) {
    const char* const line = buffer_.data() + begin_;
    const size_t there = filled_ - begin_;
    const void* const found = std::memchr(line + from, '\n', there - from);
    if (found != nullptr) return static_cast<size_t>(static_cast<const char*>(found) - line);
    if (at_end_) return there;
    SM_TRY(Fill());
    from = there;
  }
}

// Moves the line to the front of the buffer and reads behind it.
Result<> LineSource::Fill() {
  if (at_end_) return {};
  if (begin_ > 0) {
    std::copy(buffer_.begin() + static_cast<ptrdiff_t>(begin_),
              buffer_.begin() + static_cast<ptrdiff_t>(filled_), buffer_.begin());
    filled_ -= begin_;
    begin_ = 0;
  }
  if (filled_ == buffer_.size()) {
    if (buffer_.size() >= kLineBytesMax) {
      return Error{ErrorCode::kBadInput,
                   name_ + ":" + std::to_string(number_) + ": a line of more than " +
                       std::to_string(kLineBytesMax >> 20) + " MiB: these are no rows of text"};
    }
    buffer_.resize(buffer_.size() * 2);
  }
  const std::span<char> room = std::span(buffer_).subspan(filled_);
  const size_t got = SM_TRY(bytes_->Read({reinterpret_cast<uint8_t*>(room.data()), room.size()}));
  filled_ += got;
  at_end_ = got == 0;
  return {};
}

}  // namespace shardmill
