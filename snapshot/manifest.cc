#include "snapshot/manifest.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "common/crc32c.h"
#include "common/wire/from_proto.h"
#include "common/wire/to_proto.h"
#include "proto/manifest.pb.h"
#include "snapshot/shard_file.h"

namespace shardmill {
namespace {

constexpr uint32_t kFormat = 1;
// At the file's beginning; then the checksum, four bytes, little-endian; then the message.
constexpr std::string_view kMagic = "shardmill snapshot\r\n";
constexpr size_t kCrcBytes = 4;

Error Bad(const std::string& what) { return {ErrorCode::kBadInput, what}; }

uint32_t CrcOf(std::string_view bytes) { return Crc32c(std::as_bytes(std::span(bytes))); }

std::string CrcText(uint32_t crc) {
  std::string text(kCrcBytes, '\0');
  for (size_t i = 0; i < kCrcBytes; ++i) text[i] = static_cast<char>(crc >> (8 * i));
  return text;
}

Result<SnapshotFile> ReadFile(const snapshot::File& from, size_t shard) {
  SnapshotFile file;
  file.name = from.name();
  file.bytes = from.bytes();
  file.piece_bytes = from.piece_bytes();
  file.piece_crcs.assign(from.piece_crcs().begin(), from.piece_crcs().end());
  file.content = from.content();
  if (file.name != ShardFileName(ShardId{static_cast<uint32_t>(shard)})) {
    return Bad("a file has another name than its shard's");
  }
  if (file.piece_bytes == 0 || file.piece_bytes > kPieceBytesMax)
    return Bad("a file has bad pieces");
  const uint64_t pieces =
      file.bytes / file.piece_bytes + (file.bytes % file.piece_bytes > 0 ? 1 : 0);
  if (pieces != file.piece_crcs.size()) return Bad("a file has too few checksums, or too many");
  return file;
}

}  // namespace

uint64_t ContentOf(const Manifest& manifest) {
  uint64_t content = 0;
  for (const SnapshotFile& file : manifest.files) content += file.content;
  return content;
}

std::string EncodeManifest(const Manifest& manifest) {
  snapshot::Manifest to;
  to.set_format(kFormat);
  to.set_job(manifest.job.value);
  for (const JobId job : manifest.line) to.add_line(job.value);
  to.set_name(manifest.name);
  to.set_number(manifest.number);
  ToProto(manifest.view, *to.mutable_view());
  for (const RankState& state : manifest.cut) ToProto(state, *to.add_cut());
  ToProto(manifest.data, *to.mutable_data());
  for (const JobKey& key : manifest.keys) {
    wire::JobKey& out = *to.add_keys();
    out.set_key(key.key);
    out.set_value(key.value);
  }
  to.set_time_ms(manifest.time_ms);
  for (const SnapshotFile& file : manifest.files) {
    snapshot::File& out = *to.add_files();
    out.set_name(file.name);
    out.set_bytes(file.bytes);
    out.set_piece_bytes(file.piece_bytes);
    for (const uint32_t crc : file.piece_crcs) out.add_piece_crcs(crc);
    out.set_content(file.content);
  }
  to.set_content(ContentOf(manifest));
  const std::string message = to.SerializeAsString();
  return std::string(kMagic) + CrcText(CrcOf(message)) + message;
}

Result<Manifest> DecodeManifest(std::string_view bytes) {
  if (!bytes.starts_with(kMagic) || bytes.size() < kMagic.size() + kCrcBytes) {
    return Bad("it is no manifest of a snapshot");
  }
  const std::string_view message = bytes.substr(kMagic.size() + kCrcBytes);
  if (bytes.substr(kMagic.size(), kCrcBytes) != CrcText(CrcOf(message))) {
    return Bad("its bytes are not those that were written: their checksum is another");
  }
  snapshot::Manifest from;
  if (message.size() > kManifestBytesMax ||
      !from.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return Bad("it is no manifest of a snapshot");
  }
  if (from.format() != kFormat) {
    return Bad("it has format " + std::to_string(from.format()) + ", and this version reads " +
               std::to_string(kFormat) +
               "; read it with the version that wrote it, or a later one");
  }
  Manifest manifest;
  manifest.job = JobId{from.job()};
  for (const uint64_t job : from.line()) manifest.line.push_back(JobId{job});
  manifest.name = from.name();
  manifest.number = from.number();
  manifest.view = SM_TRY(FromProto(from.view(), WireLimits{}));
  for (const wire::RankState& state : from.cut()) manifest.cut.push_back(SM_TRY(FromProto(state)));
  const auto falls = [](const RankState& a, const RankState& b) { return a.rank >= b.rank; };
  if (std::ranges::adjacent_find(manifest.cut, falls) != manifest.cut.end()) {
    return Bad("its cut has not each rank once, the lowest first");
  }
  manifest.data = SM_TRY(FromProto(from.data()));
  for (const wire::JobKey& key : from.keys()) manifest.keys.push_back({key.key(), key.value()});
  manifest.time_ms = from.time_ms();
  for (const snapshot::File& file : from.files()) {
    manifest.files.push_back(SM_TRY(ReadFile(file, manifest.files.size())));
  }
  if (manifest.files.size() != manifest.view.shards.size()) {
    return Bad("it has not a file for each shard");
  }
  if (from.content() != ContentOf(manifest)) return Bad("its files do not sum up to its content");
  return manifest;
}

}  // namespace shardmill
