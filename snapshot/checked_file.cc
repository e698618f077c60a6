#include "snapshot/checked_file.h"

#include <algorithm>
#include <utility>

#include "common/assert.h"
#include "common/crc32c.h"

namespace shardmill {

Result<CheckedWriter> CheckedWriter::Create(BlobStore& store, const std::string& folder,
                                            const std::string& name, uint64_t piece_bytes) {
  SM_ASSERT(piece_bytes > 0);
  std::unique_ptr<BlobWriter> writer = SM_TRY(store.Create(folder + name));
  return CheckedWriter(std::move(writer), name, piece_bytes);
}

CheckedWriter::CheckedWriter(std::unique_ptr<BlobWriter> writer, const std::string& name,
                             uint64_t piece_bytes)
    : writer_(std::move(writer)) {
  file_.name = name;
  file_.piece_bytes = piece_bytes;
}

Result<> CheckedWriter::Append(std::span<const std::byte> bytes) {
  file_.bytes += bytes.size();
  std::span<const std::byte> rest = bytes;
  while (!rest.empty()) {
    const auto part = rest.first(std::min(rest.size(), file_.piece_bytes - crc_bytes_));
    crc_ = Crc32c(part, crc_);
    crc_bytes_ += part.size();
    rest = rest.subspan(part.size());
    if (crc_bytes_ < file_.piece_bytes) break;
    file_.piece_crcs.push_back(std::exchange(crc_, 0));
    crc_bytes_ = 0;
  }
  return writer_->Append(bytes);
}

Result<SnapshotFile> CheckedWriter::Commit() {
  if (crc_bytes_ > 0) file_.piece_crcs.push_back(crc_);
  SM_TRY(writer_->Commit());
  return std::move(file_);
}

Result<CheckedReader> CheckedReader::Open(BlobStore& store, const std::string& folder,
                                          const SnapshotFile& file) {
  CheckedReader reader(store, folder + file.name, file);
  const uint64_t bytes = SM_TRY(store.Size(reader.name_));
  if (bytes == file.bytes) return reader;
  return Error{ErrorCode::kBadInput, reader.place() + ": it has " + std::to_string(bytes) +
                                         " bytes, and had " + std::to_string(file.bytes) +
                                         " when the snapshot was taken"};
}

CheckedReader::CheckedReader(BlobStore& store, std::string name, const SnapshotFile& file)
    : store_(&store), name_(std::move(name)), file_(file) {}

Result<> CheckedReader::Load(uint64_t piece) {
  if (loaded_ == piece) return {};
  loaded_.reset();
  const uint64_t begin = piece * file_.piece_bytes;
  piece_.resize(std::min(file_.piece_bytes, file_.bytes - begin));
  SM_TRY(store_->Read(name_, begin, piece_));
  if (Crc32c(piece_) != file_.piece_crcs[piece]) {
    return Error{ErrorCode::kBadInput,
                 place() + ": the bytes " + std::to_string(begin) + " to " +
                     std::to_string(begin + piece_.size()) +
                     " are not those that were written: their checksum is another"};
  }
  loaded_ = piece;
  return {};
}

Result<> CheckedReader::Read(uint64_t begin, std::span<std::byte> to) {
  if (begin > file_.bytes || to.size() > file_.bytes - begin) {
    return Error{ErrorCode::kBadInput,
                 place() + ": it ends before byte " + std::to_string(begin + to.size())};
  }
  while (!to.empty()) {
    SM_TRY(Load(begin / file_.piece_bytes));
    const uint64_t inside = begin % file_.piece_bytes;
    const size_t size = std::min<uint64_t>(to.size(), piece_.size() - inside);
    std::copy_n(piece_.begin() + static_cast<ptrdiff_t>(inside), size, to.begin());
    to = to.subspan(size);
    begin += size;
  }
  return {};
}

}  // namespace shardmill
