#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "client/model.h"
#include "common/result.h"
#include "common/table_piece.h"
#include "common/view.h"
#include "worker/local_snapshot.h"
#include "worker/local_steps.h"
#include "worker/parameter_reader.h"

namespace shardmill {

// A model's parameters in this process, stepped as servers step those of a synchronous job of one
// worker: to the same bits. Owned by a trainer without servers, on its thread.
class LocalTables final : public ParameterReader, public LocalImages {
 public:
  // `update`: of parameters that name none. Fails on settings that cannot be.
  static Result<std::unique_ptr<LocalTables>> Make(std::span<const ParameterSpec> parameters,
                                                   const UpdateSettings& update);

  // Begins with these values of a dense parameter, or these rows of a sparse one.
  void Begin(size_t parameter, std::span<const float> values);
  void Begin(size_t parameter, std::span<const uint64_t> keys, std::span<const float> rows);

  // Why a parameter cannot go on as the table of a snapshot, in words; else empty. Other settings
  // of the same optimizer are no reason.
  std::string RestoreProblem(size_t parameter, const TableSpec& was) const;
  // Takes a piece of such a table.
  Result<> Restore(size_t parameter, const TablePiece& piece);

  // Has dense parameters stay on the network's device: see LocalSteps. Once all have begun.
  std::string StepOn(nn::Network& network) { return steps_->StepOn(network); }

  // The parameters that a step on the batch reads: of those that stay on a device the values that
  // count are there.
  Result<std::span<const std::span<const float>>> ForStep(const Batch& batch);
  Result<std::span<const std::span<const float>>> For(const Batch& batch) override;
  Result<std::span<const float>> Dense(size_t parameter) override;
  Result<std::span<const float>> Rows(size_t parameter, std::span<const uint64_t> keys) override;

  bool Has(size_t) const override { return true; }
  // With what the optimizer has gathered.
  Result<DenseImage> Image(size_t parameter) override;
  std::vector<uint64_t> Keys(size_t parameter) const override;
  Result<RowBatch> RowImages(size_t parameter, std::span<const uint64_t> keys,
                             uint64_t state) override;

  // Of the sizes that the last batch has.
  std::span<const std::span<float>> gradients() const { return gradients_; }
  double Length() const { return steps_->Length(gradients_); }
  void Bound(double length_max) { steps_->Bound(gradients_, length_max); }
  std::optional<size_t> FirstNonfinite() const { return steps_->FirstNonfinite(gradients_); }
  // Changes what the last batch named by these gradients, in the round-th step, from 1 on.
  void Step(uint64_t round);

 private:
  struct Table {
    std::vector<float> values = {};  // Of a sparse one: of the rows that were lent last.
    std::vector<float> gradient = {};
    std::vector<uint64_t> keys = {};                             // That were lent last.
    std::unordered_map<uint64_t, std::vector<float>> rows = {};  // Each with its state.
  };

  explicit LocalTables(std::span<const ParameterSpec> parameters)
      : specs_(parameters), tables_(parameters.size()) {}

  void Lend();
  // Has the values that count in this process.
  Result<> Fetch();
  void StepRows(size_t parameter, float rate);

  const std::span<const ParameterSpec> specs_;
  std::unique_ptr<LocalSteps> steps_;
  bool ahead_ = false;  // Steps were made since the values were fetched.
  std::vector<Table> tables_;
  std::vector<std::span<float>> parameters_;
  std::vector<std::span<const float>> values_;
  std::vector<std::span<float>> gradients_;
};

}  // namespace shardmill
