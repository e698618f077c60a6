#include "worker/part_gradients.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace shardmill {
namespace {

// The mean of its inputs is its loss and its gradient.
class MeanModel final : public Model {
 public:
  std::span<const ParameterSpec> Parameters() const override { return {}; }
  Result<double> Train(const Batch& batch, std::span<const std::span<const float>>,
                       std::span<const std::span<float>> gradients) override {
    rows_max = std::max(rows_max, batch.rows);
    double sum = 0;
    for (const float value : batch.inputs[0].floats) sum += static_cast<double>(value);
    gradients[0][0] = static_cast<float>(sum / batch.rows);
    return sum / batch.rows;
  }
  Result<Evaluation> Evaluate(const Batch&, std::span<const std::span<const float>>) override {
    return Evaluation{};
  }

  uint32_t rows_max = 0;
};

TEST(PartGradientsTest, GiveTheMeanOverTheWholeBatch) {
  const std::vector<float> numbers{1, 2, 3, 4, 5, 6, 15};
  const ColumnView input{.floats = numbers};
  const Batch batch{.inputs = {&input, 1}, .rows = 7};
  for (const uint32_t part_rows : {0U, 1U, 3U, 7U, 9U}) {
    MeanModel model;
    float gradient = 0;
    const std::vector<std::span<float>> gradients{{&gradient, 1}};
    PartGradients parts(model, part_rows);
    EXPECT_NEAR(parts.Train(batch, {}, gradients).value(), 36.0 / 7, 1e-6) << part_rows;
    EXPECT_NEAR(gradient, 36.0 / 7, 1e-5) << part_rows;
    EXPECT_EQ(model.rows_max, part_rows == 0 ? 7 : std::min(part_rows, 7U));
  }
}

}  // namespace
}  // namespace shardmill
