#include "common/frame.h"

#include <cstring>
#include <new>

#include "common/assert.h"

namespace shardmill {
namespace {

constexpr size_t kAlignment = 64;

// Bytes of our own, one aligned allocation beside this object.
class HeapStorage final : public FrameStorage {
 public:
  explicit HeapStorage(size_t size)
      : bytes_(static_cast<std::byte*>(::operator new (size, std::align_val_t{kAlignment})), size) {
  }
  ~HeapStorage() override { ::operator delete (bytes_.data(), std::align_val_t{kAlignment}); }

  std::span<std::byte> writable() override { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

}  // namespace

Frame::Frame(std::unique_ptr<FrameStorage> storage, std::span<const std::byte> bytes)
    : storage_(storage.release()), data_(bytes.data()), size_(bytes.size()) {
  if (storage_ != nullptr) storage_->references_.store(1, std::memory_order_relaxed);
}

Frame::Frame(FrameStorage& storage, std::span<const std::byte> bytes)
    : storage_(&storage), data_(bytes.data()), size_(bytes.size()) {
  storage_->references_.store(1, std::memory_order_relaxed);
}

Frame::Frame(const Frame& other)
    : storage_(other.storage_), data_(other.data_), size_(other.size_) {
  if (storage_ != nullptr) storage_->references_.fetch_add(1, std::memory_order_relaxed);
}

Frame::Frame(Frame&& other) noexcept
    : storage_(std::exchange(other.storage_, nullptr)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

Frame& Frame::operator=(Frame other) noexcept {
  std::swap(storage_, other.storage_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Frame::~Frame() {
  if (storage_ == nullptr) return;
  if (storage_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) storage_->Release();
}

Frame Frame::CopyOf(std::span<const std::byte> bytes) {
  Buffer buffer = Buffer::OfBytes(bytes.size());
  if (!bytes.empty()) std::memcpy(buffer.bytes().data(), bytes.data(), bytes.size());
  return std::move(buffer).Close();
}

Frame Frame::CopyOf(std::span<const float> floats) { return CopyOf(std::as_bytes(floats)); }

Frame Frame::CopyOf(std::span<const uint64_t> keys) { return CopyOf(std::as_bytes(keys)); }

bool Frame::IsFloats() const {
  return size_ % sizeof(float) == 0 && reinterpret_cast<uintptr_t>(data_) % alignof(float) == 0;
}

std::span<const float> Frame::floats() const {
  SM_ASSERT(IsFloats());
  return {reinterpret_cast<const float*>(data_), size_ / sizeof(float)};
}

bool Frame::IsKeys() const {
  return size_ % sizeof(uint64_t) == 0 &&
         reinterpret_cast<uintptr_t>(data_) % alignof(uint64_t) == 0;
}

std::span<const uint64_t> Frame::keys() const {
  SM_ASSERT(IsKeys());
  return {reinterpret_cast<const uint64_t*>(data_), size_ / sizeof(uint64_t)};
}

Frame Frame::Slice(size_t begin, size_t size) const {
  SM_ASSERT(begin <= size_ && size <= size_ - begin);
  Frame slice = *this;
  slice.data_ += begin;
  slice.size_ = size;
  return slice;
}

bool Frame::Unique() const {
  return storage_ != nullptr && storage_->references_.load(std::memory_order_acquire) == 1;
}

Buffer Buffer::OfBytes(size_t bytes) {
  auto storage = std::make_unique<HeapStorage>(bytes);
  const std::span<const std::byte> all = storage->writable();
  return Buffer(Frame(std::move(storage), all));
}

Buffer Buffer::OfFloats(size_t floats) { return OfBytes(floats * sizeof(float)); }

Buffer Buffer::Reopen(Frame&& frame) {
  SM_ASSERT(frame.Unique());
  SM_ASSERT(frame.storage_->writable().data() == frame.data_);
  return Buffer(std::move(frame));
}

std::span<std::byte> Buffer::bytes() {
  // The bytes are ours alone until Close(): the one place where a frame is not const.
  return {const_cast<std::byte*>(frame_.data_), frame_.size_};
}

std::span<float> Buffer::floats() {
  const std::span<std::byte> all = bytes();
  return {reinterpret_cast<float*>(all.data()), all.size() / sizeof(float)};
}

Frame Buffer::Close() && { return std::move(frame_); }

}  // namespace shardmill
