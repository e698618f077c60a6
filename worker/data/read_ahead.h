#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "common/mailbox.h"
#include "common/result.h"
#include "worker/data/sample_store.h"

namespace shardmill {

// Gathers the batches that come next while the one before is trained on. Its thread gathers what
// `order` names, one batch after the other, so the batches do not depend on when it runs. Owned by
// whoever trains, who calls Next on one thread; its end waits for one gathering at most.
class ReadAhead final {
 public:
  // The numbers of the next batch's rows, none of them for a batch without rows; or an error, after
  // which it is not called any more. Called on the thread of the read-ahead alone.
  using Order = std::function<Result<>(std::vector<uint32_t>& numbers)>;

  // Up to `batches` are ready or in use at a time; at least 2. The store must outlive it.
  ReadAhead(const SampleStore& store, size_t batches, Order order);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // The next batch, borrowed until the next call; or the order's error, now and from now on.
  Result<const GatheredRows*> Next();

 private:
  // A batch on its way, or why there is none.
  struct Ready {
    std::unique_ptr<GatheredRows> rows;
    Error error = {};
  };

  void Work();

  const SampleStore& store_;
  const Order order_;
  Mailbox<std::unique_ptr<GatheredRows>> free_;
  Mailbox<Ready> ready_;
  Ready current_;
  bool failed_ = false;
  std::thread thread_;
};

}  // namespace shardmill
