#include "worker/data/read_ahead.h"

#include <gtest/gtest.h>

#include "worker/data/data_set.h"

namespace shardmill {
namespace {

DataSet Counted(uint32_t rows) {
  std::vector<float> inputs;
  for (uint32_t i = 0; i < rows; ++i) inputs.push_back(static_cast<float>(i));
  return MakeDataSet(inputs, std::vector<uint32_t>(rows), {1}, 1);
}

TEST(ReadAheadTest, GathersTheBatchesInTheirOrder) {
  const DataSet data = Counted(1000);
  uint32_t next = 0;
  ReadAhead ahead(*data.store, 3, [&next](std::vector<uint32_t>& numbers) -> Result<> {
    // Every fourth batch has no rows.
    for (uint32_t i = 0; i < next % 4; ++i) numbers.push_back((next * 7 + i) % 1000);
    ++next;
    return {};
  });
  for (uint32_t batch = 0; batch < 500; ++batch) {
    const Result<const GatheredRows*> rows = ahead.Next();
    ASSERT_TRUE(rows.ok());
    ASSERT_EQ(rows.value()->rows, batch % 4);
    for (uint32_t i = 0; i < batch % 4; ++i) {
      EXPECT_EQ(rows.value()->columns[0].floats[i], static_cast<float>((batch * 7 + i) % 1000));
    }
  }
}

TEST(ReadAheadTest, TellsAnErrorWhereItsBatchWouldBe) {
  const DataSet data = Counted(10);
  int next = 0;
  ReadAhead ahead(*data.store, 2, [&next](std::vector<uint32_t>& numbers) -> Result<> {
    numbers.push_back(1);
    if (++next <= 3) return {};
    return Error{ErrorCode::kFailed, "no more"};
  });
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(ahead.Next().ok());
  EXPECT_EQ(ahead.Next().error().message, "no more");
  EXPECT_EQ(ahead.Next().error().message, "no more");
}

TEST(ReadAheadTest, EndsWhereverItsThreadIs) {
  const DataSet data = Counted(10);
  for (int taken = 0; taken < 4; ++taken) {
    uint64_t batches = 0;
    {
      ReadAhead ahead(*data.store, 2, [&batches](std::vector<uint32_t>&) -> Result<> {
        ++batches;
        return {};
      });
      for (int i = 0; i < taken; ++i) EXPECT_TRUE(ahead.Next().ok());
    }
    EXPECT_LE(batches, static_cast<uint64_t>(taken) + 2);
  }
}

}  // namespace
}  // namespace shardmill
