#include "snapshot/shard_file.h"

#include <algorithm>
#include <utility>

#include "common/assert.h"
#include "snapshot/content.h"
#include "snapshot/shard_head.h"

namespace shardmill {
namespace {

constexpr const char* kHeadKey = "shardmill";
// Floats that are read and handed on at once.
constexpr uint64_t kPieceFloats = 256 * 1024;

uint64_t SizeOf(std::span<const Frame> frames) {
  uint64_t bytes = 0;
  for (const Frame& frame : frames) bytes += frame.size();
  return bytes;
}

}  // namespace

std::string ShardFileName(ShardId shard) {
  return "shard-" + std::to_string(shard.value) + ".safetensors";
}

Result<ShardFileWriter> ShardFileWriter::Begin(BlobStore& store, const std::string& folder,
                                               const ShardHead& head, uint64_t piece_bytes) {
  TensorIndex index;
  index.metadata = {{kHeadKey, FormatShardHead(head)}};
  index.tensors = LayOutShard(head);
  const std::string header = SM_TRY(FormatTensorHeader(index));
  CheckedWriter file =
      SM_TRY(CheckedWriter::Create(store, folder, ShardFileName(head.shard), piece_bytes));
  SM_TRY(file.Append(std::as_bytes(std::span(header))));
  return ShardFileWriter(std::move(file), head, std::move(index));
}

ShardFileWriter::ShardFileWriter(CheckedWriter file, const ShardHead& head, TensorIndex index)
    : file_(std::move(file)), head_(head), index_(std::move(index)) {}

const TableHead& ShardFileWriter::Next() {
  const auto done = [&](const TableHead& table) {
    const auto* sparse = std::get_if<SparseHead>(&table.part);
    return sparse && rows_ == sparse->rows;
  };
  while (table_ < head_.tables.size() && done(head_.tables[table_])) {
    ++table_;
    rows_ = 0;
  }
  SM_ASSERT(table_ < head_.tables.size());
  return head_.tables[table_];
}

Result<> ShardFileWriter::WriteTensor(std::span<const Frame> frames) {
  SM_ASSERT(tensor_ < index_.tensors.size());
  const Tensor& tensor = index_.tensors[tensor_++];
  SM_ASSERT(SizeOf(frames) == tensor.end - tensor.begin);
  for (const Frame& frame : frames) SM_TRY(file_.Append(frame.bytes()));
  return {};
}

Result<> ShardFileWriter::Write(const DenseImage& image) {
  const TableHead& table = Next();
  SM_ASSERT(table.part == (std::variant<DenseHead, SparseHead>(image.head)));
  SM_ASSERT(image.states.size() == (image.head.slots > 0 ? image.values.size() : 0));
  for (uint32_t slot = 0; slot <= image.head.slots; ++slot) {
    std::vector<Frame> frames = image.values;
    for (size_t i = 0; slot > 0 && i < frames.size(); ++i) {
      const size_t bytes = frames[i].size();
      frames[i] = image.states[i].Slice((slot - 1) * bytes, bytes);
    }
    SM_TRY(WriteTensor(frames));
    uint64_t at = image.head.begin;
    for (const Frame& frame : frames) {
      content_ += DenseContent(table.name, slot, at, frame.floats());
      at += frame.floats().size();
    }
  }
  content_ += UpdatesContent(table.name, image.head.updates);
  ++table_;
  return {};
}

Result<> ShardFileWriter::Write(const RowBatch& batch) {
  const TableHead& table = Next();
  const auto& head = std::get<SparseHead>(table.part);
  SM_TRY(WriteTensor({&batch.keys, 1}));
  SM_TRY(WriteTensor({&batch.values, 1}));
  if (head.state > 0) SM_TRY(WriteTensor({&batch.state, 1}));
  rows_ += batch.keys.keys().size();
  content_ += RowsContent(table.name, batch);
  return {};
}

Result<SnapshotFile> ShardFileWriter::Finish() {
  SM_ASSERT(tensor_ == index_.tensors.size());
  SnapshotFile file = SM_TRY(file_.Commit());
  file.content = content_;
  return file;
}

Result<ShardHead> ReadShardHead(BlobStore& store, const std::string& name) {
  const uint64_t bytes = SM_TRY(store.Size(name));
  const auto read = [&](uint64_t begin, std::span<std::byte> to) {
    return store.Read(name, begin, to);
  };
  const TensorIndex index = SM_TRY(ReadTensorHeader(bytes, read));
  const std::string* text = index.Metadata(kHeadKey);
  if (text != nullptr) return ParseShardHead(*text);
  return Error{ErrorCode::kBadInput, store.PlaceOf(name) + ": it is no shard's file"};
}

Result<ShardFileReader> ShardFileReader::Open(BlobStore& store, const std::string& folder,
                                              const SnapshotFile& file) {
  CheckedReader bytes = SM_TRY(CheckedReader::Open(store, folder, file));
  const auto bad = [&](const std::string& words) {
    return Error{ErrorCode::kBadInput, bytes.place() + ": " + words};
  };
  Error failure;  // What was wrong with the bytes themselves names the place already.
  Result<TensorIndex> index =
      ReadTensorHeader(bytes.bytes(), [&](uint64_t begin, std::span<std::byte> to) -> Result<> {
        const Result<> read = bytes.Read(begin, to);
        if (!read.ok()) failure = read.error();
        return read;
      });
  if (!index.ok() && !failure.message.empty()) return failure;
  if (!index.ok()) return bad(index.error().message);
  const std::string* text = index->Metadata(kHeadKey);
  if (!text)
    return bad("it is no shard's file: its metadata have no \"" + std::string(kHeadKey) + "\"");
  Result<ShardHead> head = ParseShardHead(*text);
  if (!head.ok()) return bad(head.error().message);
  TensorIndex expected;
  expected.metadata = {{kHeadKey, FormatShardHead(*head)}};
  expected.tensors = LayOutShard(*head);
  const Result<std::string> header = FormatTensorHeader(expected);
  if (!header.ok()) return bad(header.error().message);
  if (expected.tensors != index->tensors)
    return bad("its tensors are not those that its head tells of");
  return ShardFileReader(std::move(bytes), std::move(*head), std::move(*index));
}

ShardFileReader::ShardFileReader(CheckedReader file, ShardHead head, TensorIndex index)
    : file_(std::move(file)), head_(std::move(head)), index_(std::move(index)) {}

const TableHead* ShardFileReader::Find(TableId table) const {
  const auto found = std::ranges::find(head_.tables, table, &TableHead::table);
  return found == head_.tables.end() ? nullptr : &*found;
}

Result<Frame> ShardFileReader::ReadBytes(uint64_t begin, uint64_t end) {
  Buffer buffer = Buffer::OfBytes(end - begin);
  SM_TRY(file_.Read(begin, buffer.bytes()));
  return std::move(buffer).Close();
}

Result<Frame> ShardFileReader::ReadTensor(const std::string& name) {
  const Tensor* tensor = index_.Find(name);
  SM_ASSERT(tensor);
  return ReadBytes(tensor->begin, tensor->end);
}

Result<> ShardFileReader::ReadDense(TableId table, uint32_t slot, uint64_t begin, uint64_t end,
                                    const TakeFloats& take) {
  const TableHead* found = Find(table);
  SM_ASSERT(found);
  const auto& head = std::get<DenseHead>(found->part);
  SM_ASSERT(slot <= head.slots && begin >= head.begin && begin <= end && end <= head.end);
  const std::string name =
      std::to_string(table.value) + (slot == 0 ? ".values" : ".slot." + std::to_string(slot));
  const Tensor* tensor = index_.Find(name);
  SM_ASSERT(tensor);
  for (uint64_t at = begin; at < end;) {
    const uint64_t next = std::min(end, at + kPieceFloats);
    const uint64_t first = tensor->begin + (at - head.begin) * sizeof(float);
    DensePiece piece{slot, at, {}};
    piece.floats = SM_TRY(ReadBytes(first, first + (next - at) * sizeof(float)));
    SM_TRY(take(std::move(piece)));
    at = next;
  }
  return {};
}

Result<Frame> ShardFileReader::ReadKeys(TableId table, uint64_t batch) {
  return ReadTensor(std::to_string(table.value) + ".keys." + std::to_string(batch));
}

Result<RowBatch> ShardFileReader::ReadRows(TableId table, uint64_t batch) {
  const TableHead* found = Find(table);
  SM_ASSERT(found);
  const std::string id = std::to_string(table.value);
  RowBatch rows;
  rows.keys = SM_TRY(ReadKeys(table, batch));
  rows.values = SM_TRY(ReadTensor(id + ".values." + std::to_string(batch)));
  if (std::get<SparseHead>(found->part).state > 0) {
    rows.state = SM_TRY(ReadTensor(id + ".state." + std::to_string(batch)));
  }
  return rows;
}

}  // namespace shardmill
