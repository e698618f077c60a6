#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/nn/layer_check.h"

namespace shardmill::nn {
namespace {

struct Case {
  LayerSpec spec;
  std::vector<ValueType> inputs;
  uint64_t rows = 3;
  double tolerance = 1e-4;
};

ValueType Floats(const Shape& row) { return {ValueKind::kFloats, row}; }

// What a case is called in the list of tests.
std::string NameOf(const testing::TestParamInfo<Case>& info) {
  return info.param.spec.type + '_' + std::to_string(info.index);
}

class LayerGradientsTest : public testing::TestWithParam<Case> {};

TEST_P(LayerGradientsTest, AreThoseOfFiniteDifferences) {
  LayerCheck check(GetParam().spec, GetParam().inputs, GetParam().rows);
  EXPECT_LT(check.GreatestError(), GetParam().tolerance);
}

INSTANTIATE_TEST_SUITE_P(Affine, LayerGradientsTest,
                         testing::Values(Case{{"affine", 4}, {Floats({5})}},
                                         Case{{.type = "affine", .units = 1, .no_bias = true},
                                              {Floats({33})}}),
                         NameOf);

INSTANTIATE_TEST_SUITE_P(
    Elementwise, LayerGradientsTest,
    testing::Values(Case{{"relu"}, {Floats({19})}}, Case{{"leaky_relu"}, {Floats({19})}},
                    Case{{.type = "leaky_relu", .slope = 0.3}, {Floats({2, 3})}},
                    Case{{"elu"}, {Floats({19})}},
                    Case{{.type = "elu", .slope = 0.5}, {Floats({7})}},
                    Case{{"selu"}, {Floats({19})}}, Case{{"gelu"}, {Floats({19})}},
                    Case{{"silu"}, {Floats({19})}}, Case{{"sigmoid"}, {Floats({19})}},
                    Case{{"tanh"}, {Floats({19})}}),
    NameOf);

}  // namespace
}  // namespace shardmill::nn
