// Settings of each kind, in two small sections: what a job file is read by, without a job's
// hundreds of keys. The input is what stands above the file, and then the file.
#include <array>
#include <chrono>

#include "tests/fuzz/overrides.h"

namespace shardmill::fuzz {
namespace {

using config::Schema;
using config::Section;

enum class Wood { kOak, kFir };
constexpr std::array<config::Named<Wood>, 2> kWoods = {{{Wood::kOak, "oak"}, {Wood::kFir, "fir"}}};

struct Shelf {
  Wood wood = Wood::kOak;
  uint32_t boards = 4;
  std::optional<double> depth = {};

  void Declare(Section& section) {
    section.Choice("wood", &wood, kWoods, "Of what.");
    section.Demand("wood");
    section.Number("boards", &boards, {.at_least = 1, .at_most = 12}, "How many.");
    section.Number("depth", &depth, {.above = 0}, "How deep.");
    section.OnlyWith("depth", "wood", "\"fir\"", [this] { return wood == Wood::kFir; });
  }
};

struct Library {
  bool lent = true;
  uint64_t books = 10;
  double share = 0.5;
  std::string name = "town";
  std::chrono::milliseconds term{1000};
  uint64_t room = 4096;
  std::string order = "author";
  std::vector<std::string> tongues = {"any"};
  std::vector<std::string> doors = {};
  std::vector<double> hours = {};
  std::vector<Shelf> shelves = {};

  void Declare(Schema& schema) {
    Section& house = schema.Add("house", "What there is.");
    house.Flag("lent", &lent, "Whether books leave it.");
    house.Number("books", &books, {.at_most = 1000, .unit = "books"}, "How many.");
    house.Number("share", &share, {.at_least = 0, .at_most = 1}, "How many of them are out.");
    house.Text("name", &name,
               {.form = "letters", .accepts = [](std::string_view t) { return t.size() < 20; }},
               "Whose.");
    house.Require({"books", "lent"}, [this]() -> std::string {
      return lent && books == 0 ? "there is nothing to lend" : "";
    });
    Section& rules = schema.Add("rules", "What holds.");
    rules.Duration("term", &term, {.at_most = std::chrono::hours(24)}, "How long.");
    rules.Size("room", &room, {.at_most = 1 << 30, .multiple_of = 4}, "How much fits.");
    rules.ChoiceOr(
        "order", &order, {"author", "year"},
        {.form = "a key", .accepts = [](std::string_view text) { return text.starts_with("by-"); }},
        "How they stand.");
    rules.Choices("tongues", &tongues, {"any", "some"}, "Which.");
    rules.Texts("doors", &doors, {.form = "any"}, "Ways in.");
    rules.Numbers("hours", &hours, {.at_least = 0, .at_most = 24}, "When.");
    rules.Tables("shelves", &shelves, "Where they stand.");
  }
};

Result<config::Listing> LoadLibrary(std::string_view text, const config::Overrides& overrides) {
  Library library;
  Schema schema;
  library.Declare(schema);
  return Load(schema, "library.toml", text, overrides);
}

}  // namespace

void Try(Input input) {
  Cutter cutter(input);
  const config::Overrides overrides = OverridesOf(cutter);
  const auto listing = LoadLibrary(TextOf(cutter.rest()), overrides);
  if (!listing.ok()) return Check(!listing.error().message.empty(), "who refuses says why");
  config::Overrides again;
  for (const config::Effective& one : listing.value()) {
    again.sets.push_back(one.key + "=" + one.value);
  }
  const auto same = LoadLibrary("", again);
  Check(same.ok(), "what is listed can be given");
  for (size_t i = 0; i < listing.value().size(); ++i) {
    Check(i < same.value().size() && same.value()[i].value == listing.value()[i].value,
          "what is given comes to the same");
  }
}

std::vector<std::string> Seeds() {
  const std::string file =
      "[house]\nlent = false # or not\nbooks = 0x1f\nshare = 2.5e-1\nname = \"a\\u00e9\"\n"
      "[rules]\nterm = \"1.5 h\"\nroom = \"4 KiB\"\norder = \"by-age\"\ntongues = [\"some\"]\n"
      "doors = [\"front\", 'back']\nhours = [0, 8.5, inf]\n"
      "[[rules.shelves]]\nwood = \"fir\"\ndepth = 0.5\n[[rules.shelves]]\nwood = \"oak\"\n";
  const std::string none = AsPiece("");
  return {none + none + file,
          AsPiece("house.books=3\nrules.tongues=[\"any\", \"some\"]\nrules.order=year") +
              AsPiece("RULES__TERM=2 min\nHOUSE__NAME=b\nHOUSE__LENT=true") + file,
          AsPiece("rules.shelves=[{wood = \"fir\", boards = 2}]") + none + "[house]\nbookz = 1\n"};
}

}  // namespace shardmill::fuzz
