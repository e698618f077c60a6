#pragma once

#include <cstdint>

namespace shardmill::soft {

// What a soft card is to be.
struct Settings {
  // How many cards the driver knows of, and the version of CUDA that it knows; 0: there is none.
  int cards = 1;
  int driver = 13000;
  // In which order streams go on that may, and the threads of a block.
  uint64_t seed = 1;
  // Of its memory, and of the host's that it can be lent.
  uint64_t memory_bytes = uint64_t{1} << 30;
  // Whether cuDNN does convolutions, but for those of one channel a group.
  bool convolves = true;
  // Whether it lets them be recorded.
  bool records_convolutions = true;
  // The call that fails, of those that may, counted from 1; and the piece of work with which the
  // card is lost.
  uint64_t failing_call = 0;
  uint64_t failing_work = 0;
};

// What a library with a soft card in it gives to tests, by the entry below.
struct Control {
  // Begins anew, when all that was taken is given back.
  void (*reset)(const Settings& settings);
  // How many blocks of memory, streams, events, handles and descriptors are in use.
  uint64_t (*held)();
  // Whether there was a failure since then.
  bool (*failed)();
  // How many calls there were that may fail.
  uint64_t (*calls)();
  // How many bytes were copied from the host to the card or back.
  uint64_t (*crossed)();
};

// A function with C linkage: const Control* shardmill_soft_card().
inline constexpr const char kEntry[] = "shardmill_soft_card";

}  // namespace shardmill::soft
