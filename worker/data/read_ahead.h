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

// Makes the batches that come next while the one before is trained on. Its thread calls `fill`, for
// one batch after the other, so the batches do not depend on when it runs. Owned by whoever trains,
// who calls Next on one thread; its end waits for one batch at most.
class ReadAhead final {
 public:
  // Makes the next batch; or an error, after which it is not called any more. Called on the thread
  // of the read-ahead alone.
  using Fill = std::function<Result<>(GatheredRows& rows)>;

  // Up to `batches` are ready or in use at a time; at least 2.
  ReadAhead(size_t batches, Fill fill);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // The next batch, borrowed until the next call; or the error of its making, now and from now on.
  Result<const GatheredRows*> Next();

 private:
  // A batch on its way, or why there is none.
  struct Ready {
    std::unique_ptr<GatheredRows> rows;
    Error error = {};
  };

  void Work();

  const Fill fill_;
  Mailbox<std::unique_ptr<GatheredRows>> free_;
  Mailbox<Ready> ready_;
  Ready current_;
  bool failed_ = false;
  std::thread thread_;
};

}  // namespace shardmill
