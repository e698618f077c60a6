#include "tests/nn/soft_card/memory.h"

#include <sanitizer/asan_interface.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "common/assert.h"

namespace shardmill::soft {
namespace {

constexpr uint64_t kRegionBytes = uint64_t{1} << 40;
constexpr uint64_t kPage = 4096;
constexpr uint64_t kAlignment = 256;
constexpr int kPoison = 0xff;  // Neither a number nor a place.

uint64_t RoundUp(uint64_t bytes, uint64_t to) { return (bytes + to - 1) / to * to; }

}  // namespace

void Die(const char* words) {
  std::fprintf(stderr, "soft card: %s\n", words);
  std::abort();
}

Memory::Memory(uint64_t bytes_max) : bytes_max_(bytes_max) {
  void* const region =
      mmap(nullptr, kRegionBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  SM_ASSERT(region != MAP_FAILED);
  region_ = static_cast<char*>(region);
}

Memory::~Memory() { munmap(region_, kRegionBytes); }

char* Memory::Take(uint64_t bytes) {
  if (bytes > bytes_free()) return nullptr;
  const uint64_t pages = RoundUp(std::max<uint64_t>(bytes, 1), kPage);
  const Block block{region_ + used_, pages, bytes};
  used_ += pages + kPage;  // And one that is never anybody's.
  SM_ASSERT(used_ <= kRegionBytes);
  Protect(block, true);
  std::memset(block.begin, kPoison, pages);
  char* const memory = block.begin + pages - RoundUp(std::max<uint64_t>(bytes, 1), kAlignment);
  ASAN_POISON_MEMORY_REGION(block.begin, pages);
  ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
  Protect(block, open_);
  blocks_[memory] = block;
  bytes_ += bytes;
  return memory;
}

void Memory::Give(char* memory) {
  const auto found = blocks_.find(memory);
  if (found == blocks_.end()) Die("memory is given back that is not in use");
  const Block& block = found->second;
  Protect(block, true);
  ASAN_UNPOISON_MEMORY_REGION(block.begin, block.pages);
  const auto poison = [](char byte) { return byte == static_cast<char>(kPoison); };
  if (!std::all_of(block.begin, memory, poison) ||
      !std::all_of(memory + block.bytes, block.begin + block.pages, poison)) {
    Die("something was written beside a block of memory");
  }
  madvise(block.begin, block.pages, MADV_DONTNEED);
  Protect(block, false);
  bytes_ -= block.bytes;
  blocks_.erase(found);
}

void Memory::Protect(const Block& block, bool open) const {
  SM_ASSERT(mprotect(block.begin, block.pages, open ? PROT_READ | PROT_WRITE : PROT_NONE) == 0);
}

void Memory::Open() {
  open_ = true;
  for (const auto& [memory, block] : blocks_) Protect(block, true);
}

void Memory::Close() {
  open_ = false;
  for (const auto& [memory, block] : blocks_) Protect(block, false);
}

bool Memory::Owns(const void* place) const {
  return place >= region_ && place < region_ + kRegionBytes;
}

bool Memory::Holds(const void* place, uint64_t bytes) const {
  const auto* const at = static_cast<const char*>(place);
  auto found = blocks_.upper_bound(at);
  if (found == blocks_.begin()) return false;
  const auto& [memory, block] = *--found;
  const auto offset = static_cast<uint64_t>(at - memory);
  return offset <= block.bytes && bytes <= block.bytes - offset;
}

}  // namespace shardmill::soft
