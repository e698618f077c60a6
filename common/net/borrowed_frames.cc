#include "common/net/borrowed_frames.h"

#include <sys/socket.h>

#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "common/net/shm_memory.h"
#include "common/process/priority.h"
#include "common/recycler.h"

namespace shardmill {
namespace {

// The last to unmap a gigabyte of a dead peer's gives its pages back to the system, which takes
// tenths of a second, in which an agent would hear nobody. The thread has nothing but the segments.
void UnmapElsewhere(std::vector<SharedMapping> segments, uint64_t bytes) {
  constexpr uint64_t kQuick = uint64_t{16} << 20;
  if (bytes <= kQuick) return;
  try {
    std::thread([gone = std::move(segments)] { YieldToOthers(); }).detach();
  } catch (const std::system_error&) {
    // No thread is to be had: they are unmapped here.
  }
}

}  // namespace

// The bookkeeping of one loan.
class BorrowedFrames::Storage final : public FrameStorage {
 public:
  Frame Open(std::shared_ptr<Core> core, uint32_t loan, std::span<const std::byte> bytes) {
    core_ = std::move(core);
    loan_ = loan;
    return Frame(*this, bytes);
  }

 private:
  void Release() override;

  std::shared_ptr<Core> core_;  // Shared: set while a frame has this, so that all stays mapped.
  uint32_t loan_ = 0;
};

// The mutex guards `returned`: frames go on any thread. `any` spares the agent the mutex where none
// has. Segments are the agent's.
struct BorrowedFrames::Core {
  explicit Core(FileDescriptor peer) : socket(std::move(peer)) {}
  ~Core() {
    shutdown(socket.get(), SHUT_WR);
    UnmapElsewhere(std::move(segments), mapped_bytes);
  }
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  FileDescriptor socket;
  std::vector<SharedMapping> segments;  // By number; empty: not known.
  uint64_t mapped_bytes = 0;
  Recycler<Storage> storages;

  std::mutex mutex;
  std::vector<uint32_t> returned;
  std::atomic<bool> any{false};
};

void BorrowedFrames::Storage::Release() {
  // The core may go with the last of its frames, and this with it.
  const std::shared_ptr<Core> core = std::move(core_);
  const uint32_t loan = loan_;
  core->storages.GiveBack(*this);
  const std::scoped_lock lock(core->mutex);
  core->returned.push_back(loan);
  core->any.store(true, std::memory_order_release);
}

BorrowedFrames::BorrowedFrames(FileDescriptor socket, const BorrowLimits& limits)
    : limits_(limits), core_(std::make_shared<Core>(std::move(socket))) {}
BorrowedFrames::~BorrowedFrames() = default;

bool BorrowedFrames::AddSegment(uint32_t number, uint64_t bytes, const FileDescriptor& file) {
  if (!file.valid() || number >= limits_.segments_max || HasSegment(number) ||
      bytes > limits_.bytes_max - core_->mapped_bytes) {
    return false;
  }
  auto mapping = SharedMapping::Map(file.get(), bytes, SharedMapping::Access::kRead);
  if (!mapping) return false;
  if (number >= core_->segments.size()) core_->segments.resize(number + 1);
  core_->segments[number] = std::move(*mapping);
  core_->mapped_bytes += bytes;
  return true;
}

bool BorrowedFrames::HasSegment(uint32_t number) const {
  return number < core_->segments.size() && !core_->segments[number].bytes().empty();
}

std::optional<Frame> BorrowedFrames::Borrow(uint32_t loan, uint32_t segment, uint64_t offset,
                                            uint64_t bytes) {
  if (!HasSegment(segment) || borrowed_ >= limits_.frames_max) return std::nullopt;
  const std::span<const std::byte> all = core_->segments[segment].bytes();
  if (offset > all.size() || bytes > all.size() - offset) return std::nullopt;
  ++borrowed_;
  return core_->storages.Take().Open(core_, loan, all.subspan(offset, bytes));
}

void BorrowedFrames::TakeReturned(std::vector<uint32_t>& loans) {
  if (!core_->any.load(std::memory_order_acquire)) return;
  const std::scoped_lock lock(core_->mutex);
  core_->any.store(false, std::memory_order_relaxed);
  borrowed_ -= core_->returned.size();
  loans.insert(loans.end(), core_->returned.begin(), core_->returned.end());
  core_->returned.clear();
}

}  // namespace shardmill
