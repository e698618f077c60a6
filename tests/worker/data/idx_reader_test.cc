#include "worker/data/idx_reader.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/worker/data/files.h"
#include "tests/worker/data/kept_rows.h"

namespace shardmill {
namespace {

using Bytes = std::vector<uint8_t>;

const Bytes kPixels{0, 51, 102, 153, 204, 255, 255, 0, 0, 255, 51, 51};

Bytes GoodImages() { return Idx({3, 2, 2}, kPixels); }
Bytes GoodLabels() { return Idx({3}, Bytes{4, 0, 1}); }

TEST(IdxReaderTest, ReadsPackedAndPlainFiles) {
  const TestFolder folder;
  folder.WriteGzip("train-images-idx3-ubyte.gz", GoodImages());
  folder.WriteGzip("train-labels-idx1-ubyte.gz", GoodLabels());
  folder.Write("t10k-images-idx3-ubyte", GoodImages());
  folder.Write("t10k-labels-idx1-ubyte", GoodLabels());
  for (const DataPart part : {DataPart::kTrain, DataPart::kTest}) {
    KeptRows kept;
    const Result<> read = ReadIdx(IdxFilesOf(folder.path() + "/", part), kept);
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(kept.columns()[0].row_shape, (std::vector<uint64_t>{2, 2}));
    ASSERT_EQ(kept.rows.size(), 3U);
    EXPECT_EQ(kept.rows[0][0].floats, (std::vector<float>{0, 0.2F, 0.4F, 0.6F}));
    EXPECT_EQ(kept.rows[1][0].floats[1], 1.0F);
    EXPECT_EQ(kept.rows[0][1].ids, std::vector<uint32_t>{4});
    EXPECT_EQ(kept.rows[2][1].ids, std::vector<uint32_t>{1});
  }
}

TEST(IdxReaderTest, ChecksThatAllFourFilesAreThere) {
  const TestFolder folder;
  folder.WriteGzip("train-images-idx3-ubyte.gz", GoodImages());
  folder.Write("train-labels-idx1-ubyte", GoodLabels());
  folder.Write("t10k-images-idx3-ubyte", GoodImages());
  const Result<> missing = CheckIdxFolder(folder.path());
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(missing.error().message.find("/t10k-labels-idx1-ubyte.gz: there is no such file"),
            std::string::npos)
      << missing.error().message;
  EXPECT_NE(missing.error().message.find("dataset-fashion-mnist"), std::string::npos);
  folder.Write("t10k-labels-idx1-ubyte", GoodLabels());
  EXPECT_TRUE(CheckIdxFolder(folder.path() + "/").ok());
}

TEST(IdxReaderTest, NamesThePackageOfFashionMnist) {
  EXPECT_EQ(MissingDataHint("/usr/share/datasets/fashion-mnist/"),
            "it comes with a package: apt-get install dataset-fashion-mnist");
}

struct WrongFile {
  std::string words;  // In the message.
  std::function<void(Bytes&)> spoil;
};

TEST(IdxReaderTest, SaysWhatIsWrongWithAFileOfImages) {
  const std::vector<WrongFile> wrong{
      {"too short", [](Bytes& bytes) { bytes.resize(3); }},
      {"two zero bytes", [](Bytes& bytes) { bytes[0] = 'P'; }},
      {"two zero bytes", [](Bytes& bytes) { bytes[1] = 1; }},
      {"IDX type 13", [](Bytes& bytes) { bytes[2] = 13; }},
      {"0 dimensions", [](Bytes& bytes) { bytes[3] = 0; }},
      {"255 dimensions", [](Bytes& bytes) { bytes[3] = 255; }},
      {"within its header", [](Bytes& bytes) { bytes.resize(15); }},
      {"the file is empty: it has no samples", [](Bytes& bytes) { bytes.clear(); }},
      {"it has no samples", [](Bytes& bytes) { bytes[7] = 0; }},
      {"dimension 2 is 0", [](Bytes& bytes) { bytes[11] = 0; }},
      {"multiply to too much", [](Bytes& bytes) { bytes[4] = bytes[8] = bytes[12] = 0xff; }},
      {"cut off: its header tells of 12 values, and 11", [](Bytes& bytes) { bytes.pop_back(); }},
      {"too long: its header tells of 12 values, and 13", [](Bytes& bytes) { bytes.push_back(0); }},
      {"not images",
       [](Bytes& bytes) {
         bytes = Idx({3}, Bytes{1, 2, 3});
       }},
      {"3 labels for the 4 images",
       [](Bytes& bytes) {
         bytes = Idx({4, 3, 1}, kPixels);
       }},
  };
  const TestFolder folder;
  const std::string labels = folder.Write("labels", GoodLabels());
  for (const WrongFile& test : wrong) {
    Bytes bytes = GoodImages();
    test.spoil(bytes);
    const std::string images = folder.Write("images", bytes);
    KeptRows kept;
    const Result<> data = ReadIdx({images, labels}, kept);
    ASSERT_FALSE(data.ok()) << test.words;
    EXPECT_EQ(data.error().code, ErrorCode::kBadInput);
    EXPECT_NE(data.error().message.find(test.words), std::string::npos) << data.error().message;
    EXPECT_NE(data.error().message.find(images), std::string::npos) << data.error().message;
  }
}

TEST(IdxReaderTest, SaysWhatIsWrongWithAFileOfLabels) {
  const TestFolder folder;
  const std::string images = folder.Write("images", GoodImages());
  const std::string labels = folder.Write("labels", Idx({3, 1}, Bytes{1, 2, 3}));
  KeptRows kept;
  const Result<> data = ReadIdx({images, labels}, kept);
  ASSERT_FALSE(data.ok());
  EXPECT_EQ(data.error().message, labels + ": a file of labels has one dimension");
}

TEST(IdxReaderTest, RefusesAHeaderOfAnySizeWithoutTakingTheMemory) {
  const TestFolder folder;
  // It tells of 16 GiB and brings one byte.
  const std::string images = folder.WriteGzip("images", Idx({1U << 30, 4, 4}, Bytes{1}));
  KeptRows kept;
  const Result<> data = ReadIdx({images, folder.Write("labels", GoodLabels())}, kept);
  ASSERT_FALSE(data.ok());
  EXPECT_NE(data.error().message.find("cut off"), std::string::npos);
}

}  // namespace
}  // namespace shardmill
