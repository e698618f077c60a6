#include "server/shard_log.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "common/blob/posix_files.h"
#include "common/crc32c.h"
#include "common/mutation.h"

namespace shardmill {
namespace {

// The file begins with these; the last one is the version of the format.
constexpr std::array<char, 8> kMagic = {'s', 'h', 'm', 'i', 'l', 'o', 'g', 1};
// What is written at once is put together up to so many bytes.
constexpr size_t kGatherBytes = size_t{256} << 10;
// Of one item, the header and its payload.
constexpr uint32_t kFramesMax = uint32_t{1} << 20;

// The file itself bounds what is in it.
WireLimits Limits() {
  WireLimits limits;
  limits.message_bytes_max = std::numeric_limits<uint64_t>::max();
  limits.messages_max = 1;
  return limits;
}

// What stands before each batch. Little-endian, as all that we write. It has a checksum of its own,
// by which the batches behind a damaged one are found.
struct Head {
  uint64_t bytes = 0;
  uint32_t number = 0;      // Counted from 1.
  uint32_t takes_over = 0;  // The file is the log with this batch, and not before.
  uint32_t body = 0;        // Its checksum.
  uint32_t head = 0;        // That of all before.

  uint32_t Checksum() const {
    return Crc32c(std::as_bytes(std::span(this, 1)).first(offsetof(Head, head)));
  }
  // A sound one; nothing where none stands there.
  static std::optional<Head> At(std::span<const std::byte> bytes) {
    Head head;
    if (bytes.size() < sizeof(head)) return {};
    std::memcpy(&head, bytes.data(), sizeof(head));
    if (head.head != head.Checksum()) return {};
    return head;
  }
};
static_assert(sizeof(Head) == kShardLogHeadBytes);

// Before the frames of an item stand how many they are, and the size of each.
Frame IndexOf(std::span<const Frame> frames) {
  std::vector<uint64_t> sizes = {frames.size()};
  for (const Frame& frame : frames) sizes.push_back(frame.size());
  return Frame::CopyOf(std::as_bytes(std::span(sizes)));
}

// Takes the frames of one item off the front of a batch; nothing where they are not all there.
std::optional<std::vector<Frame>> TakeItem(Frame& rest) {
  size_t at = 0;
  const auto next = [&]() -> std::optional<uint64_t> {
    uint64_t value = 0;
    if (rest.size() - at < sizeof(value)) return {};
    std::memcpy(&value, rest.bytes().data() + at, sizeof(value));
    at += sizeof(value);
    return value;
  };
  const std::optional<uint64_t> count = next();
  if (!count || *count > kFramesMax) return {};
  std::vector<uint64_t> sizes;
  for (uint64_t i = 0; i < *count; ++i) {
    const std::optional<uint64_t> size = next();
    if (!size) return {};
    sizes.push_back(*size);
  }
  std::vector<Frame> frames;
  for (const uint64_t size : sizes) {
    if (size > rest.size() - at) return {};
    frames.push_back(rest.Slice(at, size));
    at += size;
  }
  rest = rest.Slice(at, rest.size() - at);
  return frames;
}

// Reads a file from its beginning.
class Reader final {
 public:
  Reader(FileSystem& files, const std::string& path, FramePool& frames)
      : files_(files), path_(path), frames_(frames), codec_(frames, Limits()) {}

  Result<> Run(const VisitLog& visit) {
    size_ = SM_TRY(files_.Size(path_));
    std::array<char, kMagic.size()> magic{};
    if (size_ < magic.size()) return Bad("is no log of this program and version");
    SM_TRY(files_.Read(path_, 0, std::as_writable_bytes(std::span(magic))));
    if (magic != kMagic) return Bad("is no log of this program and version");
    at_ = magic.size();
    bool whole = false;
    for (uint32_t number = 1; at_ < size_; ++number) {
      const std::optional<Head> head = SM_TRY(HeadAt(at_, number));
      const std::optional<Frame> body = head ? SM_TRY(BodyOf(*head)) : std::optional<Frame>();
      if (!body) {
        // The next one is begun when this one is on disk.
        const bool more =
            head ? size_ - at_ - sizeof(Head) > head->bytes : SM_TRY(IsBehind(number));
        if (more) return Bad("is damaged at byte " + std::to_string(at_));
        break;
      }
      SM_TRY(Show(*body, visit));
      at_ += sizeof(Head) + head->bytes;
      whole = whole || head->takes_over != 0;
    }
    if (whole) return {};
    return Bad("ends before it is whole, at byte " + std::to_string(at_));
  }

 private:
  Error Bad(const std::string& what) const { return {ErrorCode::kBadInput, path_ + " " + what}; }

  Result<std::optional<Head>> HeadAt(uint64_t at, uint32_t number) {
    std::array<std::byte, sizeof(Head)> bytes{};
    if (size_ - at < bytes.size()) return std::optional<Head>();
    SM_TRY(files_.Read(path_, at, bytes));
    const std::optional<Head> head = Head::At(bytes);
    return head && head->number == number ? head : std::nullopt;
  }

  Result<std::optional<Frame>> BodyOf(const Head& head) {
    if (head.bytes > size_ - at_ - sizeof(Head)) return std::optional<Frame>();
    Buffer buffer = frames_.OfBytes(head.bytes);
    SM_TRY(files_.Read(path_, at_ + sizeof(Head), buffer.bytes()));
    if (Crc32c(buffer.bytes()) != head.body) return std::optional<Frame>();
    return std::optional(std::move(buffer).Close());
  }

