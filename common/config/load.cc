#include "common/config/load.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <fstream>
#include <limits>
#include <system_error>
#include <utility>

#include "common/config/text.h"

namespace shardmill::config {
namespace {

constexpr size_t kProblemsShownMax = 20;

Error BadUsage(std::string words) { return {ErrorCode::kBadUsage, std::move(words)}; }

std::string Quoted(std::string_view text) { return '"' + std::string(text) + '"'; }

std::string PlaceWords(const Origin& origin) {
  switch (origin.layer) {
    case Layer::kDefault:
      return "default";
    case Layer::kFile:
      if (origin.at.line == 0) return origin.name;
      return origin.name + ":" + std::to_string(origin.at.line) + ":" +
             std::to_string(origin.at.column);
    case Layer::kEnvironment:
      return "environment " + origin.name;
    case Layer::kFlag:
      return "--set";
  }
  SM_ASSERT(false);
}

// One load: the schema, the problems so far, and every key for guesses.
class Loader final {
 public:
  Loader(Schema* schema, std::string file)
      : schema_(*schema), file_(std::move(file)), keys_(schema->Keys()) {}

  Result<> ReadText(std::string_view text);
  void ReadVariable(const Variable& variable);
  void ReadSet(const std::string& set);
  Result<Listing> Finish();

 private:
  Reading At(std::string key, Origin origin) {
    return {std::move(key), std::move(origin), &problems_, keys_};
  }
  std::string GuessWithoutSection(const std::string& key) const;
  void ReadUnknownSection(const Member& member, const Origin& origin);
  void ReadWords(Option* option, const std::string& value, const Reading& reading);
  static std::string Describe(std::vector<Problem> problems);

