#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "client/model.h"
#include "common/job/job.h"
#include "common/job_key.h"
#include "common/result.h"
#include "worker/data/row.h"
#include "worker/data/sample_store.h"
#include "worker/parameter_reader.h"

namespace shardmill {

// Writes a model's parameters to a file of safetensors, whole or not at all: a dense one under its
// name; of a sparse one the rows that the data to train with names, as NAME.keys and NAME.rows; and
// the columns of those data with their words, as JSON. `notes`: what the file says of itself.
Result<> WriteModelFile(const std::string& path, std::span<const ParameterSpec> parameters,
                        const SampleStore& train, ParameterReader& reader,
                        std::vector<std::pair<std::string, std::string>> notes);

// What is there already and no ordinary file, such as a pipe, is written to as it is. But a best
// model is read again, from a file: the error is kBadUsage.
Result<> CheckModelPlace(const TrainOptions& train);

// What the file of a best model says of it.
struct KeptModel {
  uint64_t job = 0;  // See JobId; 0: of no job with servers.
  uint64_t step = 0;
  std::string metric = {};  // That told it from others, and how it did by it.
  double value = 0;
};
std::vector<std::pair<std::string, std::string>> NotesOf(const KeptModel& kept);
// Nothing where there is no such file, or one that says no such things.
std::optional<KeptModel> ReadKeptModel(const std::string& path);

// What the file of a model says of its training, as far as it does: an exported snapshot does not
// list columns.
struct TrainedWith {
  Columns columns = {};                  // Of the data; none: see meaning.
  std::optional<uint64_t> meaning = {};  // Of an exported snapshot: see MeaningTable.
  JobKeyList network = {};               // See NetworkOf.
};
Result<TrainedWith> ReadTrainedWith(const std::string& path);

// Parameters as a file has them, one of ours or an exported snapshot. A row that it lacks is what
// it was before training. Owned by whoever predicts, on one thread. A file that does not fit the
// model is kBadInput, and says where.
class ModelFile final : public ParameterReader {
 public:
  // `wanted`: which of the parameters are read; none listed: all.
  static Result<std::unique_ptr<ModelFile>> Open(const std::string& path,
                                                 std::span<const ParameterSpec> parameters,
                                                 const std::vector<bool>& wanted = {});

  // The parameters that it has, by name.
  const std::vector<std::string>& names() const { return names_; }
  // The keys of all rows that it has of a sparse parameter.
  std::span<const uint64_t> Keys(size_t parameter) const { return tensors_[parameter].keys; }

  Result<std::span<const std::span<const float>>> For(const Batch& batch) override;
  Result<std::span<const float>> Dense(size_t parameter) override;
  Result<std::span<const float>> Rows(size_t parameter, std::span<const uint64_t> keys) override;

 private:
  struct Tensor {
    std::vector<float> values;  // Of a sparse one: of all its rows.
    std::vector<uint64_t> keys;
    std::unordered_map<uint64_t, uint64_t> rows;  // By key.
    std::vector<float> lent;                      // Those that were asked for.
  };

  explicit ModelFile(std::span<const ParameterSpec> parameters)
      : specs_(parameters), tensors_(parameters.size()) {}

  const std::span<const ParameterSpec> specs_;
  std::vector<std::string> names_;
  std::vector<Tensor> tensors_;
  std::vector<std::span<const float>> values_;
};

}  // namespace shardmill
