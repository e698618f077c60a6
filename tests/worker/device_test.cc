#include "worker/device.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/nn/soft_card/open.h"

namespace shardmill {
namespace {

DeviceRequest Request(ComputeDevice device) {
  return {.compute = {.device = device},
          .library = std::filesystem::absolute("nn/ops/cuda/libshardmill_cuda.so").string()};
}

TEST(DeviceTest, IsTheProcessorUnlessAnotherIsAskedFor) {
  const Result<Device> device = OpenDevice(Request(ComputeDevice::kCpu));
  ASSERT_TRUE(device.ok());
  EXPECT_STREQ(device.value().backend->name(), "cpu");
  EXPECT_EQ(device.value().words, "the processor");
}

// Here the library is opened, and what it needs with it, whether there is a card or not.
TEST(DeviceTest, AutoTakesACardOrSaysWhyNot) {
  const Result<Device> device = OpenDevice(Request(ComputeDevice::kAuto));
  ASSERT_TRUE(device.ok());
  const std::string name = device.value().backend->name();
  if (name == "cpu") {
    EXPECT_TRUE(device.value().words.starts_with("the processor, since ")) << device.value().words;
    EXPECT_EQ(device.value().words.find("the library"), std::string::npos) << device.value().words;
  } else {
    EXPECT_EQ(device.value().words, name);
  }
}

TEST(DeviceTest, CudaTakesACardOrFails) {
  const Result<Device> as_found = OpenDevice(Request(ComputeDevice::kAuto));
  const Result<Device> device = OpenDevice(Request(ComputeDevice::kCuda));
  const std::string name = as_found.value().backend->name();
  ASSERT_EQ(device.ok(), name != "cpu");
  if (device.ok()) return;
  const std::string& words = as_found.value().words;
  EXPECT_EQ(device.error().message,
            "\"compute.device\" is \"cuda\": " + words.substr(words.find(", since ") + 8) +
                "; \"auto\" takes the processor where there is no card");
}

TEST(DeviceTest, IsACardThatIsThere) {
  for (const ComputeDevice asked : {ComputeDevice::kAuto, ComputeDevice::kCuda}) {
    DeviceRequest request = Request(asked);
    request.library = nn::kSoftCardLibrary;
    request.rank = 5;
    const Result<Device> device = OpenDevice(request);
    ASSERT_TRUE(device.ok()) << device.error().message;
    EXPECT_STREQ(device.value().backend->name(), "cuda:0 (soft card)");
    EXPECT_EQ(device.value().words, "cuda:0 (soft card)");
  }
}

// The words of what cannot be had, and whether another try may help.
TEST(DeviceTest, SaysWhetherThereIsNoCardOrNoneThatCanBeUsed) {
  struct Case {
    soft::Settings settings;
    std::string words;
    ErrorCode code;
  };
  for (const Case& c : {
           Case{{.driver = 0},
                "there is no card to compute on: no driver of one is installed",
                ErrorCode::kBadUsage},
           Case{{.cards = 0},
                "there is no card to compute on: the driver knows of none",
                ErrorCode::kBadUsage},
           Case{{.driver = 12040},
                "the card cannot be used: its driver knows CUDA 12.4, and this is built for 13.0: "
                "install a newer driver",
                ErrorCode::kUnavailable},
       }) {
    const auto card = nn::OpenSoftCard(c.settings);
    ASSERT_FALSE(card.ok());
    EXPECT_EQ(card.error().message, c.words);
    EXPECT_EQ(card.error().code, c.code);
  }
}

TEST(DeviceTest, SaysThatTheLibraryIsNotThere) {
  DeviceRequest request = Request(ComputeDevice::kCuda);
  request.library = "nowhere/libshardmill_cuda.so";
  const Result<Device> device = OpenDevice(request);
  ASSERT_FALSE(device.ok());
  EXPECT_EQ(device.error().code, ErrorCode::kBadUsage);
  EXPECT_NE(device.error().message.find("nowhere/libshardmill_cuda.so cannot be used"),
            std::string::npos)
      << device.error().message;
}

TEST(DeviceTest, LayersOfOnesOwnStayOnTheProcessor) {
  DeviceRequest request = Request(ComputeDevice::kAuto);
  request.own_types = true;
  const Result<Device> device = OpenDevice(request);
  ASSERT_TRUE(device.ok());
  EXPECT_EQ(device.value().words,
            "the processor, since the layers of model.library are computed by the processor alone");
  request.compute.device = ComputeDevice::kCuda;
  EXPECT_FALSE(OpenDevice(request).ok());
}

}  // namespace
}  // namespace shardmill
