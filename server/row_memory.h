#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace shardmill {

// Zeroed memory for a table's rows and for their index, cut from mappings that grow with the table
// and, once it is large, lie on huge pages. A huge page that is new takes milliseconds where the
// system must first find it: a thread of its own has those of the next mapping made, which nobody
// waits for, and which shares nothing with others but the system's page tables. Nothing is given
// back before the end. Owned by a RowIndex or a RowStore, on its thread. Running out of memory is
// std::bad_alloc, as elsewhere.
class RowMemory final {
 public:
  RowMemory();
  RowMemory(RowMemory&& other) noexcept;
  RowMemory& operator=(RowMemory&& other) noexcept;
  ~RowMemory();

  // Aligned to a cache line.
  std::span<std::byte> Take(uint64_t bytes);

 private:
  class Mapping;

  std::vector<std::unique_ptr<Mapping>> used_;
  std::unique_ptr<Mapping> next_;
  std::span<std::byte> rest_;  // Of the last used one, not yet cut.
};

}  // namespace shardmill
