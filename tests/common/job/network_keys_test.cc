#include "common/job/network_keys.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace shardmill {
namespace {

JobKeyList KeysOf(const std::vector<std::string>& sets) {
  const Result<Job> job = ParseJob("j.toml",
                                   "[data]\nfolder = \"/data\"\n[model]\nlayers = ["
                                   "{ type = \"affine\", units = 3 }, { type = \"relu\" }]\n",
                                   {.sets = sets});
  EXPECT_TRUE(job.ok()) << job.error().message;
  return job.ok() ? NetworkOf(job.value().options) : JobKeyList{};
}

std::string Layers(const std::string& layers) { return "model.layers=[" + layers + "]"; }

TEST(NetworkKeysTest, NameWhatChangesTheNumbersOfANetwork) {
  const JobKeyList was = KeysOf({});
  EXPECT_EQ(NetworkChanges(was, was), "");
  EXPECT_EQ(NetworkChanges(was, KeysOf({Layers("{type='affine',units=4},{type='relu'}")})),
            "model.layers[0].units is 4, and was 3");
  EXPECT_EQ(NetworkChanges(was, KeysOf({Layers("{type='affine',units=3},{type='tanh'}")})),
            "model.layers[1].type is \"tanh\", and was \"relu\"");
  EXPECT_EQ(NetworkChanges(was, KeysOf({Layers("{type='affine',units=3}")})),
            "model.layers[1].type is not said, and was \"relu\"");
  EXPECT_EQ(NetworkChanges(was, KeysOf({"model.loss=l2", "model.metrics=['loss']"})),
            "model.loss is \"l2\", and was \"softmax_cross_entropy\"");
  EXPECT_EQ(
      NetworkChanges(was, KeysOf({Layers("{type='relu'},{type='affine',units=5,bias=false},"
                                         "{type='tanh'}")})),
      "model.layers[0].type is \"relu\", and was \"affine\"; model.layers[1].type is "
      "\"affine\", and was \"relu\"; model.layers[1].units is 5, and was not said; and 3 keys "
      "more");
}

TEST(NetworkKeysTest, SayNothingOfHowItIsTrained) {
  const JobKeyList was = KeysOf({});
  const std::string trained = Layers(
      "{type='affine',units=3,initial='he',learning_rate=0.5,optimizer='adam'},"
      "{type='relu'}");
  EXPECT_EQ(NetworkChanges(was, KeysOf({trained, "model.l2=0.1", "optimizer.name=adam"})), "");
}

TEST(NetworkKeysTest, NothingIsKnownOfWhatSaysNothing) {
  const JobKeyList is = KeysOf({});
  EXPECT_EQ(NetworkChanges({}, is), "");
  EXPECT_EQ(NetworkChanges(is, {}), "");
  EXPECT_EQ(NetworkChanges({{"model.layers", "{{"}, {"model.loss", "\"l1\""}}, is), "");
}

}  // namespace
}  // namespace shardmill
