// The keys of [compute]: on what a worker's network computes.
#include <array>

#include "common/config/text.h"
#include "common/job/job.h"

namespace shardmill {
namespace {

using config::Named;

constexpr std::array<Named<ComputeDevice>, 3> kDevices = {{
    {ComputeDevice::kCpu, "cpu"},
    {ComputeDevice::kCuda, "cuda"},
    {ComputeDevice::kAuto, "auto"},
}};

constexpr std::array<Named<ProductRounding>, 3> kProducts = {{
    {ProductRounding::kFloat, "float"},
    {ProductRounding::kTf32, "tf32"},
    {ProductRounding::kBf16, "bf16"},
}};
constexpr std::array<Named<GradientWidth>, 2> kGradients = {{
    {GradientWidth::kFloat, "float"},
    {GradientWidth::kBf16, "bf16"},
}};

constexpr std::array<Named<Recomputing>, 3> kRecomputings = {{
    {Recomputing::kNever, "never"},
    {Recomputing::kAuto, "auto"},
    {Recomputing::kAlways, "always"},
}};

}  // namespace

void ComputeOptions::Declare(config::Section& section) {
  section.Choice("device", &device, kDevices,
                 "Whether layers and losses are computed by the processor or by a card. With "
                 "\"auto\" a worker takes a card where there is one, and else says why it does "
                 "not; with \"cuda\" it ends with those words. Of several cards on a host the "
                 "worker of rank r takes the r-th, counted round and round; with --rank any it "
                 "takes the first of those in CUDA_VISIBLE_DEVICES.");
  section.Choice("products", &products, kProducts,
                 "To how many bits of fraction a card rounds what it multiplies: 23, 10 (\"tf32\") "
                 "or 7 (\"bf16\"; of convolutions 10), which is many times quicker. Sums, weights "
                 "and all else keep 23.");
  section.Choice("gradients", &gradients, kGradients,
                 "With how many bits a card's gradients cross to the host, where servers take them "
                 "up as floats again: 32, or 16 (\"bf16\"), of which 7 are of the fraction; with "
                 "policy.exchange = \"parameters\" and --single none cross.");
  section.Choice("recompute", &recompute, kRecomputings,
                 "Whether what layers make may be computed again on the way back of a step instead "
                 "of kept for it: with \"auto\" as much of it as a step needs to fit, with "
                 "\"always\" whatever makes a step smaller. The weights are the same, bit for bit; "
                 "a step takes longer, by a third of its products at most.");
  section.Size("memory", &memory, {},
               "The most that what the layers of one worker make may take in a step, of a batch of "
               "data.batch_size rows; 0B: what there is. Weights, their gradients and rows come on "
               "top.");
  section.Require({"products", "gradients", "device"}, [this]() -> std::string {
    const bool exact = products == ProductRounding::kFloat && gradients == GradientWidth::kFloat;
    if (exact || device != ComputeDevice::kCpu) return "";
    return "\"compute.products\" and \"compute.gradients\" are of cards, and \"compute.device\" is "
           "\"cpu\"";
  });
}

}  // namespace shardmill
