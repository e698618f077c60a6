// Files of R's, of which MovieLens is one. The input's first byte says what the rest is: a value
// alone, a file that save() has written, or the index of a package's objects as a piece and then
// the objects.
#include <filesystem>

#include "tests/fuzz/checked_rows.h"
#include "tests/fuzz/input.h"
#include "tests/worker/data/files.h"
#include "tests/worker/data/r_writer.h"
#include "worker/data/r_reader.h"

namespace shardmill::fuzz {
namespace {

TableColumns Ratings() {
  return TableColumns({.label = "rating",
                       .target = TargetKind::kValue,
                       .features = {},
                       .others = false,
                       .categories = {"userId", "movieId"}});
}

// Files in memory under the names that the reader wants.
struct Package {
  TestFolder folder;
  MemoryFile index;
  MemoryFile objects;
  std::string path = folder.path() + "/f.rdb";

  Package() {
    std::filesystem::create_symlink(objects.path(), path);
    std::filesystem::create_symlink(index.path(), folder.path() + "/f.rdx");
  }
};

void Say(const Result<>& read) {
  Check(read.ok() || !read.error().message.empty(), "who refuses says why");
}

void WriteRatings(RWriter& writer) {
  writer.Whole(0x0300 | 19).Whole(4);
  writer.Wholes({1, 1, 2}).Wholes({31, 1029, 31}).Numbers({2.5, 3, 4});
  writer.Wholes({2, 1, 2}, true).Link("levels").Texts({"a", "b"});
  writer.Link("class").Texts({"factor"}).End();
  writer.Link("names").Texts({"userId", "movieId", "rating", "genres"});
  writer.Link("class").Texts({"data.frame"}).End();
}

}  // namespace

void Try(Input input) {
  static Package package;
  Cutter cutter(input);
  TableColumns table = Ratings();
  CheckedRows rows;
  switch (cutter.Byte() % 3) {
    case 0: {
      const Result<RValue> value = ParseRValue(cutter.rest(), "f");
      if (value.ok()) Say(TakeRFrame("f", value.value(), table, rows));
      return;
    }
    case 1:
      package.index.Fill(cutter.rest());
      return Say(ReadRFrame(package.index.path(), "", table, rows));
    default:
      package.index.Fill(cutter.Piece());
      package.objects.Fill(cutter.rest());
      return Say(ReadRFrame(package.path, "", table, rows));
  }
}

std::vector<std::string> Seeds() {
  const std::vector<uint8_t> value = RWriter::Value(WriteRatings);
  const std::vector<uint8_t> file = RWriter::Rda("movielens", WriteRatings);
  const std::vector<uint8_t> packed = Bzipped(value);
  std::string object{0, 0, static_cast<char>(value.size() >> 8), static_cast<char>(value.size())};
  object += '2' + std::string(TextOf(packed));
  const std::vector<uint8_t> index = RWriter::Value([&object](RWriter& writer) {
    writer.Whole(0x0200 | 19).Whole(1);
    writer.Whole(0x0200 | 19).Whole(1).Wholes({0, static_cast<uint32_t>(object.size())});
    writer.Link("names").Texts({"movielens"}).End();
    writer.Link("names").Texts({"variables"}).End();
  });
  return {std::string(1, '\0') + std::string(TextOf(value)), "\1" + std::string(TextOf(file)),
          "\2" + AsPiece(TextOf(index)) + object};
}

}  // namespace shardmill::fuzz
