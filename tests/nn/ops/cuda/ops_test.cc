// Every operation on a card beside the processor's. Inputs are new in each run; a failure says with
// which seed to get them again (--gtest_random_seed). What is written is NaN before. A tolerance is
// a share of the greatest number of a result: floats that are added in another order come to less.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/update.h"
#include "optim/optimizer.h"
#include "tests/nn/ops/twin.h"

namespace shardmill::nn {
namespace {

constexpr double kExact = 0;
constexpr double kRounded = 1e-5;  // Functions of a number, and sums in double.
constexpr double kSummed = 5e-5;   // Sums of products.

uint64_t Seed() {
  const int given = testing::UnitTest::GetInstance()->random_seed();
  return given > 0 ? static_cast<uint64_t>(given) : std::random_device()() % 99'999 + 1;
}

class OpsTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    Result<LoadedPlugin::BackendPointer> device = OpenDeviceNamed(GetParam(), seed_);
    if (!device.ok()) GTEST_SKIP() << device.error().message;
    device_ = std::move(device).value();
    twin_.emplace(*device_, seed_);
  }

  void Expect(const Pair& pair, double tolerance) {
    EXPECT_LE(twin_->Difference(pair), tolerance) << "seed " << seed_;
  }

  // Of what may look like no numbers.
  void ExpectSameBits(const Pair& pair) {
    const std::vector<float> there = twin_->There(pair);
    EXPECT_EQ(std::memcmp(there.data(), pair.here.data(), there.size() * sizeof(float)), 0)
        << "seed " << seed_;
  }

  const uint64_t seed_ = Seed();
  LoadedPlugin::BackendPointer device_;
  std::optional<Twin> twin_;
};

TEST_P(OpsTest, PlainNumbers) {
  Twin& t = *twin_;
  const Pair a = t.In({37, 91}), b = t.In({37, 91}), out = t.Out({37, 91}), sum = t.Copy(b);
  const Pair part = t.Out({37, 91}), whole = t.Out({37, 91});
  const Pair filled = t.Out({1000}), halved = t.Out({1684});
  t.Run([&](Backend& backend) {
    backend.Multiply(a.in(backend), b.in(backend), out.out(backend));
    backend.Add(a.in(backend), sum.out(backend));
    backend.Halve(a.in(backend), halved.out(backend));
    backend.Fill(2.5F, filled.out(backend));
    backend.Fill(1.0F, part.out(backend));
    backend.Copy(ConstMatrix(a.in(backend)).Columns(3, 40),
                 Matrix(part.out(backend)).Columns(50, 40));
    backend.Copy(a.in(backend), whole.out(backend));
  });
  for (const Pair& pair : {out, sum, part, whole, filled}) Expect(pair, kExact);
  ExpectSameBits(halved);
}

