#include "common/config/load.h"

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "common/config/print.h"

namespace shardmill::config {
namespace {

enum class Colour { kRed, kGreen };
constexpr std::array<Named<Colour>, 2> kColours = {{
    {Colour::kRed, "red"},
    {Colour::kGreen, "green"},
}};

// A small room of its own, so that these tests know nothing of jobs.
struct Part {
  Colour colour = Colour::kRed;
  uint32_t size = 3;
  uint32_t shade = 0;

  void Declare(Section& section) {
    section.Choice("colour", &colour, kColours, "What it looks like.");
    section.Demand("colour");
    section.Number("size", &size, {.at_least = 1, .at_most = 9}, "How large.");
    section.Number("shade", &shade, {.at_most = 5}, "How dark.");
    section.Demand("shade");
    section.OnlyWith("shade", "colour", "\"green\"", [this] { return colour == Colour::kGreen; });
  }
};

struct Room {
  bool open = false;
  uint32_t doors = 2;
  uint64_t seed = 1;
  double width = 1.5;
  std::string title = "hall";
  std::chrono::milliseconds wait{500};
  uint64_t bytes = 4096;
  Colour colour = Colour::kRed;
  std::string level = "low";
  std::vector<std::string> tags = {"old"};
  std::vector<Part> parts;

  void Declare(Schema& schema) {
    Section& room = schema.Add("room", "A room.");
    room.Flag("open", &open, "Whether one may enter.");
    room.Number("doors", &doors, {.at_least = 1, .at_most = 4, .unit = "doors"}, "Ways in.");
    room.Number("seed", &seed, {}, "Chance.");
    room.Number("width", &width, {.above = 0, .at_most = 10, .unit = "metres"}, "How wide.");
    room.Text("title", &title,
              {.form = "short", .accepts = [](std::string_view text) { return text.size() < 9; }},
              "Its name.");
    room.Duration("wait", &wait, {.at_most = std::chrono::hours(1)}, "How long to knock.");
    room.Size("bytes", &bytes, {.at_most = 1 << 20, .multiple_of = 4}, "How much fits.");
    room.Require({"doors", "open"}, [this]() -> std::string {
      return open && doors < 2 ? "an open room has two doors" : "";
    });
    Section& look = schema.Add("look", "What it looks like.");
    look.Choice("colour", &colour, kColours, "The walls.");
    look.Choice("level", &level, {"low", "high"}, "The ceiling.");
    look.Choices("tags", &tags, {"old", "new"}, "Anything | else.");
    look.Tables("parts", &parts, "Furniture.");
  }
};

struct Loaded {
  Room room;
  std::string error;
  Listing listing;

