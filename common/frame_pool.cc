#include "common/frame_pool.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace shardmill {
namespace {

constexpr uint64_t kAlignment = 64;
constexpr uint64_t kSegmentBytesMin = uint64_t{1} << 20;
constexpr uint64_t kSegmentBytesMax = uint64_t{64} << 20;  // But for a larger block.
constexpr uint64_t kHugePage = uint64_t{2} << 20;

// Sizes are rounded up to a quarter of the power of two below them, so that a block fits another
// frame of about its size and wastes a quarter at most.
uint64_t RoundedUp(uint64_t bytes) {
  const uint64_t step = std::max(kAlignment, std::bit_floor(std::max(bytes, uint64_t{2}) - 1) / 4);
  return std::max(kAlignment, (bytes + step - 1) / step * step);
}

struct Segment {
  std::byte* data = nullptr;
  uint64_t size = 0;
  int file = -1;
};

// A file that can neither shrink under its readers nor be written by them; -1 where there is none.
int SealedFile(uint64_t bytes, std::byte** data) {
  const int file = memfd_create("shardmill", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file < 0) return -1;
  void* mapped = MAP_FAILED;
  if (ftruncate(file, static_cast<off_t>(bytes)) == 0) {
    mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
  }
  // What is mapped already stays writable.
  const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
  if (mapped == MAP_FAILED || fcntl(file, F_ADD_SEALS, seals) != 0) {
    if (mapped != MAP_FAILED) munmap(mapped, bytes);
    close(file);
    return -1;
  }
  *data = static_cast<std::byte*>(mapped);
  return file;
}

std::byte* PrivatePages(uint64_t bytes) {
  void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  // Both are advice: without them the pages come one by one, when they are touched.
  if (bytes >= kHugePage) madvise(mapped, bytes, MADV_HUGEPAGE);
  madvise(mapped, bytes, MADV_POPULATE_WRITE);
  return static_cast<std::byte*>(mapped);
}

}  // namespace

// A block of memory that one frame has, or that waits for the next. Its bookkeeping is not in the
// memory that peers see.
class FramePool::Block final : public FrameStorage {
 public:
  explicit Block(std::span<std::byte> bytes) : bytes_(bytes) {}

  Frame Open(std::shared_ptr<Core> core, size_t size) {
    core_ = std::move(core);
    return Frame(*this, bytes_.first(size));
  }

 private:
  void Release() override;
  std::span<std::byte> writable() override { return bytes_; }

  std::span<std::byte> bytes_;
  std::shared_ptr<Core> core_;  // Shared: set while a frame has the block, so that it stays mapped.
};

// The mutex guards everything: blocks come back on any thread.
struct FramePool::Core {
  explicit Core(Memory of) : memory(of) {}
  ~Core() {
    for (const Segment& segment : segments) {
      munmap(segment.data, segment.size);
      if (segment.file >= 0) close(segment.file);
    }
  }
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  Block* Take(uint64_t size) {
    const std::scoped_lock lock(mutex);
    std::vector<Block*>& waiting = free[size];
    if (!waiting.empty()) {
      Block* block = waiting.back();
      waiting.pop_back();
      return block;
    }
    if (rest.size() < size) AddSegment(size);
    blocks.push_back(std::make_unique<Block>(rest.first(size)));
    rest = rest.subspan(size);
    // Room for it to come back without an allocation.
    waiting.reserve(++made[size]);
    return blocks.back().get();
  }

  void GiveBack(Block* block, uint64_t size) {
    const std::scoped_lock lock(mutex);
    free[size].push_back(block);
  }

  void AddSegment(uint64_t size) {
    Segment segment;
    const uint64_t last = segments.empty() ? kSegmentBytesMin / 2 : segments.back().size;
    segment.size = std::max(size, std::min(2 * last, kSegmentBytesMax));
    if (memory == Memory::kShared) segment.file = SealedFile(segment.size, &segment.data);
    // Where files in memory cannot be had peers get copies.
    if (segment.file < 0) segment.data = PrivatePages(segment.size);
    segments.push_back(segment);
    mapped += segment.size;
    rest = {segment.data, segment.size};
  }

  const Memory memory;
  mutable std::mutex mutex;
  std::vector<Segment> segments;
  std::span<std::byte> rest;  // Of the last segment, not yet cut.
  std::vector<std::unique_ptr<Block>> blocks;
  std::map<uint64_t, std::vector<Block*>> free;  // By size.
  std::map<uint64_t, size_t> made;
  uint64_t mapped = 0;
};

void FramePool::Block::Release() {
  // The core may go with the last of its blocks, and this with it.
  const std::shared_ptr<Core> core = std::move(core_);
  core->GiveBack(this, bytes_.size());
}

FramePool::FramePool(Memory memory) : core_(std::make_shared<Core>(memory)) {}
FramePool::~FramePool() = default;

Buffer FramePool::OfBytes(size_t bytes) {
  return Buffer(core_->Take(RoundedUp(bytes))->Open(core_, bytes));
}

Buffer FramePool::OfFloats(size_t floats) { return OfBytes(floats * sizeof(float)); }

Frame FramePool::CopyOf(std::span<const std::byte> bytes) {
  Buffer buffer = OfBytes(bytes.size());
  if (!bytes.empty()) std::memcpy(buffer.bytes().data(), bytes.data(), bytes.size());
  return std::move(buffer).Close();
}

std::optional<FramePool::Place> FramePool::Find(std::span<const std::byte> bytes) const {
  const std::scoped_lock lock(core_->mutex);
  for (uint32_t i = 0; i < core_->segments.size(); ++i) {
    const Segment& segment = core_->segments[i];
    const uint64_t offset = reinterpret_cast<uintptr_t>(bytes.data()) -
                            reinterpret_cast<uintptr_t>(segment.data);  // Huge where it is below.
    if (segment.file < 0 || offset >= segment.size) continue;
    if (bytes.size() <= segment.size - offset) return Place{i, offset};
  }
  return std::nullopt;
}

FramePool::SegmentFile FramePool::FileOf(uint32_t segment) const {
  const std::scoped_lock lock(core_->mutex);
  return {core_->segments.at(segment).file, core_->segments.at(segment).size};
}

uint64_t FramePool::mapped_bytes() const {
  const std::scoped_lock lock(core_->mutex);
  return core_->mapped;
}

}  // namespace shardmill
