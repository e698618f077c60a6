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

const ValueType kSparse{ValueKind::kSparse, {1}};

ValueType Ids(const Shape& row) { return {ValueKind::kIndices, row}; }

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

INSTANTIATE_TEST_SUITE_P(
    Convolution, LayerGradientsTest,
    testing::Values(
        Case{{.type = "conv2d", .units = 3, .kernel = 3}, {Floats({6, 5})}, 2},
        Case{{.type = "conv2d", .units = 4, .kernel = 3, .stride = 2, .padding = 1},
             {Floats({7, 6, 2})}},
        Case{{.type = "conv2d", .units = 6, .kernel = 2, .groups = 2, .no_bias = true},
             {Floats({4, 4, 4})}},
        Case{{.type = "conv2d", .units = 16, .kernel = 3, .padding = 1, .groups = 16},
             {Floats({4, 5, 16})},
             2},
        Case{{.type = "conv2d", .units = 32, .kernel = 1}, {Floats({3, 3, 16})}, 2, 2e-4}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Pooling, LayerGradientsTest,
    testing::Values(
        Case{{.type = "max_pool", .kernel = 2}, {Floats({4, 4})}, 1},
        Case{{.type = "max_pool", .kernel = 3, .stride = 2, .padding = 1}, {Floats({4, 5})}, 1},
        Case{{.type = "average_pool", .kernel = 2}, {Floats({4, 6, 3})}},
        Case{{.type = "average_pool", .kernel = 3, .stride = 2, .padding = 1}, {Floats({5, 5, 2})}},
        Case{{"global_max_pool"}, {Floats({4, 5})}, 1},
        Case{{"global_average_pool"}, {Floats({3, 4, 5})}}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(Normalization, LayerGradientsTest,
                         testing::Values(Case{{"batch_norm1d"}, {Floats({5})}, 8},
                                         Case{{"batch_norm1d"}, {Floats({70})}, 6},
                                         Case{{"batch_norm2d"}, {Floats({2, 3, 4})}, 3},
                                         Case{{"layer_norm"}, {Floats({9})}, 3},
                                         Case{{"layer_norm"}, {Floats({3, 9})}, 2}),
                         NameOf);

INSTANTIATE_TEST_SUITE_P(Other, LayerGradientsTest,
                         testing::Values(Case{{"softmax"}, {Floats({2, 7})}},
                                         Case{{.type = "dropout", .rate = 0.4}, {Floats({50})}},
                                         Case{{"fm"}, {Floats({4, 3})}}),
                         NameOf);

INSTANTIATE_TEST_SUITE_P(
    Recurrent, LayerGradientsTest,
    testing::Values(Case{{"rnn", 4}, {Floats({5, 3})}}, Case{{"lstm", 4}, {Floats({5, 3})}},
                    Case{{.type = "rnn", .units = 3, .cell_output = "all"}, {Floats({4, 2})}},
                    Case{{.type = "lstm", .units = 3, .cell_output = "all"}, {Floats({4, 2})}},
                    Case{{"lstm", 17}, {Floats({1, 2})}}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(Merge, LayerGradientsTest,
                         testing::Values(Case{{"add"},
                                              {Floats({2, 3}), Floats({2, 3}), Floats({2, 3})}},
                                         Case{{"multiply"}, {Floats({7}), Floats({7})}},
                                         Case{{"concat"}, {Floats({7}), Floats({2}), Floats({3})}},
                                         Case{{"concat"}, {Floats({2, 3, 4}), Floats({2, 3, 1})}}),
                         NameOf);

INSTANTIATE_TEST_SUITE_P(
    Embedding, LayerGradientsTest,
    testing::Values(Case{{.type = "embedding", .units = 3, .rows = 5}, {Ids({4})}},
                    Case{{.type = "embedding_bag", .units = 3, .rows = 5}, {Ids({4})}}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    SparseRows, LayerGradientsTest,
    testing::Values(Case{{.type = "affine", .units = 4, .rows = 6}, {kSparse}, 9},
                    Case{{.type = "affine", .units = 1, .rows = 6, .no_bias = true}, {kSparse}, 5},
                    Case{{.type = "embedding_bag", .units = 3, .rows = 6}, {kSparse}, 8}),
    NameOf);

}  // namespace
}  // namespace shardmill::nn