  const Effective& At(const std::string& key) const {
    for (const Effective& one : listing) {
      if (one.key == key) return one;
    }
    static const Effective kNone;
    return kNone;
  }
};

// Loads and hands back either what came out or the words.
Loaded LoadRoom(const std::string& text, const Overrides& overrides = {}) {
  Loaded loaded;
  Schema schema;
  loaded.room.Declare(schema);
  Result<Listing> listing = Load(schema, "r.toml", text, overrides);
  if (listing.ok()) {
    loaded.listing = std::move(listing).value();
  } else {
    loaded.error = listing.error().message;
    EXPECT_EQ(listing.error().code, ErrorCode::kBadUsage);
  }
  return loaded;
}

std::string ErrorOf(const std::string& text) { return LoadRoom(text).error; }
std::string ErrorOfSet(const std::string& set) { return LoadRoom("", {.sets = {set}}).error; }

TEST(LoadTest, KeepsTheInitializersAsDefaults) {
  const Loaded loaded = LoadRoom("");
  EXPECT_EQ(loaded.error, "");
  EXPECT_EQ(loaded.room.doors, 2U);
  EXPECT_EQ(loaded.At("room.doors").value, "2");
  EXPECT_EQ(loaded.At("room.doors").origin, "default");
  EXPECT_EQ(loaded.At("room.doors").range, "from 1 to 4");
  EXPECT_EQ(loaded.At("room.doors").unit, "doors");
  EXPECT_EQ(loaded.At("room.wait").default_value, "\"500ms\"");
}

TEST(LoadTest, ReadsEveryKindFromTheFile) {
  const Loaded loaded = LoadRoom(
      "[room]\nopen = true\ndoors = 4\nseed = 9223372036854775807\nwidth = 2\ntitle = 'attic'\n"
      "wait = \"1m30s\"\nbytes = \"64 KiB\"\n[look]\ncolour = \"green\"\nlevel = \"high\"\n"
      "tags = [\"new\", \"old\"]\nparts = [{colour = 'green', shade = 2}, {colour = 'red'}]\n");
  EXPECT_EQ(loaded.error, "");
  EXPECT_TRUE(loaded.room.open);
  EXPECT_EQ(loaded.room.doors, 4U);
  EXPECT_EQ(loaded.room.seed, 9223372036854775807U);
  EXPECT_EQ(loaded.room.width, 2.0);
  EXPECT_EQ(loaded.room.title, "attic");
  EXPECT_EQ(loaded.room.wait, std::chrono::seconds(90));
  EXPECT_EQ(loaded.room.bytes, 65536U);
  EXPECT_EQ(loaded.room.colour, Colour::kGreen);
  EXPECT_EQ(loaded.room.level, "high");
  EXPECT_EQ(loaded.room.tags, (std::vector<std::string>{"new", "old"}));
  ASSERT_EQ(loaded.room.parts.size(), 2U);
  EXPECT_EQ(loaded.room.parts[0].shade, 2U);
  EXPECT_EQ(loaded.room.parts[1].colour, Colour::kRed);
  EXPECT_EQ(loaded.At("look.parts").value,
            "[{ colour = \"green\", shade = 2 }, { colour = \"red\" }]");
}

TEST(LoadTest, FlagsBeatEnvironmentBeatsFileBeatsDefault) {
  const std::string file = "[room]\ndoors = 1\nwidth = 3.0\ntitle = \"file\"\n";
  const std::vector<Variable> environment = {{"SHARDMILL__ROOM__WIDTH", "4.0"},
                                             {"SHARDMILL__ROOM__TITLE", "env"}};
  const Loaded loaded =
      LoadRoom(file, {.sets = {"room.title=first", "room.title=flag"}, .environment = environment});
  EXPECT_EQ(loaded.error, "");
  EXPECT_EQ(loaded.At("room.seed").origin, "default");
  EXPECT_EQ(loaded.At("room.doors").value, "1");
  EXPECT_EQ(loaded.At("room.doors").origin, "r.toml:2:1");
  EXPECT_EQ(loaded.At("room.width").value, "4.0");
  EXPECT_EQ(loaded.At("room.width").origin, "environment SHARDMILL__ROOM__WIDTH");
  EXPECT_EQ(loaded.At("room.title").value, "\"flag\"");
  EXPECT_EQ(loaded.At("room.title").origin, "--set");
}

TEST(LoadTest, TakesWordsWithoutQuotesWhereAKeyTakesText) {
  const Loaded loaded = LoadRoom(
      "", {.sets = {"room.title=12", "room.wait=3s", "room.bytes=8KiB", "look.colour=green",
                    "look.level=\"high\"", "look.tags=[\"new\"]", "room.open=true"}});
  EXPECT_EQ(loaded.error, "");
  EXPECT_EQ(loaded.room.title, "12");
  EXPECT_EQ(loaded.room.wait, std::chrono::seconds(3));
  EXPECT_EQ(loaded.room.bytes, 8192U);
  EXPECT_EQ(loaded.room.colour, Colour::kGreen);
  EXPECT_EQ(loaded.room.level, "high");
  EXPECT_EQ(loaded.room.tags, std::vector<std::string>{"new"});
  EXPECT_TRUE(loaded.room.open);
}

TEST(LoadTest, RefusesUnknownKeysWithTheNearestRealOne) {
  EXPECT_EQ(ErrorOf("\n[room]\n  dors = 1\n"),
            "r.toml:3:3: unknown key \"room.dors\"; did you mean \"room.doors\"?");
  EXPECT_EQ(ErrorOf("[rom]\ndors = 1\n"),
            "r.toml:2:1: unknown key \"rom.dors\"; did you mean \"room.doors\"?");
  EXPECT_EQ(ErrorOf("[rom]\ndoors = 1\n"),
            "r.toml:2:1: unknown key \"rom.doors\"; did you mean \"room.doors\"?");
  EXPECT_EQ(ErrorOf("[rom]\n"), "r.toml:1:2: unknown key \"rom\"; did you mean \"room\"?");
  EXPECT_EQ(ErrorOf("doors = 1\n"),
            "r.toml:1:1: unknown key \"doors\"; did you mean \"room.doors\"?");
  EXPECT_EQ(ErrorOf("[look]\ndoors = 1\n"),
            "r.toml:2:1: unknown key \"look.doors\"; did you mean \"room.doors\"?");
  EXPECT_EQ(ErrorOf("[room]\nquite_different = 1\n"),
            "r.toml:2:1: unknown key \"room.quite_different\"");
}

TEST(LoadTest, RefusesUnknownKeysInAListOfTables) {
  EXPECT_EQ(ErrorOf("[look]\nparts = [\n  { colour = 'red' },\n  { colour = 'red', szie = 1 },\n]"),
            "r.toml:4:21: unknown key \"look.parts[1].szie\"; did you mean "
            "\"look.parts[1].size\"?");
  EXPECT_EQ(ErrorOf("[[look.parts]]\nsize = 1\n"),
            "r.toml:1:1: \"look.parts[0].colour\" is missing: What it looks like.");
}

TEST(LoadTest, RefusesUnknownKeysInEnvironmentAndFlags) {
  EXPECT_EQ(LoadRoom("", {.environment = {{"SHARDMILL__ROOM__DORS", "1"}}}).error,
            "environment SHARDMILL__ROOM__DORS: unknown key \"room.dors\"; did you mean "
            "\"room.doors\"?");
  EXPECT_EQ(ErrorOfSet("room.dors=1"),
            "--set: unknown key \"room.dors\"; did you mean \"room.doors\"?");
  EXPECT_EQ(ErrorOfSet("rom=1"), "--set: unknown key \"rom\"; did you mean \"room\"?");
  EXPECT_EQ(ErrorOfSet("room=1"),
            "--set: \"room\" is a section; name a key of it, such as "
            "\"room.open\"");
  EXPECT_EQ(ErrorOfSet("room.open"), "--set: \"room.open\" has no value; write section.key=value");
}

TEST(LoadTest, LeavesAloneTheEnvironmentThatIsNotOurs) {
  const Loaded loaded = LoadRoom(
      "", {.environment = {
               {"SHARDMILL_RANK", "3"}, {"SHARDMILL_SERVICE_HOST", "10.0.0.1"}, {"PATH", "/bin"}}});
  EXPECT_EQ(loaded.error, "");
  EXPECT_EQ(loaded.At("room.doors").origin, "default");
}

TEST(LoadTest, RefusesValuesOfTheWrongKind) {
  EXPECT_EQ(ErrorOf("[room]\ndoors = \"2\"\n"),
            "r.toml:2:9: \"room.doors\" must be a whole number, not text");
  EXPECT_EQ(ErrorOf("[room]\ndoors = 2.0\n"),
            "r.toml:2:9: \"room.doors\" must be a whole number, not a number with a point");
  EXPECT_EQ(ErrorOf("[room]\nwidth = true\n"),
            "r.toml:2:9: \"room.width\" must be a number, not true or false");
  EXPECT_EQ(ErrorOf("[room]\nopen = 1\n"),
            "r.toml:2:8: \"room.open\" must be true or false, not a whole number");
  EXPECT_EQ(ErrorOf("[room]\ntitle = 2026-01-01\n"),
            "r.toml:2:9: \"room.title\" must be text, not a date or time");
  EXPECT_EQ(ErrorOf("[room]\nwait = 5\n"),
            "r.toml:2:8: \"room.wait\" must be a duration such as \"250ms\", \"10m\" or "
            "\"1h30m\", not a whole number");
  EXPECT_EQ(ErrorOf("[room]\nbytes = 5\n"),
            "r.toml:2:9: \"room.bytes\" must be a size such as \"64MiB\" (B, KiB, MiB, GiB, TiB), "
            "not a whole number");
  EXPECT_EQ(
      ErrorOf("[look]\ntags = \"old\"\n"),
      "r.toml:2:8: \"look.tags\" must be a list of text such as [\"old\", \"new\"], not text");
  EXPECT_EQ(ErrorOf("[look]\nparts = 1\n"),
            "r.toml:2:9: \"look.parts\" must be a table or a list of tables, not a whole "
            "number");
  // One alone needs no brackets.
  EXPECT_EQ(ErrorOf("[look]\nparts = {}\n"),
            "r.toml:2:9: \"look.parts[0].colour\" is missing: What it looks like.");
  EXPECT_EQ(ErrorOf("[look]\nparts = [1]\n"),
            "r.toml:2:10: \"look.parts[0]\" must be a table, not a whole number");
  EXPECT_EQ(ErrorOf("room = 1\n"), "r.toml:1:1: \"room\" must be a table, not a whole number");
  EXPECT_EQ(ErrorOf("[[room]]\n"), "r.toml:1:3: \"room\" must be a table, not a list");
  EXPECT_EQ(ErrorOf("[room.title]\n"), "r.toml:1:1: \"room.title\" must be text, not a table");
  EXPECT_EQ(ErrorOfSet("room.doors=two"),
            "--set: \"room.doors\" is \"two\"; it must be a whole number");
}

TEST(LoadTest, RefusesValuesOutOfRange) {
  EXPECT_EQ(ErrorOf("[room]\ndoors = 0\n"),
            "r.toml:2:9: \"room.doors\" is 0; it must be from 1 to 4");
  EXPECT_EQ(ErrorOf("[room]\nseed = -1\n"),
            "r.toml:2:8: \"room.seed\" is -1; it must be at least 0");
  EXPECT_EQ(ErrorOf("[room]\nwidth = 0\n"),
            "r.toml:2:9: \"room.width\" is 0.0; it must be above 0.0 and at most 10.0");
  EXPECT_EQ(ErrorOf("[room]\nwidth = nan\n"),
            "r.toml:2:9: \"room.width\" is nan; it must be above 0.0 and at most 10.0");
  EXPECT_EQ(ErrorOf("[room]\nwidth = inf\n"),
            "r.toml:2:9: \"room.width\" is inf; it must be above 0.0 and at most 10.0");
  EXPECT_EQ(ErrorOf("[room]\ntitle = \"much too long\"\n"),
            "r.toml:2:9: \"room.title\" is \"much too long\"; it must be short");
  EXPECT_EQ(ErrorOf("[room]\nwait = \"2h\"\n"),
            "r.toml:2:8: \"room.wait\" is \"2h\"; it must be from 0s to 1h");
  EXPECT_EQ(ErrorOf("[room]\nwait = \"soon\"\n"),
            "r.toml:2:8: \"room.wait\" is \"soon\"; it must be a duration such as \"250ms\", "
            "\"10m\" or \"1h30m\"");
  EXPECT_EQ(ErrorOf("[room]\nbytes = \"6B\"\n"),
            "r.toml:2:9: \"room.bytes\" is \"6B\"; it must be from 0B to 1MiB, a multiple of 4B");
  EXPECT_EQ(ErrorOf("[room]\nbytes = \"6MB\"\n"),
            "r.toml:2:9: \"room.bytes\" is \"6MB\"; it must be a size such as \"64MiB\" (B, KiB, "
            "MiB, GiB, TiB)");
}

TEST(LoadTest, RefusesWordsThatAreNotAmongTheChoices) {
  EXPECT_EQ(ErrorOf("[look]\ncolour = \"gren\"\n"),
            "r.toml:2:10: \"look.colour\" is \"gren\"; it must be one of \"red\", \"green\"; did "
            "you mean \"green\"?");
  EXPECT_EQ(ErrorOf("[look]\nlevel = \"middling\"\n"),
            "r.toml:2:9: \"look.level\" is \"middling\"; it must be one of \"low\", \"high\"");
  EXPECT_EQ(ErrorOf("[look]\ntags = [\"old\", \"old\"]\n"),
            "r.toml:2:16: \"look.tags[1]\" is \"old\" once more; name it once");
  EXPECT_EQ(ErrorOf("[look]\ntags = [1]\n"),
            "r.toml:2:9: \"look.tags[0]\" must be text, not a whole number");
}

TEST(LoadTest, RefusesAKeyThatMeansNothingBesideAnother) {
  EXPECT_EQ(ErrorOf("[look]\nparts = [{ colour = 'red', shade = 1 }]\n"),
            "r.toml:2:28: \"look.parts[0].shade\" means nothing with look.parts[0].colour = "
            "\"red\"; remove it or set look.parts[0].colour = \"green\"");
  EXPECT_EQ(ErrorOf("[look]\nparts = [{ colour = 'green' }]\n"),
            "r.toml:2:10: \"look.parts[0].shade\" is missing: How dark.");
  EXPECT_EQ(ErrorOf("[look]\nparts = [{ colour = 'green', shad = 1 }]\n"),
            "r.toml:2:30: unknown key \"look.parts[0].shad\"; did you mean "
            "\"look.parts[0].shade\"?");
}

TEST(LoadTest, ReportsARuleAtTheLastOfItsKeysThatWasGiven) {
  EXPECT_EQ(ErrorOf("[room]\ndoors = 1\nopen = true\n"), "r.toml:3:1: an open room has two doors");
  EXPECT_EQ(LoadRoom("[room]\nopen = true\n", {.sets = {"room.doors=1"}}).error,
            "--set: an open room has two doors");
  EXPECT_EQ(ErrorOf("[room]\ndoors = 9\nopen = true\n"),
            "r.toml:2:9: \"room.doors\" is 9; it must be from 1 to 4")
      << "a rule over a bad value would only confuse";
}

TEST(LoadTest, ReportsEverythingThatIsWrongInOrder) {
  EXPECT_EQ(LoadRoom("[look]\nlevel = 1\n[room]\ndors = 1\nwidth = -1\n",
                     {.sets = {"room.x=1"}, .environment = {{"SHARDMILL__ROOM__SEED", "x"}}})
                .error,
            "r.toml:2:9: \"look.level\" must be text, not a whole number\n"
            "r.toml:4:1: unknown key \"room.dors\"; did you mean \"room.doors\"?\n"
            "r.toml:5:9: \"room.width\" is -1.0; it must be above 0.0 and at most 10.0\n"
            "environment SHARDMILL__ROOM__SEED: \"room.seed\" is \"x\"; it must be a whole number\n"
            "--set: unknown key \"room.x\"");
}

TEST(LoadTest, StopsListingProblemsAtAPoint) {
  std::string text = "[room]\n";
  for (int i = 0; i < 50; ++i) text += "unknown_key_" + std::to_string(i) + " = 1\n";
  const std::string error = ErrorOf(text);
  EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 20);
  EXPECT_TRUE(error.ends_with("\nand 30 more")) << error;
}

TEST(LoadTest, SaysWhereTheSyntaxIsWrong) {
  EXPECT_TRUE(ErrorOf("[room]\ndoors = = 1\n").starts_with("r.toml:2:9: "))
      << ErrorOf("[room]\ndoors = = 1\n");
  EXPECT_EQ(ErrorOf(std::string(2 << 20, '#')),
            "r.toml: larger than 1MiB, which no job file needs");
}

TEST(LoadTest, ShowsHostileTextOnOneLine) {
  EXPECT_EQ(ErrorOf("[room]\n\"a\\nb\\u001b\" = 1\n"),
            "r.toml:2:1: unknown key \"room.a\\nb\\u001B\"");
  const std::string error = ErrorOf("[room]\n\"" + std::string(100'000, 'k') + "\" = 1\n");
  EXPECT_LT(error.size(), 200U);
  EXPECT_LT(ErrorOfSet(std::string(100'000, '\n') + "=1").size(), 200U);
  EXPECT_LT(ErrorOfSet("room.doors=" + std::string(100'000, '[')).size(), 200U);
}

TEST(LoadTest, PrintsAFileThatLoadsToTheSame) {
  const Loaded before = LoadRoom(
      "[room]\nwidth = 0.1\ntitle = \"a\\\"b\"\nwait = \"61s\"\n[look]\n"
      "parts = [{ colour = 'green', shade = 0, size = 9 }]\n");
  ASSERT_EQ(before.error, "");
  for (const bool with_origins : {false, true}) {
    const Loaded after = LoadRoom(PrintToml(before.listing, with_origins));
    ASSERT_EQ(after.error, "");
    ASSERT_EQ(after.listing.size(), before.listing.size());
    for (size_t i = 0; i < after.listing.size(); ++i) {
      EXPECT_EQ(after.listing[i].value, before.listing[i].value) << after.listing[i].key;
    }
  }
  EXPECT_NE(PrintToml(before.listing, true).find("# r.toml:2:1\n"), std::string::npos);
}

TEST(LoadTest, PrintsAReferenceRowForEveryKey) {
  Room room;
  Schema schema;
  room.Declare(schema);
  const std::string page = PrintReference(schema, "# Page\n");
  EXPECT_TRUE(page.starts_with("# Page\n\n## [room]\n\nA room.\n\n| Key |")) << page;
  EXPECT_NE(page.find("| `doors` | from 1 to 4 (doors) | `2` | Ways in. |\n"), std::string::npos);
  EXPECT_NE(
      page.find("| `tags` | each one of \"old\", \"new\" | `[\"old\"]` | Anything \\| else. |"),
      std::string::npos);
  EXPECT_NE(page.find("| `parts[].shade` | from 0 to 5 | must be given | How dark. Only with "
                      "`colour = \"green\"`. |\n"),
            std::string::npos)
      << page;
  for (const std::string& key : schema.Keys()) {
    std::string cell(1, '`');
    cell.append(key, key.find('.') + 1, std::string::npos).push_back('`');
    EXPECT_NE(page.find(cell), std::string::npos) << key;
  }
}

TEST(LoadTest, ReadsWholeFilesAndSaysWhyItCannot) {
  const std::string path = testing::TempDir() + "/read_test.toml";
  std::ofstream(path) << "a = 1\n";
  EXPECT_EQ(ReadFile(path).value(), "a = 1\n");
  const Result<std::string> missing = ReadFile(path + ".missing");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kBadUsage);
  EXPECT_EQ(missing.error().message, path + ".missing: cannot be read: No such file or directory");
  const Result<std::string> folder = ReadFile(testing::TempDir());
  ASSERT_FALSE(folder.ok());
  EXPECT_EQ(folder.error().message, testing::TempDir() + ": cannot be read: Is a directory");
}

TEST(LoadTest, ReadsNoMoreOfAFileThanItsLimit) {
  const Result<std::string> endless = ReadFile("/dev/zero");
  ASSERT_TRUE(endless.ok());
  EXPECT_EQ(endless.value().size(), kDocumentBytesMax + 1);
}

}  // namespace
}  // namespace shardmill::config
