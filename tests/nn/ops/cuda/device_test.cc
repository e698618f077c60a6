#include "nn/ops/cuda/device.h"

#include <gtest/gtest.h>

namespace shardmill::nn::cuda {
namespace {

TEST(DeviceTest, SaysWhyThereIsNoCard) {
  const Devices devices = FindDevices();
  EXPECT_GE(devices.count, 0);
  EXPECT_FALSE(devices.words.empty());
}

TEST(DeviceTest, NamesTheCard) {
  const Devices devices = FindDevices();
  if (devices.count == 0) GTEST_SKIP() << "no card here: " << devices.words;
  EXPECT_FALSE(devices.words.empty());
}

}  // namespace
}  // namespace shardmill::nn::cuda
