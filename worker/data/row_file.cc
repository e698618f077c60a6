#include "worker/data/row_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <system_error>
#include <utility>

#include "common/crc32c.h"
#include "common/json/json.h"
#include "worker/data/columns_json.h"

namespace shardmill {
namespace {

constexpr std::array<char, 8> kMagic = {'s', 'm', 'r', 'o', 'w', 's', '0', '2'};
constexpr uint64_t kPageBytes = 4096;  // Where segments begin.
// Words of columns fill it: millions of them.
constexpr uint64_t kTableBytesMax = uint64_t{1} << 30;

// The end of a file.
struct Tail {
  uint64_t table_begin = 0;
  uint64_t table_bytes = 0;
  uint32_t table_crc = 0;
  uint32_t zero = 0;
  std::array<char, 8> magic = kMagic;
};
static_assert(sizeof(Tail) == 32);

Error Bad(const std::string& path, const std::string& what) {
  return {ErrorCode::kBadInput, path + ": " + what};
}

Error SystemError(const std::string& path, const std::string& what, int why) {
  return {why == ENOENT ? ErrorCode::kUnavailable : ErrorCode::kFailed,
          path + ": " + what + ": " + std::generic_category().message(why)};
}

uint64_t RoundedToPage(uint64_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

std::string PartOf(const std::string& path) { return path + ".part"; }

// The segments of one array, mapped one behind the other.
class MappedMemory final : public SampleMemory {
 public:
  // No bytes are no mapping.
  static Result<std::unique_ptr<MappedMemory>> Make(const std::string& path, uint64_t bytes) {
    void* base = nullptr;
    if (bytes > 0) {
      base = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (base == MAP_FAILED) return SystemError(path, "there are no addresses for it", errno);
    }
    return std::unique_ptr<MappedMemory>(new MappedMemory(static_cast<std::byte*>(base), bytes));
  }
  ~MappedMemory() override {
    if (bytes_ > 0) munmap(base_, bytes_);
  }
  MappedMemory(const MappedMemory&) = delete;
  MappedMemory& operator=(const MappedMemory&) = delete;

  Result<> Map(const std::string& path, int file, uint64_t at, uint64_t begin, uint64_t bytes) {
    void* mapped =
        mmap(base_ + at, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, file, static_cast<off_t>(begin));
    if (mapped != MAP_FAILED) return {};
    return SystemError(path, "it cannot be mapped", errno);
  }
  // What is read next is anywhere.
  void ExpectRandomReads() { static_cast<void>(madvise(base_, bytes_, MADV_RANDOM)); }

  std::span<const std::byte> bytes() const override { return {base_, bytes_}; }

 private:
  MappedMemory(std::byte* base, uint64_t bytes) : base_(base), bytes_(bytes) {}

  std::byte* const base_;
  const uint64_t bytes_;
};

struct FileSegment {
  uint64_t array = 0;
  uint64_t begin = 0;
  uint64_t bytes = 0;
  uint64_t crc = 0;
};

// The table at the end of a file, read with distrust.
struct Table {
  Columns columns;
  uint64_t rows = 0;
  uint64_t bad_rows = 0;
  std::string made_of;
  std::vector<FileSegment> segments;
};

std::optional<uint64_t> WholeAt(const JsonValue& object, const char* key) {
  const JsonValue* value = object.Find(key);
  if (value == nullptr || !value->is_whole) return {};
  return value->whole;
}

std::optional<Table> TableFrom(const JsonValue& json) {
  const std::optional<uint64_t> rows = WholeAt(json, "rows");
  const JsonValue* made_of = json.Find("made_of");
  const JsonValue* columns = json.Find("columns");
  const JsonValue* segments = json.Find("segments");
  if (!rows.has_value() || made_of == nullptr || columns == nullptr || segments == nullptr) {
    return {};
  }
  std::optional<Columns> read = ReadColumns(*columns);
  if (!read.has_value()) return {};
  Table table{.columns = *std::move(read),
              .rows = *rows,
              .bad_rows = WholeAt(json, "bad_rows").value_or(0),
              .made_of = BytesOfLetters(made_of->text),
              .segments = {}};
  for (const JsonValue& item : segments->items) {
    if (item.items.size() != 4) return {};
    for (const JsonValue& number : item.items) {
      if (!number.is_whole) return {};
    }
    table.segments.push_back(
        {item.items[0].whole, item.items[1].whole, item.items[2].whole, item.items[3].whole});
  }
  return table;
}

Result<> ReadAt(const std::string& path, int file, uint64_t begin, std::span<std::byte> to) {
  while (!to.empty()) {
    const ssize_t got = pread(file, to.data(), to.size(), static_cast<off_t>(begin));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError(path, "it cannot be read", errno);
    if (got == 0) return Bad(path, "it ends too early");
    to = to.subspan(static_cast<size_t>(got));
    begin += static_cast<uint64_t>(got);
  }
  return {};
}

Result<Table> ReadTable(const std::string& path, int file, uint64_t size) {
  Tail tail;
  if (size < sizeof(tail)) return Bad(path, "it is no file of rows, or cut off");
  SM_TRY(ReadAt(path, file, size - sizeof(tail), std::as_writable_bytes(std::span(&tail, 1))));
  if (tail.magic != kMagic) return Bad(path, "it is no file of rows, or cut off");
  if (tail.zero != 0 || tail.table_bytes > kTableBytesMax || tail.table_bytes > size ||
      tail.table_begin > size - tail.table_bytes) {
    return Bad(path, "its table is damaged");
  }
  std::string text(tail.table_bytes, '\0');
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(text));
  SM_TRY(ReadAt(path, file, tail.table_begin, bytes));
  if (Crc32c(bytes) != tail.table_crc) return Bad(path, "its table is damaged");
  const JsonValue json = SM_TRY(ParseJson(text, kTableBytesMax));
  std::optional<Table> table = TableFrom(json);
  if (!table.has_value()) return Bad(path, "its table is not one of rows");
  return *std::move(table);
}

// How many bytes each array has, where the segments are such as a writer makes them.
Result<std::vector<uint64_t>> ArrayBytes(const std::string& path, const Table& table,
                                         uint64_t size) {
  const std::vector<RowArray> arrays = ArraysOf(table.columns);
  std::vector<uint64_t> bytes(arrays.size());
  for (const FileSegment& segment : table.segments) {
    const bool fits = segment.array < arrays.size() && segment.begin % kPageBytes == 0 &&
                      segment.bytes > 0 && segment.bytes <= kSegmentBytes &&
                      segment.begin <= size && segment.bytes <= size - segment.begin &&
                      bytes[segment.array] % kSegmentBytes == 0;
    if (!fits) return Bad(path, "its table is not one of rows");
    bytes[segment.array] += segment.bytes;
  }
  for (size_t i = 0; i < arrays.size(); ++i) {
    const bool sized = arrays[i].row_bytes == 0
                           ? bytes[i] % 4 == 0
                           : table.rows <= kRowsMax && bytes[i] == table.rows * arrays[i].row_bytes;
    if (!sized) return Bad(path, "its arrays are not as long as its rows are many");
  }
  return bytes;
}

// A sparse column's ends ascend up to the number of its ids.
bool HasGoodEnds(const SampleStore& store) {
  for (size_t i = 0; i < store.columns().size(); ++i) {
    if (store.columns()[i].kind != ColumnKind::kSparse) continue;
    const ColumnView& view = store.column(i);
    uint64_t before = 0;
    for (const uint64_t end : view.ends) {
      if (end < before) return false;
      before = end;
    }
    if (before != view.ids.size() || before != view.floats.size()) return false;
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<RowFileWriter>> RowFileWriter::Make(const std::string& path) {
  const std::string part = PartOf(path);
  FileDescriptor file(open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file.valid()) return SystemError(part, "it cannot be made", errno);
  std::unique_ptr<RowFileWriter> writer(new RowFileWriter(path, std::move(file)));
  SM_TRY(writer->Write(std::as_bytes(std::span(kMagic))));
  return writer;
}

RowFileWriter::RowFileWriter(std::string path, FileDescriptor file)
    : path_(std::move(path)), file_(std::move(file)) {}

RowFileWriter::~RowFileWriter() {
  if (!whole_) unlink(PartOf(path_).c_str());
}

Result<> RowFileWriter::Write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written =
        pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(end_));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError(PartOf(path_), "it cannot be written", errno);
    bytes = bytes.subspan(static_cast<size_t>(written));
    end_ += static_cast<uint64_t>(written);
  }
  return {};
}

Result<> RowFileWriter::Append(size_t array, std::span<const std::byte> bytes) {
  end_ = RoundedToPage(end_);
  segments_.push_back({array, end_, bytes.size(), Crc32c(bytes)});
  return Write(bytes);
}

std::string RowFileWriter::TableOf(const Columns& columns, uint64_t rows, uint64_t bad_rows,
                                   const std::string& made_of) const {
  JsonWriter json;
  json.BeginObject().Key("made_of").Text(LettersOf(made_of)).Key("rows").Whole(rows);
  json.Key("bad_rows").Whole(bad_rows);
  json.Key("columns");
  WriteColumns(columns, json);
  json.Key("segments").BeginList();
  for (const Segment& segment : segments_) {
    json.BeginList().Whole(segment.array).Whole(segment.begin).Whole(segment.bytes);
    json.Whole(segment.crc).EndList();
  }
  json.EndList().EndObject();
  return json.Take();
}

Result<> RowFileWriter::Finish(const Columns& columns, uint64_t rows, uint64_t bad_rows,
                               const std::string& made_of) {
  const std::string table = TableOf(columns, rows, bad_rows, made_of);
  const std::span<const std::byte> bytes = std::as_bytes(std::span(table));
  const Tail tail{.table_begin = end_, .table_bytes = table.size(), .table_crc = Crc32c(bytes)};
  SM_TRY(Write(bytes));
  SM_TRY(Write(std::as_bytes(std::span(&tail, 1))));
  if (fsync(file_.get()) != 0) {
    return SystemError(PartOf(path_), "it did not reach the disk", errno);
  }
  if (std::rename(PartOf(path_).c_str(), path_.c_str()) != 0) {
    return SystemError(path_, "it cannot be given its name", errno);
  }
  whole_ = true;
  return {};
}

Result<std::unique_ptr<SampleStore>> OpenRowFile(const std::string& path,
                                                 const std::string& made_of, bool check) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return SystemError(path, "it cannot be opened", errno);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return SystemError(path, "it cannot be read", errno);
  const auto size = static_cast<uint64_t>(status.st_size);
  Table table = SM_TRY(ReadTable(path, file.get(), size));
  if (table.made_of != made_of) return Bad(path, "it is made of other files or options");
  const std::vector<uint64_t> array_bytes = SM_TRY(ArrayBytes(path, table, size));
  std::vector<std::unique_ptr<MappedMemory>> arrays;
  for (const uint64_t bytes : array_bytes) {
    arrays.push_back(SM_TRY(MappedMemory::Make(path, bytes)));
  }
  std::vector<uint64_t> mapped(arrays.size());
  for (const FileSegment& segment : table.segments) {
    uint64_t& at = mapped[segment.array];
    MappedMemory& array = *arrays[segment.array];
    SM_TRY(array.Map(path, file.get(), at, segment.begin, segment.bytes));
    if (check && Crc32c(array.bytes().subspan(at, segment.bytes)) != segment.crc) {
      return Bad(path, "its rows are damaged");
    }
    at += segment.bytes;
  }
  std::vector<std::unique_ptr<SampleMemory>> memory;
  for (std::unique_ptr<MappedMemory>& array : arrays) {
    array->ExpectRandomReads();
    memory.push_back(std::move(array));
  }
  auto store =
      std::make_unique<SampleStore>(std::move(table.columns), table.rows, std::move(memory));
  store->NoteBadRows(table.bad_rows);
  if (check && !HasGoodEnds(*store)) return Bad(path, "its sparse rows are damaged");
  return store;
}

}  // namespace shardmill
