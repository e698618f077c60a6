#include "server/row_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <stop_token>
#include <system_error>
#include <thread>
#include <utility>

namespace shardmill {
namespace {

constexpr uint64_t kAlignment = 64;
constexpr uint64_t kHugePage = uint64_t{2} << 20;
constexpr uint64_t kMappedBytesMin = uint64_t{64} << 10;
constexpr uint64_t kMappedBytesMax = uint64_t{64} << 20;  // But for a larger piece.

uint64_t RoundedUp(uint64_t bytes, uint64_t to) { return (bytes + to - 1) / to * to; }

}  // namespace

class RowMemory::Mapping final {
 public:
  Mapping(uint64_t size, bool may_be_huge) {
    // Huge pages begin at a multiple of their size: what lies before the first is not used.
    const bool huge = may_be_huge && size >= kHugePage;
    const uint64_t all = huge ? RoundedUp(size, kHugePage) + kHugePage : size;
    void* at = mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    mapped_ = bytes_ = {static_cast<std::byte*>(at), all};
    if (!huge) return;
    const auto begin = reinterpret_cast<uintptr_t>(at);
    bytes_ = bytes_.subspan(RoundedUp(begin, kHugePage) - begin, RoundedUp(size, kHugePage));
    // Both this and what the thread does is advice: pages also come when they are touched.
    madvise(bytes_.data(), bytes_.size(), MADV_HUGEPAGE);
  }
  ~Mapping() {
    if (toucher_.joinable()) {
      toucher_.request_stop();
      toucher_.join();
    }
    munmap(mapped_.data(), mapped_.size());
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::span<std::byte> bytes() const { return bytes_; }

  // Has huge pages made ahead of their use. What is in them stays, so that they may be in use by
  // then.
  void TouchAhead() try {
    toucher_ = std::jthread([bytes = bytes_](const std::stop_token& stop) {
      for (uint64_t at = 0; at < bytes.size() && !stop.stop_requested(); at += kHugePage) {
        madvise(bytes.data() + at, kHugePage, MADV_POPULATE_WRITE);
      }
    });
  } catch (const std::system_error&) {
    // There are no more threads to be had: the pages come when they are touched.
  }

 private:
  std::span<std::byte> mapped_;
  std::span<std::byte> bytes_;
  std::jthread toucher_;
};

RowMemory::RowMemory() = default;
RowMemory::RowMemory(RowMemory&& other) noexcept
    : used_(std::move(other.used_)),
      next_(std::move(other.next_)),
      rest_(std::exchange(other.rest_, {})) {}
RowMemory& RowMemory::operator=(RowMemory&& other) noexcept {
  std::swap(used_, other.used_);
  std::swap(next_, other.next_);
  std::swap(rest_, other.rest_);
  return *this;
}
RowMemory::~RowMemory() = default;

std::span<std::byte> RowMemory::Take(uint64_t bytes) {
  const uint64_t size = RoundedUp(bytes, kAlignment);
  if (rest_.size() < size) {
    // What is small may stay so.
    const bool grows = !used_.empty();
    const auto make_next = [this](uint64_t at_least) {
      const uint64_t doubled = used_.empty() ? kMappedBytesMin : 2 * used_.back()->bytes().size();
      next_ = std::make_unique<Mapping>(std::max(at_least, std::min(doubled, kMappedBytesMax)),
                                        !used_.empty());
    };
    if (next_ == nullptr || next_->bytes().size() < size) make_next(size);
    rest_ = next_->bytes();
    used_.push_back(std::move(next_));
    if (grows && rest_.size() >= kHugePage) {
      make_next(0);
      next_->TouchAhead();
    }
  }
  const std::span<std::byte> taken = rest_.first(bytes);
  rest_ = rest_.subspan(size);
  return taken;
}

}  // namespace shardmill
