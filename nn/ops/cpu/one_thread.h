#pragma once

#include <omp.h>

namespace shardmill::nn {

// oneDNN asks OpenMP how many threads this thread may start: one, while this lives. On the stack of
// whoever calls oneDNN.
class OneThread final {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  const int before_;
};

}  // namespace shardmill::nn
