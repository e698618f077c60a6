#include "common/net/shm_memory.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <bit>
#include <new>
#include <utility>

#include "common/assert.h"

namespace shardmill {
namespace {

// The heads of both rings have a page.
constexpr uint64_t kHeadsBytes = 4096;
constexpr uint64_t kRings = 2;
static_assert(kRings * sizeof(RingHeads) <= kHeadsBytes);

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
// Either keeps everybody from taking pages out of the file again.
constexpr int kKeepPages = F_SEAL_FUTURE_WRITE | F_SEAL_WRITE;

// Of a file whose pages are all there; 0 where they are not.
uint64_t WholeBytes(int file) {
  constexpr uint64_t kBlock = 512;  // What st_blocks counts, whatever the file system.
  struct stat status {};
  if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= 0) return 0;
  // On huge pages, of which there is a set number, a page that was taken out again is a fault.
  struct statfs system {};
  if (fstatfs(file, &system) != 0 || system.f_type != TMPFS_MAGIC) return 0;
  const auto bytes = static_cast<uint64_t>(status.st_size);
  // Reading a hole would fill it, at the reader's expense.
  return static_cast<uint64_t>(status.st_blocks) * kBlock >= bytes ? bytes : 0;
}

}  // namespace

std::optional<SharedMapping> SharedMapping::Map(int file, uint64_t bytes, Access access) {
  const int seals = fcntl(file, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) return std::nullopt;
  if (access == Access::kRead && (seals & kKeepPages) == 0) return std::nullopt;
  if (bytes == 0 || WholeBytes(file) != bytes) return std::nullopt;
  const int protection = access == Access::kRead ? PROT_READ : PROT_READ | PROT_WRITE;
  void* mapped = mmap(nullptr, bytes, protection, MAP_SHARED | MAP_POPULATE, file, 0);
  if (mapped == MAP_FAILED) return std::nullopt;
  return SharedMapping(std::span(static_cast<std::byte*>(mapped), bytes));
}

SharedMapping::SharedMapping(SharedMapping&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})) {}

SharedMapping& SharedMapping::operator=(SharedMapping&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

SharedMapping::~SharedMapping() {
  if (!bytes_.empty()) munmap(bytes_.data(), bytes_.size());
}

RingPair::RingPair(FileDescriptor file, SharedMapping mapping, uint64_t ring_bytes)
    : file_(std::move(file)), mapping_(std::move(mapping)), ring_bytes_(ring_bytes) {}

std::optional<RingPair> RingPair::Make(uint64_t ring_bytes) {
  SM_ASSERT(std::has_single_bit(ring_bytes) && ring_bytes >= kBytesMin && ring_bytes <= kBytesMax);
  const uint64_t bytes = kHeadsBytes + kRings * ring_bytes;
  FileDescriptor file(memfd_create("shardmill-rings", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.valid() || fallocate(file.get(), 0, 0, static_cast<off_t>(bytes)) != 0 ||
      fcntl(file.get(), F_ADD_SEALS, kSeals) != 0) {
    return std::nullopt;
  }
  // The kernel's zeros are the rings' first state.
  return Take(std::move(file));
}

std::optional<RingPair> RingPair::Take(FileDescriptor file) {
  const uint64_t bytes = WholeBytes(file.get());
  if (bytes <= kHeadsBytes) return std::nullopt;
  const uint64_t ring_bytes = (bytes - kHeadsBytes) / kRings;
  if (!std::has_single_bit(ring_bytes) || ring_bytes < kBytesMin || ring_bytes > kBytesMax) {
    return std::nullopt;
  }
  auto mapping = SharedMapping::Map(file.get(), kHeadsBytes + kRings * ring_bytes,
                                    SharedMapping::Access::kReadAndWrite);
  if (!mapping) return std::nullopt;
  return RingPair(std::move(file), std::move(*mapping), ring_bytes);
}

RingMemory RingPair::Ring(uint64_t index) const {
  std::byte* begin = mapping_.bytes().data();
  auto* heads = std::launder(reinterpret_cast<RingHeads*>(begin + index * sizeof(RingHeads)));
  return {heads, begin + kHeadsBytes + index * ring_bytes_, ring_bytes_};
}

}  // namespace shardmill
