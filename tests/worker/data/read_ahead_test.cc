#include "worker/data/read_ahead.h"

#include <gtest/gtest.h>

#include "tests/worker/data/data_set.h"

namespace shardmill {
namespace {

std::shared_ptr<const SampleStore> Counted(uint32_t rows) {
  std::vector<float> inputs;
  for (uint32_t i = 0; i < rows; ++i) inputs.push_back(static_cast<float>(i));
  return MakeDataSet(inputs, std::vector<uint32_t>(rows), {1}, 1);
}

TEST(ReadAheadTest, GathersTheBatchesInTheirOrder) {
  const std::shared_ptr<const SampleStore> data = Counted(1000);
  uint32_t next = 0;
  ReadAhead ahead(3, [&](GatheredRows& rows) -> Result<> {
    // Every fourth batch has no rows.
    std::vector<uint32_t> numbers;
    for (uint32_t i = 0; i < next % 4; ++i) numbers.push_back((next * 7 + i) % 1000);
    ++next;
    data->Gather(numbers, rows);
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
  int next = 0;
  ReadAhead ahead(2, [&next](GatheredRows&) -> Result<> {
    if (++next <= 3) return {};
    return Error{ErrorCode::kFailed, "no more"};
  });
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(ahead.Next().ok());
  EXPECT_EQ(ahead.Next().error().message, "no more");
  EXPECT_EQ(ahead.Next().error().message, "no more");
}

TEST(ReadAheadTest, EndsWhereverItsThreadIs) {
  for (int taken = 0; taken < 4; ++taken) {
    uint64_t batches = 0;
    {
      ReadAhead ahead(2, [&batches](GatheredRows&) -> Result<> {
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
