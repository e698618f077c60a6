#pragma once

#include <cstdint>
#include <map>

namespace shardmill::soft {

// Says what the program that uses the card does wrong, and ends it.
[[noreturn]] void Die(const char* words);

// Memory of a card, or of the host as a card sees it: apart from all other, poisoned when it is
// taken, and never at a place where other memory was. Whoever reads beyond a block or after its end
// gets a fault, or under the address sanitizer its words, to the byte.
class Memory final {
 public:
  explicit Memory(uint64_t bytes_max);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // Null where there is no room.
  char* Take(uint64_t bytes);
  void Give(char* memory);

  // While it is closed, which it is not at first, no access is one.
  void Open();
  void Close();

  // Whether it lies among all of this memory, and whether it lies in one block.
  bool Owns(const void* place) const;
  bool Holds(const void* place, uint64_t bytes) const;

  uint64_t bytes_free() const { return bytes_max_ - bytes_; }
  uint64_t blocks() const { return blocks_.size(); }

 private:
  struct Block {
    char* begin = nullptr;  // Of its pages; it ends where they do, or a little before.
    uint64_t pages = 0;     // Bytes of them.
    uint64_t bytes = 0;
  };

  void Protect(const Block& block, bool open) const;

  const uint64_t bytes_max_;
  uint64_t bytes_ = 0;
  bool open_ = true;
  char* region_ = nullptr;
  uint64_t used_ = 0;
  std::map<const char*, Block> blocks_;
};

}  // namespace shardmill::soft
