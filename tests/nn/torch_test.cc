// Every layer against torch, forward and each gradient, on shapes that a seed makes.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "common/rng.h"
#include "tests/nn/gradient_check.h"
#include "tests/nn/layer_check.h"

namespace shardmill::nn {
namespace {

// Debian's interpreter, for which its package of torch is.
constexpr const char* kPython = "/usr/bin/python3";
constexpr const char* kReference = "tests/nn/torch_reference.py";

struct Case {
  LayerSpec spec;
  std::vector<ValueType> inputs;
  std::string keys;  // As the reference reads them.
};

ValueType Floats(const Shape& row) { return {ValueKind::kFloats, row}; }

// Shapes of one round, each extent of its own chance.
class Chance final {
 public:
  explicit Chance(uint64_t seed) : rng_(seed) {}
  uint64_t Of(uint64_t least, uint64_t most) { return least + rng_.Below(most - least + 1); }
  Shape Vector() { return {Of(1, 40)}; }
  Shape Picture() { return {Of(5, 9), Of(5, 9), Of(1, 20)}; }

 private:
  Rng rng_;
};

void AddPlain(Chance& chance, std::vector<Case>& cases) {
  for (const char* type : {"relu", "leaky_relu", "elu", "selu", "gelu", "silu", "sigmoid", "tanh",
                           "softmax", "layer_norm", "batch_norm1d"}) {
    cases.push_back({{type}, {Floats({chance.Of(2, 40)})}, ""});
  }
  for (const char* type : {"batch_norm2d", "global_max_pool", "global_average_pool"}) {
    cases.push_back({{type}, {Floats(chance.Picture())}, ""});
  }
  cases.push_back({{"affine", chance.Of(1, 40)}, {Floats(chance.Vector())}, ""});
  const Shape row = chance.Vector();
  cases.push_back({{"add"}, {Floats(row), Floats(row), Floats(row)}, ""});
  cases.push_back({{"multiply"}, {Floats(row), Floats(row)}, ""});
  cases.push_back({{"concat"}, {Floats(chance.Vector()), Floats(row)}, ""});
  cases.push_back({{"fm"}, {Floats({chance.Of(1, 6), chance.Of(1, 9)})}, ""});
  const ValueType ids{ValueKind::kIndices, {chance.Of(1, 7)}};
  for (const char* type : {"embedding", "embedding_bag"}) {
    cases.push_back({{.type = type, .units = chance.Of(1, 9), .rows = chance.Of(1, 9)}, {ids}, ""});
  }
  for (const char* type : {"affine", "embedding_bag"}) {
    cases.push_back({{.type = type, .units = chance.Of(1, 9), .rows = chance.Of(1, 20)},
                     {{ValueKind::kSparse, {1}}},
                     "sparse=1"});
  }
}

void AddWindows(Chance& chance, std::vector<Case>& cases) {
  for (const char* type : {"conv2d", "conv2d", "conv2d", "max_pool", "average_pool"}) {
    const bool convolves = std::string(type) == "conv2d";
    LayerSpec spec{.type = type, .kernel = chance.Of(2, 4)};
    const uint64_t groups = chance.Of(1, 4), each = chance.Of(1, 8);
    spec.stride = chance.Of(1, 3);
    spec.padding = chance.Of(0, spec.kernel / 2);
    std::string keys = "kernel=" + std::to_string(spec.kernel) +
                       " stride=" + std::to_string(spec.stride) +
                       " padding=" + std::to_string(*spec.padding);
    if (convolves) {
      spec.groups = groups;
      spec.units = groups * chance.Of(1, 8);
      keys += " groups=" + std::to_string(groups);
    }
    cases.push_back({spec, {Floats({chance.Of(5, 9), chance.Of(5, 9), groups * each})}, keys});
  }
}

void AddRecurrent(Chance& chance, std::vector<Case>& cases) {
  for (const char* type : {"rnn", "lstm"}) {
    for (const char* shows : {"last", "all"}) {
      cases.push_back({{.type = type, .units = chance.Of(1, 20), .cell_output = shows},
                       {Floats({chance.Of(1, 6), chance.Of(1, 12)})},
                       std::string("cell_output=") + shows});
    }
  }
}

template <class T>
void WriteTensor(std::ostream& out, const Shape& shape, const std::vector<T>& numbers) {
  out << "tensor";
  for (size_t axis = 0; axis < shape.dims(); ++axis) out << ' ' << shape.dim(axis);
  out << " :";
  for (const T number : numbers) out << ' ' << number;
  out << '\n';
}

// All numbers, the zeros too; those of equal ids come together.
std::vector<float> Whole(const SparseRows& rows, uint64_t columns) {
  std::vector<float> whole(rows.rows * columns);
  for (uint64_t row = 0; row < rows.rows; ++row) {
    for (uint64_t place = rows.begin(row); place < rows.end(row); ++place) {
      whole[row * columns + rows.ids[place]] += rows.numbers[place];
    }
  }
  return whole;
}

void WriteCase(std::ostream& out, const Case& c, LayerCheck& check, uint64_t rows) {
  out << "case " << c.spec.type << ' ' << c.keys << '\n' << c.inputs.size() << '\n';
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const Shape shape = c.inputs[i].row.Rows(rows);
    if (c.inputs[i].kind == ValueKind::kSparse) {
      const uint64_t columns = check.layer().IndexLimit();
      WriteTensor(out, {rows, columns}, Whole(check.sparse(i), columns));
    } else if (c.inputs[i].kind == ValueKind::kIndices) {
      WriteTensor(out, shape, check.ids()[i]);
    } else {
      WriteTensor(out, shape, check.inputs()[i]);
    }
  }
  const std::span<const ParameterInfo> parameters = check.layer().parameters();
  out << parameters.size() << '\n';
  for (size_t i = 0; i < parameters.size(); ++i) {
    WriteTensor(out, parameters[i].shape, check.parameters()[i]);
  }
  out << "1\n";
  WriteTensor(out, check.layer().output().Rows(rows), check.output_gradient());
}

// The next line of numbers against ours; weights get the sums of many terms.
void ExpectNext(std::istream& lines, const std::vector<float>& got, const std::string& what) {
  std::string line;
  ASSERT_TRUE(std::getline(lines, line)) << what;
  std::istringstream numbers(line);
  std::vector<double> want;
  double greatest = 1;
  for (double number = 0; numbers >> number;) {
    want.push_back(number);
    greatest = std::max(greatest, std::abs(number));
  }
  EXPECT_LT(MaxDifference(got, want), 1e-5 * greatest) << what;
}

void ExpectSame(std::istream& lines, const Case& c, const LayerCheck& check) {
  const std::string what = c.spec.type + ' ' + c.keys + ' ' + c.inputs[0].row.ToString();
  ExpectNext(lines, check.output(), what + ": output");
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (c.inputs[i].kind != ValueKind::kFloats) continue;
    ExpectNext(lines, check.input_gradients()[i], what + ": gradient by an input");
  }
  for (size_t i = 0; i < check.parameter_gradients().size(); ++i) {
    const std::string& name = check.layer().parameters()[i].name;
    ExpectNext(lines, check.parameter_gradients()[i], what + ": gradient by " + name);
  }
}

