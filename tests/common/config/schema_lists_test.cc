#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/config/load.h"

namespace shardmill::config {
namespace {

struct Lists {
  std::vector<std::string> names;
  std::vector<double> shares;

  // Empty where all is well.
  std::string Read(const std::string& text, std::vector<std::string> flags = {}) {
    Schema schema;
    Section& section = schema.Add("room", "A room.");
    section.Texts(
        "names", &names,
        {.form = "short", .accepts = [](std::string_view name) { return name.size() < 9; }},
        "Names.");
    section.Numbers("shares", &shares, {.at_least = 0, .at_most = 1}, "Shares.");
    Overrides overrides;
    overrides.sets = std::move(flags);
    const Result<Listing> listing = Load(schema, "f", text, overrides);
    return listing.ok() ? "" : listing.error().message;
  }
};

using Names = std::vector<std::string>;

TEST(SchemaListsTest, TakesOneTextOrAList) {
  Lists lists;
  EXPECT_EQ(lists.Read("room.names = 'one'"), "");
  EXPECT_EQ(lists.names, Names{"one"});
  EXPECT_EQ(lists.Read("room.names = ['one', 'two']"), "");
  EXPECT_EQ(lists.names, (Names{"one", "two"}));
  EXPECT_EQ(lists.Read("", {"room.names=three"}), "");
  EXPECT_EQ(lists.names, Names{"three"});
  EXPECT_EQ(lists.Read("", {"room.names=['a', \"b\"]"}), "");
  EXPECT_EQ(lists.names, (Names{"a", "b"}));
  EXPECT_EQ(lists.Read("", {"room.names=[ab].csv"}), "");
  EXPECT_EQ(lists.names, Names{"[ab].csv"});
}

TEST(SchemaListsTest, NamesTheItemThatCannotBe) {
  Lists lists;
  EXPECT_EQ(lists.Read("room.names = 1"),
            "f:1:14: \"room.names\" must be text or a list of text, not a whole number");
  EXPECT_EQ(lists.Read("room.names = ['a', 1]"),
            "f:1:20: \"room.names[1]\" must be text, not a whole number");
  EXPECT_EQ(lists.Read("room.names = 'very long'"),
            "f:1:14: \"room.names[0]\" is \"very long\"; it must be short");
  EXPECT_EQ(lists.Read("room.shares = 1"),
            "f:1:15: \"room.shares\" must be a list of numbers, not a whole number");
  EXPECT_EQ(lists.Read("room.shares = [0.5, 'x']"),
            "f:1:21: \"room.shares[1]\" must be a number, not text");
  EXPECT_EQ(lists.Read("room.shares = [2]"),
            "f:1:16: \"room.shares[0]\" is 2.0; it must be from 0.0 to 1.0");
}

TEST(SchemaListsTest, TakesWholeNumbersAsNumbers) {
  Lists lists;
  EXPECT_EQ(lists.Read("room.shares = [1, 0.25, 0]"), "");
  EXPECT_EQ(lists.shares, (std::vector<double>{1, 0.25, 0}));
}

}  // namespace
}  // namespace shardmill::config