  Schema& schema_;
  std::string file_;
  std::vector<std::string> keys_;
  std::vector<Problem> problems_;
};

Result<> Loader::ReadText(std::string_view text) {
  Result<Node> document = ParseDocument(text);
  if (!document.ok()) {
    const std::string& words = document.error().message;
    return BadUsage(file_ + ":" + (std::isdigit(static_cast<unsigned char>(words[0])) ? "" : " ") +
                    words);
  }
  for (const Member& member : document->members) {
    const Origin origin{Layer::kFile, file_, member.at};
    Section* section = schema_.Find(member.key);
    if (section == nullptr) {
      ReadUnknownSection(member, origin);
    } else {
      section->Read(member.value, At(member.key, origin));
    }
  }
  return {};
}

void Loader::ReadUnknownSection(const Member& member, const Origin& origin) {
  if (member.value.kind == Kind::kTable && !member.value.members.empty()) {
    const std::string section = Nearest(member.key, schema_.Names());
    for (const Member& inner : member.value.members) {
      const std::string meant = section + "." + inner.key;
      const bool real = schema_.FindOption(meant) != nullptr;
      At("", {origin.layer, origin.name, inner.at})
          .Fail(UnknownKey(member.key + "." + inner.key, real ? meant : "", keys_));
    }
    return;
  }
  At("", origin).Fail(UnknownKey(member.key, GuessWithoutSection(member.key), keys_));
}

// What a key without a section meant: the same key in one, or a section.
std::string Loader::GuessWithoutSection(const std::string& key) const {
  if (key.find('.') != std::string::npos) return "";
  for (const std::string& whole : keys_) {
    if (whole.ends_with("." + key)) return whole;
  }
  return Nearest(key, schema_.Names());
}

void Loader::ReadVariable(const Variable& variable) {
  if (!variable.name.starts_with(kEnvironmentPrefix)) return;
  std::string key = variable.name.substr(kEnvironmentPrefix.size());
  const size_t split = key.find("__");
  if (split != std::string::npos) key = key.substr(0, split) + "." + key.substr(split + 2);
  for (char& c : key) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const Reading reading = At(key, {Layer::kEnvironment, variable.name, {}});
  if (Option* option = schema_.FindOption(key)) {
    ReadWords(option, variable.value, reading);
  } else {
    reading.Fail(UnknownKey(key, "", keys_));
  }
}

void Loader::ReadSet(const std::string& set) {
  const Origin origin{Layer::kFlag, "", {}};
  const size_t equals = set.find('=');
  if (equals == std::string::npos) {
    return At("", origin).Fail(QuoteForMessage(set) + " has no value; write section.key=value");
  }
  const std::string key = set.substr(0, equals);
  if (Option* option = schema_.FindOption(key)) {
    ReadWords(option, set.substr(equals + 1), At(key, origin));
  } else if (const Section* section = schema_.Find(key)) {
    At(key, origin)
        .Fail(Quoted(key) + " is a section; name a key of it, such as " +
              Quoted(key + "." + section->options().front().key));
  } else {
    At(key, origin).Fail(UnknownKey(key, GuessWithoutSection(key), keys_));
  }
}

// A value as people type it: a TOML value, or bare words where the key takes text.
void Loader::ReadWords(Option* option, const std::string& value, const Reading& reading) {
  const bool quoted = value.starts_with('"') || value.starts_with('\'');
  Node bare;
  bare.kind = Kind::kText;
  bare.text = value;
  Result<Node> node =
      option->takes_words && !quoted ? Result<Node>(std::move(bare)) : ParseValue(value);
  if (!node.ok()) {
    return reading.Fail(Quoted(reading.key) + " is " + QuoteForMessage(value) + "; it must be " +
                        option->takes);
  }
  option->Take(*node, reading);
}

Result<Listing> Loader::Finish() {
  for (Section& section : schema_.sections()) {
    section.Finish(At(section.name(), {Layer::kFile, file_, {}}));
  }
  if (!problems_.empty()) return BadUsage(Describe(std::move(problems_)));
  Listing listing;
  for (const Section& section : schema_.sections()) {
    for (const Option& option : section.options()) {
      if (!option.Applies()) continue;
      listing.push_back({section.name() + "." + option.key, option.show(),
                         PlaceWords(option.origin), option.unit, option.range,
                         option.required ? "" : option.default_text, option.help});
    }
  }
  return listing;
}

// A line each: the file's in its order and then what is not at any one place, the rest as given.
std::string Loader::Describe(std::vector<Problem> problems) {
  constexpr Position kNowhere{std::numeric_limits<uint32_t>::max(), 0};
  const auto place = [&](const Problem& problem) {
    const Origin& origin = problem.origin;
    return std::pair(origin.layer, origin.layer != Layer::kFile ? Position{}
                                   : origin.at.line == 0        ? kNowhere
                                                                : origin.at);
  };
  std::stable_sort(problems.begin(), problems.end(),
                   [&](const Problem& a, const Problem& b) { return place(a) < place(b); });
  std::string lines;
  for (size_t i = 0; i < problems.size(); ++i) {
    if (i == kProblemsShownMax) {
      return lines + "\nand " + std::to_string(problems.size() - i) + " more";
    }
    if (i > 0) lines += '\n';
    lines += PlaceWords(problems[i].origin) + ": " + problems[i].words;
  }
  return lines;
}

}  // namespace

Result<Listing> Load(Schema& schema, const std::string& file, std::string_view text,
                     const Overrides& overrides) {
  Loader loader(&schema, file);
  SM_TRY(loader.ReadText(text));
  for (const Variable& variable : overrides.environment) loader.ReadVariable(variable);
  for (const std::string& set : overrides.sets) loader.ReadSet(set);
  return loader.Finish();
}

Result<std::string> ReadFile(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text;
  char byte = 0;
  // One byte beyond the limit is enough for the parser to refuse the rest.
  while (text.size() <= kDocumentBytesMax && file.get(byte)) text += byte;
  if (!file.is_open() || file.bad()) {
    const std::string why = std::generic_category().message(errno == 0 ? EIO : errno);
    return BadUsage(path + ": cannot be read: " + why);
  }
  return text;
}

}  // namespace shardmill::config
