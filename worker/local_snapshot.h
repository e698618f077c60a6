#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "client/model.h"
#include "common/ids.h"
#include "common/job/job.h"
#include "common/process/file_lock.h"
#include "common/result.h"
#include "snapshot/image.h"
#include "worker/data/row.h"

namespace shardmill {

// Tables that lie in this process, each one a parameter of a model, as a snapshot has them. Used on
// its owner's thread.
class LocalImages {
 public:
  virtual ~LocalImages() = default;

  // Else the table is made anew by who begins from the snapshot.
  virtual bool Has(size_t parameter) const = 0;
  virtual Result<DenseImage> Image(size_t parameter) = 0;
  virtual std::vector<uint64_t> Keys(size_t parameter) const = 0;
  // Of these keys; `state` floats stand behind the values of each.
  virtual Result<RowBatch> RowImages(size_t parameter, std::span<const uint64_t> keys,
                                     uint64_t state) = 0;
};

// The moment that a snapshot is of: when each of so many workers had made so many steps.
struct LocalCut {
  uint64_t job = 0;                 // See JobId.
  std::vector<uint64_t> line = {};  // See JobLine.
  uint32_t workers = 1;
  Step steps = 0;
};

// Makes the job's folder of snapshots, which nobody else writes to for as long as the lock is
// there. kUnavailable: a job of this name keeps its snapshots there now.
Result<FileLock> LockSnapshots(const JobOptions& job);

// Writes a snapshot of one shard into the job's folder of snapshots, and removes what need not be
// kept any longer. `columns`: of the data. Returns its number, for snapshot.resume. The caller
// holds the folder's lock.
Result<uint64_t> WriteLocalSnapshot(const JobOptions& job,
                                    std::span<const ParameterSpec> parameters,
                                    const Columns& columns, LocalImages& images,
                                    const LocalCut& cut);

}  // namespace shardmill