  // Whether the head of any batch after that one stands behind. Of a batch that is half there any
  // bytes may be taken for a sound head, so it must also be one that can be there: each batch
  // before it takes the room of a head at least.
  Result<bool> IsBehind(uint32_t number) {
    constexpr uint64_t kLookBytes = uint64_t{1} << 20;
    std::vector<std::byte> bytes;
    for (uint64_t at = at_ + 1; at + sizeof(Head) <= size_; at += kLookBytes) {
      bytes.resize(std::min(kLookBytes + sizeof(Head) - 1, size_ - at));
      SM_TRY(files_.Read(path_, at, bytes));
      for (size_t i = 0; i + sizeof(Head) <= bytes.size(); ++i) {
        const std::optional<Head> head = Head::At(std::span(bytes).subspan(i));
        const uint64_t between = (at + i - at_) / sizeof(Head);
        if (!head || head->number <= number || head->takes_over > 1) continue;
        if (head->number - number <= between) return true;
      }
    }
    return false;
  }

  Result<> Show(Frame rest, const VisitLog& visit) {
    while (rest.size() > 0) {
      const std::optional<std::vector<Frame>> item = TakeItem(rest);
      if (!item) return Bad("has a batch that cannot be, at byte " + std::to_string(at_));
      const Result<> read = codec_.Decode(*item, packet_);
      if (!read.ok()) return Bad("has an item that is none: " + read.error().message);
      if (packet_.messages.size() != 1) return Bad("has an item that is not one message");
      auto& [stamp, message] = packet_.messages.front();
      auto* follow = std::get_if<Follow>(&message);
      if (follow == nullptr) return Bad("has an item of another kind");
      SM_TRY(visit(stamp, std::move(*follow)));
    }
    return {};
  }

  FileSystem& files_;
  const std::string& path_;
  FramePool& frames_;
  WireCodec codec_;
  Packet packet_;
  uint64_t size_ = 0;
  uint64_t at_ = 0;
};

}  // namespace

ShardLogWriter::ShardLogWriter(FileSystem& files, std::string path, FramePool& frames)
    : files_(files), path_(std::move(path)), codec_(frames, Limits()) {}

Result<std::unique_ptr<ShardLogWriter>> ShardLogWriter::Begin(FileSystem& files,
                                                              const std::string& path,
                                                              FramePool& frames) {
  std::unique_ptr<ShardLogWriter> log(new ShardLogWriter(files, path, frames));
  const std::string name = path + ".new";
  SM_TRY(files.RemoveFile(name));
  log->file_ = SM_TRY(files.CreateNew(name));
  if (log->file_ == nullptr) {
    return Error{ErrorCode::kUnavailable, name + ": another process writes it just now"};
  }
  SM_TRY(log->file_->Append(std::as_bytes(std::span(kMagic))));
  log->bytes_ = kMagic.size();
  return log;
}

Result<> ShardLogWriter::Append(const Stamp& stamp, std::span<const Follow> items,
                                bool takes_over) {
  if (file_ == nullptr) return Error{ErrorCode::kFailed, path_ + " could not be written before"};
  const Result<> written = Write(stamp, items, takes_over);
  if (!written.ok()) file_.reset();  // What it has, nobody knows.
  return written;
}

Result<> ShardLogWriter::Write(const Stamp& stamp, std::span<const Follow> items, bool takes_over) {
  std::vector<Frame> body;
  Packet packet;
  for (const Follow& item : items) {
    packet.messages = {{stamp, item}};
    const std::span<const Frame> frames = codec_.Encode(packet);
    body.push_back(IndexOf(frames));
    body.insert(body.end(), frames.begin(), frames.end());
  }
  Head head{0, ++batches_, takes_over ? 1U : 0U, 0, 0};
  for (const Frame& frame : body) {
    head.bytes += frame.size();
    head.body = Crc32c(frame.bytes(), head.body);
  }
  head.head = head.Checksum();
  const auto bytes = std::as_bytes(std::span(&head, 1));
  std::vector<std::byte> gathered(bytes.begin(), bytes.end());
  const auto flush = [&]() -> Result<> {
    if (!gathered.empty()) SM_TRY(file_->Append(gathered));
    gathered.clear();
    return {};
  };
  for (const Frame& frame : body) {
    if (gathered.size() + frame.size() > kGatherBytes) SM_TRY(flush());
    if (frame.size() > kGatherBytes) {
      SM_TRY(file_->Append(frame.bytes()));
    } else {
      gathered.insert(gathered.end(), frame.bytes().begin(), frame.bytes().end());
    }
  }
  SM_TRY(flush());
  Result<> synced = file_->Sync();
  if (!synced.ok() && Mutated(Mutation::kRetryFailedSync)) synced = file_->Sync();
  SM_TRY(std::move(synced));
  if (!file_->HasName())
    return Error{ErrorCode::kFailed, path_ + " was removed while it was written"};
  bytes_ += sizeof(head) + head.bytes;
  if (!takes_over) return {};
  SM_TRY(files_.Rename(path_ + ".new", path_));
  return files_.SyncFolder(ParentOf(path_));
}

Result<> ReadShardLog(FileSystem& files, const std::string& path, FramePool& frames,
                      const VisitLog& visit) {
  return Reader(files, path, frames).Run(visit);
}

}  // namespace shardmill
