// The coordinator's log. The input's first byte says what the rest is: the file as it is found, a
// record alone, or pieces that are records with sound checksums, the last of which ends too soon.
#include <memory>

#include "common/blob/memory_files.h"
#include "common/coordinator_state.h"
#include "common/storage/record_log.h"
#include "common/wire/coordinator_state.h"
#include "tests/fuzz/input.h"

namespace shardmill::fuzz {
namespace {

constexpr const char* kPath = "log";
constexpr size_t kRecordsMax = 16;

std::string TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void TryState(std::string_view bytes) {
  const Result<CoordinatorState> state = DecodeState(bytes);
  if (!state.ok()) return;
  const std::string first = EncodeState(state.value());
  const Result<CoordinatorState> again = DecodeState(first);
  Check(again.ok(), "what we write of a state that we took is taken");
  Check(EncodeState(again.value()) == first, "it is the same state");
}

Result<std::vector<std::string>> ReadLog(FileSystem& files) {
  std::vector<std::string> records;
  SM_TRY(RecordLog::Open(files, kPath, [&](std::span<const std::byte> record) -> Result<> {
    records.push_back(TextOf(record));
    TryState(records.back());
    return {};
  }));
  return records;
}

void Write(FileSystem& files, std::span<const std::byte> bytes) {
  const Result<std::unique_ptr<File>> file = files.CreateNew(kPath);
  Check(file.ok() && file.value()->Append(bytes).ok(), "a file in memory can be written");
}

// A log that was opened takes a record, and has it behind the others when it is opened again.
void TryFile(FileSystem& files) {
  const Result<std::vector<std::string>> before = ReadLog(files);
  if (!before.ok()) return;
  std::vector<std::string> wanted = before.value();
  {
    const auto log =
        RecordLog::Open(files, kPath, [](std::span<const std::byte>) { return Result<>(); });
    const std::string record = "one more";
    Check(log.ok() && log.value()->Append(std::as_bytes(std::span(record))).ok(),
          "a log that could be read can be opened again, and written");
    wanted.push_back(record);
  }
  const Result<std::vector<std::string>> after = ReadLog(files);
  Check(after.ok() && after.value() == wanted, "what was there stays, and what is new is there");
}

void TryRecords(Input input) {
  MemoryFiles files(1);
  std::vector<std::string> written;
  Cutter cutter(input);
  const auto ignore = [](std::span<const std::byte>) { return Result<>(); };
  auto log = RecordLog::Open(files, kPath, ignore);
  Check(log.ok(), "a log can be begun");
  while (!cutter.rest().empty() && written.size() < kRecordsMax) {
    const Input record = cutter.Piece();
    if (!log.value()->Append(BytesOf(record)).ok()) continue;
    written.push_back(TextOf(BytesOf(record)));
  }
  const Result<std::vector<std::string>> read = ReadLog(files);
  Check(read.ok() && read.value() == written, "records come back as they were written");
}

}  // namespace

void Try(Input input) {
  Cutter cutter(input);
  switch (cutter.Byte() % 3) {
    case 0: {
      MemoryFiles files(1);
      Write(files, BytesOf(cutter.rest()));
      return TryFile(files);
    }
    case 1:
      return TryState(fuzz::TextOf(cutter.rest()));
    default:
      return TryRecords(cutter.rest());
  }
}

std::vector<std::string> Seeds() {
  CoordinatorState state;
  state.job = JobId{11};
  state.boot = BootId{12};
  View& view = state.decided.view;
  view.number = ViewNumber{7};
  view.members = {{WorkerId{0}, Incarnation{3}, -2}};
  view.shards = {{ShardId{0}, Term{1}, BootId{77}, "tcp://a:1"}};
  view.tables = {{TableId{1}, {.name = "w", .size = 10, .initial = {}}, {0, 10}}};
  state.decided.cut = {{WorkerId{0}, 5, 2.5, 4, 5, 1, 2}};
  state.ranks.resize(2);
  state.ranks[0] = {BootId{21}, Incarnation{3}, true, {BootId{19}, BootId{20}}, true, 5, {}};
  state.ranks[0].report.metrics = {{"accuracy", 0.5}};
  state.data = {50, 8, 1, 24, {{0, 3, 5}}, 60, {{WorkerId{0}, 9, {{8, {1, 8, 16}}}}}};
  const std::string record = EncodeState(state);
  MemoryFiles files(1);
  for (const std::string& text : {record, std::string("a"), record}) {
    const auto log =
        RecordLog::Open(files, kPath, [](std::span<const std::byte>) { return Result<>(); });
    Check(log.ok() && log.value()->Append(std::as_bytes(std::span(text))).ok(), "seeds are made");
  }
  std::string whole(files.Size(kPath).value(), '\0');
  Check(files.Read(kPath, 0, std::as_writable_bytes(std::span(whole))).ok(), "seeds are made");
  return {std::string(1, '\0') + whole, "\1" + record, "\2" + AsPiece(record) + AsPiece("a")};
}

}  // namespace shardmill::fuzz
