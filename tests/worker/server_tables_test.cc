#include "worker/server_tables.h"

#include <gtest/gtest.h>

#include <vector>

namespace shardmill {
namespace {

const std::vector<float> kValues{1, 2, 3, 4, 5};

TEST(ServerTablesTest, LeavesPiecesThatFollowEachOtherWhereTheyLie) {
  std::vector<float> copy(kValues.size());
  const std::span<const float> values(kValues);
  const std::vector<ReadPiece> pieces{{0, values.first(2)}, {2, values.subspan(2)}};
  EXPECT_EQ(Joined(pieces, copy).data(), kValues.data());
  EXPECT_EQ(Joined(pieces, copy).size(), kValues.size());
  EXPECT_EQ(copy, std::vector<float>(kValues.size()));
}

TEST(ServerTablesTest, CopiesPiecesThatLieApart) {
  const std::vector<float> apart{9, 3, 4, 5};
  std::vector<float> copy(kValues.size());
  const std::vector<ReadPiece> pieces{{0, std::span(kValues).first(2)},
                                      {2, std::span(apart).subspan(1)}};
  EXPECT_EQ(Joined(pieces, copy).data(), copy.data());
  EXPECT_EQ(copy, kValues);
}

TEST(ServerTablesTest, LeavesWithTheServerOnlyWhatIsLittleOfWhatItLends) {
  std::vector<ParameterSpec> parameters(2);
  parameters[0].size = 10;
  parameters[1].size = 6;
  EXPECT_TRUE(MayStayLent(parameters, 16 * sizeof(float) * 4));
  EXPECT_FALSE(MayStayLent(parameters, 16 * sizeof(float) * 4 - 1));
  parameters[1].size = 0;
  parameters[1].dim = 1;
  EXPECT_FALSE(MayStayLent(parameters, uint64_t{1} << 30));
}

}  // namespace
}  // namespace shardmill
