#include "nn/losses/make_loss.h"

#include "nn/losses/softmax_cross_entropy.h"
#include "nn/losses/values_loss.h"

namespace shardmill::nn {
namespace {

constexpr std::string_view kSoftmaxCrossEntropy = "softmax_cross_entropy";

}  // namespace

Result<std::unique_ptr<Loss>> MakeLoss(const std::string& name, const Shape& output) {
  if (name == "log_loss") return std::unique_ptr<Loss>(new ValuesLoss(ValuesLoss::Kind::kLog));
  if (name == "l1") return std::unique_ptr<Loss>(new ValuesLoss(ValuesLoss::Kind::kAbsolute));
  if (name == "l2") return std::unique_ptr<Loss>(new ValuesLoss(ValuesLoss::Kind::kSquared));
  if (name != kSoftmaxCrossEntropy) {
    return Error{ErrorCode::kBadUsage, "there is no loss \"" + name +
                                           "\"; there are \"softmax_cross_entropy\", "
                                           "\"log_loss\", \"l1\", \"l2\""};
  }
  if (output.dims() != 1 || output.size() < 2) {
    return Error{ErrorCode::kBadUsage,
                 "the loss \"" + name + "\" reads one number a class, for two classes or more, " +
                     "but the last layer gives " + output.ToString()};
  }
  return std::unique_ptr<Loss>(std::make_unique<SoftmaxCrossEntropy>(output.size()));
}

}  // namespace shardmill::nn