TEST_P(OpsTest, Regularize) {
  Twin& t = *twin_;
  for (const uint64_t size : {1, 300, 100'003}) {
    const Pair weight = t.In({size}), gradient = t.In({size}), penalty = t.Out({1});
    t.Run([&](Backend& backend) {
      backend.Regularize(0.3F, 0.7F, weight.in(backend), gradient.out(backend),
                         penalty.out(backend));
    });
    Expect(gradient, kRounded);
    Expect(penalty, kRounded);
  }
}

UpdateSettings Plain(UpdateRule rule) {
  UpdateSettings settings;
  settings.rule = rule;
  return settings;
}

// All that may come before a rule.
UpdateSettings Regularized(UpdateRule rule) {
  UpdateSettings settings = Plain(rule);
  settings.l1 = 0.03;
  settings.l2 = 0.2;
  settings.weight_decay = rule == UpdateRule::kFtrl ? 0 : 0.1;
  settings.clip_value = 0.4;
  return settings;
}

// A card may add to a product without rounding it first.
TEST_P(OpsTest, StepsOfOptimizers) {
  Twin& t = *twin_;
  const double tolerance = GetParam() == std::string("card") ? kRounded : kExact;
  for (auto rule = UpdateRule::kSgd; rule <= kUpdateRuleLast;
       rule = static_cast<UpdateRule>(static_cast<int>(rule) + 1)) {
    for (const UpdateSettings& settings : {Plain(rule), Regularized(rule)}) {
      SCOPED_TRACE(static_cast<int>(rule));
      const auto by = MakeOptimizer(settings);
      ASSERT_TRUE(by.ok()) << by.error().message;
      const uint64_t size = 1'003, slots = by.value()->slots();
      const Pair state = t.In({slots * size}, 0, 0);
      for (uint64_t count = 1; count <= 4; ++count) {
        const double most = count == 2 ? 0 : 1;  // Parameters of zero have no sign.
        const Pair gradient = t.In({size}), kept = t.Copy(gradient);
        const Pair parameter = t.In({size}, -most, most), was = t.Copy(parameter);
        const UpdateTime time{
            .rate = 0.1F / static_cast<float>(count), .count = count, .weight = 3, .scale = 0.7F};
        t.Run([&](Backend& backend) {
          backend.Step(*by.value(), time, gradient.in(backend), parameter.out(backend),
                       state.out(backend));
        });
        Expect(parameter, tolerance);
        if (slots > 0) Expect(state, tolerance);
        EXPECT_NE(t.There(parameter), t.There(was));
        EXPECT_EQ(t.There(gradient), t.There(kept));
      }
    }
  }
}

double SumOf(const std::vector<float>& floats) {
  double sum = 0;
  std::memcpy(&sum, floats.data(), sizeof(sum));
  return sum;
}

TEST_P(OpsTest, SumsOfSquares) {
  Twin& t = *twin_;
  for (const uint64_t size : {0, 1, 31, 300, 100'003}) {
    const Pair in = t.In({size}, -1e30, 1e30), sum = t.Out({2});
    const auto run = [&] {
      t.Run([&](Backend& b) { b.SumSquares(in.in(b), sum.out(b)); });
      return SumOf(t.There(sum));
    };
    const double got = run();
    const double here = SumOf({sum.here.data(), sum.here.data() + 2});
    EXPECT_NEAR(got, here, 1e-12 * here) << "seed " << seed_;
    if (size == 0) continue;
    for (const float bad :
         {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
          std::numeric_limits<float>::quiet_NaN()}) {
      t.Run([&](Backend& b) {
        b.Fill(bad, Tensor(in.out(b).floats().subspan(seed_ % size, 1), {1}));
      });
      EXPECT_FALSE(std::isfinite(run())) << "seed " << seed_;
    }
  }
}

TEST_P(OpsTest, ElementwiseFunctions) {
  Twin& t = *twin_;
  for (const Activation activation : {Activation::kNone, Activation::kRelu, Activation::kLeakyRelu,
                                      Activation::kElu, Activation::kSelu, Activation::kGelu,
                                      Activation::kSilu, Activation::kSigmoid, Activation::kTanh}) {
    const Elementwise function{activation, 0.3F};
    const Pair in = t.In({5, 777}, -4, 4), back = t.In({5, 777});
    const Pair out = t.Out({5, 777}), gradient = t.Out({5, 777});
    t.Run([&](Backend& backend) {
      backend.Apply(function, in.in(backend), out.out(backend));
      const Pair& seen = InvertsFromOutput(activation) ? out : in;
      backend.ApplyGradient(function, seen.in(backend), back.in(backend), gradient.out(backend));
    });
    Expect(out, kRounded);
    Expect(gradient, kRounded);
  }
}

struct AffineSizes {
  uint64_t rows, in, out;
};

TEST_P(OpsTest, Affine) {
  Twin& t = *twin_;
  for (const auto& [rows, ins, outs] :
       {AffineSizes{1, 1, 1}, {3, 40, 1}, {64, 784, 10}, {300, 65, 129}}) {
    const Pair in = t.In({rows, ins}), weight = t.In({ins, outs}), bias = t.In({outs});
    const Pair back = t.In({rows, outs}), out = t.Out({rows, outs}), plain = t.Out({rows, outs});
    const Pair by_in = t.Out({rows, ins}), by_weight = t.Out({ins, outs}), by_bias = t.Out({outs});
    t.Run([&](Backend& backend) {
      backend.Affine(in.in(backend), weight.in(backend), bias.in(backend), {Activation::kTanh},
                     out.out(backend));
      backend.Affine(in.in(backend), weight.in(backend), {}, {}, plain.out(backend));
      backend.AffineInputGradient(back.in(backend), weight.in(backend), by_in.out(backend));
      backend.AffineParameterGradients(in.in(backend), back.in(backend), by_weight.out(backend),
                                       by_bias.out(backend));
    });
    for (const Pair& pair : {out, plain, by_in, by_weight, by_bias}) Expect(pair, kSummed);
  }
}

struct ConvolutionSizes {
  uint64_t rows, edge, in, out;
  uint32_t kernel, stride, padding, groups;
};

TEST_P(OpsTest, Convolution) {
  Twin& t = *twin_;
  for (const ConvolutionSizes& c : {ConvolutionSizes{2, 7, 1, 6, 5, 1, 2, 1},
                                    {3, 14, 6, 16, 5, 1, 0, 1},
                                    {4, 9, 16, 32, 3, 2, 1, 1},
                                    {2, 8, 16, 24, 1, 2, 0, 1},
                                    {2, 8, 6, 12, 3, 1, 1, 3},
                                    {2, 8, 8, 8, 3, 1, 1, 8}}) {
    const Convolution how{.window = {c.kernel, c.kernel, c.stride, c.padding}, .groups = c.groups};
    const uint64_t out_edge = (c.edge + 2 * c.padding - c.kernel) / c.stride + 1;
    const Shape picture{c.rows, c.edge, c.edge, c.in}, made{c.rows, out_edge, out_edge, c.out};
    const Shape kernel{c.kernel, c.kernel, c.in / c.groups, c.out};
    const Pair in = t.In(picture), weight = t.In(kernel), bias = t.In({c.out}), back = t.In(made);
    const Pair out = t.Out(made), plain = t.Out(made);
    const Pair by_in = t.Out(picture), by_weight = t.Out(kernel), by_bias = t.Out({c.out});
    t.Run([&](Backend& backend) {
      backend.Convolve(how, in.in(backend), weight.in(backend), bias.in(backend),
                       {Activation::kRelu}, out.out(backend));
      backend.Convolve(how, in.in(backend), weight.in(backend), {}, {}, plain.out(backend));
      backend.ConvolveInputGradient(how, back.in(backend), weight.in(backend), by_in.out(backend));
      backend.ConvolveParameterGradients(how, in.in(backend), back.in(backend),
                                         by_weight.out(backend), by_bias.out(backend));
    });
    for (const Pair& pair : {out, plain, by_in, by_weight, by_bias}) Expect(pair, kSummed);
  }
}

TEST_P(OpsTest, Pooling) {
  Twin& t = *twin_;
  for (const Window& window :
       {Window{2, 2, 2, 0}, Window{3, 3, 2, 1}, Window{3, 2, 1, 0}, Window{11, 9, 1, 0}}) {
    const uint64_t height = (11 + 2 * window.padding - window.height) / window.stride + 1;
    const uint64_t width = (9 + 2 * window.padding - window.width) / window.stride + 1;
    const Shape picture{3, 11, 9, 5}, made{3, height, width, 5};
    for (const Pooling pooling : {Pooling::kMax, Pooling::kAverage}) {
      // Few values, so that several places are greatest.
      const Pair in = t.In(picture), back = t.In(made);
      const Pair out = t.Out(made), by_in = t.Out(picture), steps = t.Out(picture);
      t.Run([&](Backend& backend) {
        backend.Apply({Activation::kRelu}, in.in(backend), steps.out(backend));
        backend.Pool(pooling, window, steps.in(backend), out.out(backend));
        backend.PoolGradient(pooling, window, steps.in(backend), out.in(backend), back.in(backend),
                             by_in.out(backend));
      });
      Expect(out, kRounded);
      Expect(by_in, kRounded);
    }
  }
}

TEST_P(OpsTest, BatchNorm) {
  Twin& t = *twin_;
  for (const auto& [rows, columns] : {std::pair<uint64_t, uint64_t>{2, 3}, {1000, 37}, {7, 300}}) {
    const Pair in = t.In({rows, columns}, 2, 4), back = t.In({rows, columns});
    const Pair scale = t.In({columns}), shift = t.In({columns});
    const Pair running = t.In({columns}), spread = t.In({columns}, 0.5, 2);
    const Pair out = t.Out({rows, columns}), mean = t.Out({columns}), inverse = t.Out({columns});
    const Pair by_in = t.Out({rows, columns}), by_scale = t.Out({columns});
    const Pair by_shift = t.Out({columns}), given = t.Out({rows, columns});
    const Pair by_mean = t.Out({columns}), by_variance = t.Out({columns}), over = t.Copy(back);
    t.Run([&](Backend& b) {
      b.BatchNorm(in.in(b), scale.in(b), shift.in(b), 1e-3F, out.out(b), mean.out(b),
                  inverse.out(b));
      b.BatchNormWith(in.in(b), scale.in(b), shift.in(b), 1e-3F, running.in(b), spread.in(b),
                      given.out(b));
      b.BatchNormGradient(in.in(b), scale.in(b), mean.in(b), inverse.in(b), back.in(b),
                          by_in.out(b), by_scale.out(b), by_shift.out(b));
      b.BatchNormGradient(in.in(b), scale.in(b), mean.in(b), inverse.in(b), over.in(b), over.out(b),
                          Tensor(), Tensor());
      b.BatchNormStatistics(rows, 1e-3F, mean.in(b), inverse.in(b), running.in(b), spread.in(b),
                            by_mean.out(b), by_variance.out(b));
    });
    for (const Pair& pair : {out, given, mean, inverse, by_in, by_scale, by_shift, over}) {
      Expect(pair, kSummed);
    }
    Expect(by_mean, kSummed);
    Expect(by_variance, kSummed);
  }
}

TEST_P(OpsTest, LayerNorm) {
  Twin& t = *twin_;
  for (const auto& [rows, columns] : {std::pair<uint64_t, uint64_t>{3, 5}, {200, 37}, {4, 1000}}) {
    const Pair in = t.In({rows, columns}, 2, 4), back = t.In({rows, columns});
    const Pair scale = t.In({columns}), shift = t.In({columns}), over = t.Copy(back);
    const Pair out = t.Out({rows, columns}), mean = t.Out({rows}), inverse = t.Out({rows});
    const Pair by_in = t.Out({rows, columns}), by_scale = t.Out({columns});
    const Pair by_shift = t.Out({columns});
    t.Run([&](Backend& b) {
      b.LayerNorm(in.in(b), scale.in(b), shift.in(b), 1e-3F, out.out(b), mean.out(b),
                  inverse.out(b));
      b.LayerNormGradient(in.in(b), scale.in(b), mean.in(b), inverse.in(b), back.in(b),
                          by_in.out(b), by_scale.out(b), by_shift.out(b));
      b.LayerNormGradient(in.in(b), scale.in(b), mean.in(b), inverse.in(b), over.in(b), over.out(b),
                          Tensor(), Tensor());
    });
    for (const Pair& pair : {out, mean, inverse, by_in, by_scale, by_shift, over}) {
      Expect(pair, kSummed);
    }
  }
}

TEST_P(OpsTest, SoftmaxAndItsLoss) {
  Twin& t = *twin_;
  for (const uint64_t classes : {2, 10, 129, 5000}) {
    const Pair in = t.In({33, classes}, -5, 5), back = t.In({33, classes});
    const Pair out = t.Out({33, classes}), by_in = t.Out({33, classes});
    const Pair labels = t.Ids(33, classes), losses = t.Out({33}), alone = t.Out({33});
    const Pair gradient = t.Out({33, classes});
    t.Run([&](Backend& b) {
      b.Softmax(in.in(b), out.out(b));
      b.SoftmaxGradient(out.in(b), back.in(b), by_in.out(b));
      b.SoftmaxCrossEntropy(in.in(b), IdsOf(labels, b), 0.25F, losses.out(b), gradient.out(b));
      b.SoftmaxCrossEntropy(in.in(b), IdsOf(labels, b), 0.25F, alone.out(b), Tensor());
    });
    for (const Pair& pair : {out, by_in, losses, alone, gradient}) Expect(pair, kRounded);
  }
}

TEST_P(OpsTest, LossesOfNumbers) {
  Twin& t = *twin_;
  for (const uint64_t columns : {1, 40, 700}) {
    const Pair in = t.In({21, columns}, -5, 5), target = t.In({21, columns}, 0, 1);
    const Pair log_losses = t.Out({21}), by_log = t.Out({21, columns});
    const Pair squares = t.Out({21}), by_square = t.Out({21, columns});
    const Pair absolutes = t.Out({21}), by_absolute = t.Out({21, columns});
    t.Run([&](Backend& b) {
      const std::span<const float> want = target.in(b).floats();
      b.LogLoss(in.in(b), want, 0.5F, log_losses.out(b), by_log.out(b));
      b.DistanceLoss(Distance::kSquared, in.in(b), want, 0.5F, squares.out(b), by_square.out(b));
      b.DistanceLoss(Distance::kAbsolute, in.in(b), want, 0.5F, absolutes.out(b),
                     by_absolute.out(b));
    });
    for (const Pair& pair : {log_losses, by_log, squares, by_square, absolutes, by_absolute}) {
      Expect(pair, kRounded);
    }
  }
}

TEST_P(OpsTest, DropoutDropsTheSamePlaces) {
  Twin& t = *twin_;
  const Pair in = t.In({100'003}), out = t.Out({100'003});
  t.Run([&](Backend& b) { b.Dropout(0x123456789abcdefU, 0.3F, in.in(b), out.out(b)); });
  Expect(out, kExact);
}

TEST_P(OpsTest, RowsByIds) {
  Twin& t = *twin_;
  for (const auto& [rows, dim] : {std::pair<uint64_t, uint64_t>{1, 4}, {7, 1}, {5000, 16}}) {
    const Pair table = t.In({rows, dim}), ids = t.Ids(999, rows), back = t.In({999, dim});
    const Pair out = t.Out({999, dim}), by_table = t.Copy(table);
    t.Run([&](Backend& b) {
      const IndexTensor named(IdsOf(ids, b), {999});
      b.Gather(named, table.in(b), out.out(b));
      b.AddRows(named, back.in(b), by_table.out(b));
    });
    Expect(out, kExact);
    Expect(by_table, kRounded);
  }
}

TEST_P(OpsTest, SparseRows) {
  Twin& t = *twin_;
  uint64_t count = 0;
  const Pair ends = t.Ends(200, &count);
  const Pair ids = t.Ids(count, 50), numbers = t.In({count}), even = t.Ids(600, 50);
  const Pair weight = t.In({50, 9}), bias = t.In({9}), back = t.In({200, 9});
  const Pair out = t.Out({200, 9}), bags = t.Out({200, 9}), by_weight = t.Out({50, 9});
  const Pair by_bias = t.Out({9}), by_bags = t.Out({50, 9});
  t.Run([&](Backend& b) {
    const SparseRows sparse{IdsOf(ids, b), numbers.in(b).floats(), EndsOf(ends, b), 200};
    const SparseRows each{.ids = IdsOf(even, b), .rows = 200};
    b.SparseAffine(sparse, weight.in(b), bias.in(b), {Activation::kSigmoid}, out.out(b));
    b.SparseAffine(each, weight.in(b), {}, {}, bags.out(b));
    b.SparseAffineGradients(sparse, back.in(b), by_weight.out(b), by_bias.out(b));
    b.SparseAffineGradients(each, back.in(b), by_bags.out(b), Tensor());
  });
  for (const Pair& pair : {out, bags, by_weight, by_bias, by_bags}) Expect(pair, kSummed);
}

TEST_P(OpsTest, PairwiseProducts) {
  Twin& t = *twin_;
  for (const auto& [fields, dim] : {std::pair<uint64_t, uint64_t>{2, 1}, {5, 16}, {3, 300}}) {
    const Pair in = t.In({40, fields, dim}), back = t.In({40, 1});
    const Pair out = t.Out({40, 1}), by_in = t.Out({40, fields, dim});
    t.Run([&](Backend& b) {
      b.PairwiseProducts(in.in(b), out.out(b));
      b.PairwiseProductsGradient(in.in(b), back.in(b), by_in.out(b));
    });
    Expect(out, kSummed);
    Expect(by_in, kSummed);
  }
}

struct RecurrentSizes {
  uint64_t rows, times, in, units;
};

TEST_P(OpsTest, Recurrence) {
  Twin& t = *twin_;
  for (const RecurrentCell cell : {RecurrentCell::kTanh, RecurrentCell::kLstm}) {
    for (const auto& [rows, times, ins, units] :
         {RecurrentSizes{1, 1, 3, 2}, {5, 7, 4, 6}, {32, 28, 28, 65}}) {
      const uint64_t width = cell == RecurrentCell::kLstm ? 4 * units : units;
      const Shape read{rows, times, ins}, made{rows, times, units};
      const Pair in = t.In(read), back = t.In(made), out = t.Out(made), by_in = t.Out(read);
      const Pair weight = t.In({ins, width}, -0.2, 0.2), again = t.In({units, width}, -0.2, 0.2);
      const Pair bias = t.In({width}), by_weight = t.Out({ins, width});
      const Pair by_again = t.Out({units, width}), by_bias = t.Out({width});
      const Pair saved = t.Out({rows * std::max(CpuBackend().RecurrentSaved(cell, times, units),
                                                device_->RecurrentSaved(cell, times, units))});
      t.Run([&](Backend& b) {
        const RecurrentWeights<const float> by{weight.in(b), again.in(b), bias.in(b)};
        b.Recur(cell, in.in(b), by, out.out(b), saved.out(b));
        b.RecurGradient(cell, in.in(b), by, out.in(b), back.in(b), saved.out(b), by_in.out(b),
                        {by_weight.out(b), by_again.out(b), by_bias.out(b)});
      });
      for (const Pair& pair : {out, by_in, by_weight, by_again, by_bias}) Expect(pair, kSummed);
    }
  }
}

TEST_P(OpsTest, GivesTheSameBitsAgain) {
  Twin& t = *twin_;
  const Pair in = t.In({4000, 30}), back = t.In({4000, 30}), ids = t.Ids(4000, 11);
  const Pair sums = t.Out({30, 30}), bias = t.Out({30}), rows = t.In({11, 30});
  const auto run = [&] {
    const Pair table = t.Copy(rows);
    t.Run([&](Backend& b) {
      b.AffineParameterGradients(in.in(b), back.in(b), sums.out(b), bias.out(b));
      b.AddRows(IndexTensor(IdsOf(ids, b), {4000}), back.in(b), table.out(b));
    });
    std::vector<float> all = t.There(sums);
    for (const Pair& pair : {bias, table}) {
      const std::vector<float> more = t.There(pair);
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  };
  const std::vector<float> first = run();
  EXPECT_EQ(run(), first);
}

INSTANTIATE_TEST_SUITE_P(Devices, OpsTest, testing::Values("copies", "soft", "direct", "card"),
                         [](const auto& device) { return std::string(device.param); });

}  // namespace
}  // namespace shardmill::nn
