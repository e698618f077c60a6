#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

namespace shardmill {

// Where a frame's bytes live and what happens when the last reference goes. Frames own it until
// then, and use it on any thread (ZeroMQ lets go on its IO thread).
class FrameStorage {
 public:
  FrameStorage(const FrameStorage&) = delete;
  FrameStorage& operator=(const FrameStorage&) = delete;
  virtual ~FrameStorage() = default;

 protected:
  FrameStorage() = default;

 private:
  friend class Buffer;
  friend class Frame;

  // The last reference has gone: deletes this, or keeps it for the next frame.
  virtual void Release() { delete this; }
  // The bytes, where they may be written again by who holds the only reference (see Buffer).
  virtual std::span<std::byte> writable() { return {}; }

  std::atomic<uint64_t> references_{0};
};

// Immutable bytes with an atomic reference count: the one way bytes are held, sent, kept and
// shared. A value; copies are cheap and may live on different threads. `Slice` shares the storage.
class Frame final {
 public:
  Frame() = default;
  // Takes a storage whose bytes are `bytes`, and counts the references to it from here on.
  Frame(std::unique_ptr<FrameStorage> storage, std::span<const std::byte> bytes);
  // The same for a storage that somebody else owns while no frame does, as its Release says.
  Frame(FrameStorage& storage, std::span<const std::byte> bytes);
  Frame(const Frame& other);
  Frame(Frame&& other) noexcept;
  Frame& operator=(Frame other) noexcept;
  ~Frame();

  static Frame CopyOf(std::span<const std::byte> bytes);
  static Frame CopyOf(std::span<const float> floats);
  static Frame CopyOf(std::span<const uint64_t> keys);

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  size_t size() const { return size_; }
  // The bytes as floats. The bytes must be aligned and a whole number of floats (IsFloats).
  std::span<const float> floats() const;
  bool IsFloats() const;
  // The same for 64-bit keys of rows.
  std::span<const uint64_t> keys() const;
  bool IsKeys() const;
  Frame Slice(size_t begin, size_t size) const;

  // True if this is the only reference: what the frame's owner may then write again (see Buffer).
  bool Unique() const;

 private:
  friend class Buffer;

  FrameStorage* storage_ = nullptr;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Writable bytes, aligned to a cache line, that become a Frame when they are done. Made on the heap
// here, or by a FramePool. Move only. Size is fixed.
class Buffer final {
 public:
  Buffer() = default;
  static Buffer OfFloats(size_t floats);  // Not initialised.
  static Buffer OfBytes(size_t bytes);    // Not initialised.
  // Takes back the bytes of a frame to which nobody else holds a reference. The frame must be a
  // whole one that came from a Buffer, and Unique().
  static Buffer Reopen(Frame&& frame);

  Buffer(Buffer&& other) noexcept = default;
  Buffer& operator=(Buffer&& other) noexcept = default;

  std::span<std::byte> bytes();
  std::span<float> floats();
  Frame Close() &&;

 private:
  friend class FramePool;
  explicit Buffer(Frame frame) : frame_(std::move(frame)) {}

  Frame frame_;
};

}  // namespace shardmill
