#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "worker/data/byte_source.h"

namespace shardmill {

// The lines of one file, in constant memory. Owned by a reader, on its thread. What is wrong with
// the file's bytes as a whole is an error; what a line says is not looked at.
class LineSource final {
 public:
  // `name` is the path in messages.
  LineSource(std::unique_ptr<ByteSource> bytes, std::string name);
  static Result<LineSource> Open(const std::string& path);

  // Goes to the next line. False: there is none.
  Result<bool> Next();
  // Makes the line longer by the one that follows it, for a quoted field that has a newline in it.
  // False, and all as it was, where there is none or the line is long already.
  Result<bool> Extend();
  // Takes all that Extend has added off again.
  void Shorten();

  // Without its end, LF or CR LF. Borrowed until the next call.
  std::string_view line() const;
  uint64_t number() const { return number_; }  // Of the line's first line, from 1.
  const std::string& name() const { return name_; }

 private:
  // How far the line goes: to the first LF from `from` on, counted from the line's begin, or to the
  // end of the file. Reads as much as it takes.
  Result<size_t> FindLength(size_t from);
  Result<> SkipMark();
  Result<> Fill();

  std::unique_ptr<ByteSource> bytes_;
  std::string name_;
  std::vector<char> buffer_;
  size_t filled_ = 0;
  bool at_end_ = false;
  size_t begin_ = 0;         // Of the line in the buffer.
  size_t length_ = 0;        // Of the line, without its LF.
  size_t first_length_ = 0;  // Of the first of the lines that it was made of.
  uint64_t number_ = 0;
  uint64_t joined_ = 0;  // Lines that the line was made of, beyond the first.
  bool started_ = false;
};

}  // namespace shardmill
