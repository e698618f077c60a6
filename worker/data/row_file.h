#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/process/file_descriptor.h"
#include "common/result.h"
#include "worker/data/sample_store.h"

// A file of packed rows: segments of arrays in the order in which they were filled, each with a
// CRC-32C, and at the end a table of what lies where. Mapped, the segments of an array lie one
// behind the other. The layout is told in docs/decisions/0018-data.md.
namespace shardmill {

// What is written and mapped at a time; a multiple of every page size.
inline constexpr uint64_t kSegmentBytes = uint64_t{16} << 20;

// Writes a file of rows under a name for the time being, and gives it its own once it is whole.
// Owned by a RowBuilder, on its thread. Errors name the path; after one nothing more may be called.
class RowFileWriter final {
 public:
  static Result<std::unique_ptr<RowFileWriter>> Make(const std::string& path);
  ~RowFileWriter();  // Takes away what has not become whole.
  RowFileWriter(const RowFileWriter&) = delete;
  RowFileWriter& operator=(const RowFileWriter&) = delete;

  // The next segment of an array: kSegmentBytes, or less if it is the array's last.
  Result<> Append(size_t array, std::span<const std::byte> bytes);
  // Makes all of it last. `made_of` is what OpenRowFile asks for again.
  Result<> Finish(const Columns& columns, uint64_t rows, uint64_t bad_rows,
                  const std::string& made_of);

 private:
  struct Segment {
    size_t array = 0;
    uint64_t begin = 0;
    uint64_t bytes = 0;
    uint32_t crc = 0;
  };

  RowFileWriter(std::string path, FileDescriptor file);
  Result<> Write(std::span<const std::byte> bytes);
  std::string TableOf(const Columns& columns, uint64_t rows, uint64_t bad_rows,
                      const std::string& made_of) const;

  const std::string path_;
  FileDescriptor file_;
  uint64_t end_ = 0;
  std::vector<Segment> segments_;
  bool whole_ = false;
};

// Maps a file of rows. `check` reads all of it and holds it against its sums. An error is
// kUnavailable where there is none, and kBadInput where it is damaged or made of something else.
Result<std::unique_ptr<SampleStore>> OpenRowFile(const std::string& path,
                                                 const std::string& made_of, bool check);

}  // namespace shardmill
