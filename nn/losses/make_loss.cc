#include "nn/losses/make_loss.h"

#include <array>

#include "nn/losses/softmax_cross_entropy.h"
#include "nn/losses/values_loss.h"

namespace shardmill::nn {
namespace {

LossResult MakeSoftmaxCrossEntropy(const Shape& output) {
  if (output.dims() != 1 || output.size() < 2) {
    return Error{ErrorCode::kBadUsage,
                 "the loss \"softmax_cross_entropy\" reads one number a class, for two classes or "
                 "more, but the last layer gives " +
                     output.ToString()};
  }
  return std::unique_ptr<Loss>(std::make_unique<SoftmaxCrossEntropy>(output.size()));
}

template <ValuesLoss::Kind kKind>
LossResult MakeValuesLoss(const Shape&) {
  return std::unique_ptr<Loss>(std::make_unique<ValuesLoss>(kKind));
}

constexpr std::array kLossTypes{
    LossType{"softmax_cross_entropy", MakeSoftmaxCrossEntropy},
    LossType{"log_loss", MakeValuesLoss<ValuesLoss::Kind::kLog>},
    LossType{"l1", MakeValuesLoss<ValuesLoss::Kind::kAbsolute>},
    LossType{"l2", MakeValuesLoss<ValuesLoss::Kind::kSquared>},
};

}  // namespace

std::span<const LossType> LossTypes() { return kLossTypes; }

LossResult MakeLoss(const std::string& name, const Shape& output, std::span<const LossType> own) {
  std::string names;
  for (const std::span<const LossType> types : {own, LossTypes()}) {
    for (const LossType& type : types) {
      if (type.name == name) return type.make(output);
      names += (names.empty() ? "\"" : ", \"") + std::string(type.name) + '"';
    }
  }
  return Error{ErrorCode::kBadUsage, "there is no loss \"" + name + "\"; there are " + names};
}

}  // namespace shardmill::nn