TEST(TorchTest, AgreesWithEveryLayerForwardAndBackward) {
  const std::string python = kPython;
  if (std::system((python + " -c 'import torch' 2>/dev/null").c_str()) != 0) {
    GTEST_SKIP() << "torch is not there: apt-get install python3-torch libopenblas0-pthread";
  }
  const std::string folder = testing::TempDir();
  std::vector<Case> cases;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    Chance chance(seed);
    AddPlain(chance, cases);
    AddWindows(chance, cases);
    AddRecurrent(chance, cases);
  }
  constexpr uint64_t kRows = 6;
  std::deque<LayerCheck> checks;
  {
    std::ofstream out(folder + "/cases");
    out.precision(9);
    for (const Case& c : cases) {
      LayerCheck& check = checks.emplace_back(c.spec, c.inputs, kRows);
      // Two that are equal and greatest share a gradient as each library likes.
      for (std::vector<float>& input : check.inputs()) {
        input = RandomFloats(checks.size(), input.size());
      }
      check.Forward();
      check.Backward();
      WriteCase(out, c, check, kRows);
    }
  }
  const std::string run =
      python + ' ' + kReference + " <" + folder + "/cases >" + folder + "/torch";
  ASSERT_EQ(std::system(run.c_str()), 0);
  std::ifstream lines(folder + "/torch");
  for (size_t i = 0; i < cases.size(); ++i) ExpectSame(lines, cases[i], checks[i]);
  EXPECT_GE(cases.size(), 100U);
}

}  // namespace
}  // namespace shardmill::nn
