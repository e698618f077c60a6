#include "common/config/schema.h"

#include <algorithm>

#include "common/assert.h"
#include "common/config/text.h"

namespace shardmill::config {
namespace {

std::string Quoted(std::string_view text) { return '"' + std::string(text) + '"'; }

// Whether the value has the kind; says so at its place where it has not.
bool Expect(const Option& option, const Node& node, Kind kind, const Reading& reading) {
  if (node.kind == kind) return true;
  reading.Fail(Quoted(reading.key) + " must be " + option.takes + ", not " +
               std::string(KindWords(node.kind)));
  return false;
}

void FailRange(const Reading& reading, const std::string& value, const std::string& must) {
  reading.Fail(Quoted(reading.key) + " is " + value + "; it must be " + must);
}

std::string WholeRange(const WholeRule& rule) {
  constexpr auto kLargest = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (rule.at_most == kLargest) return "at least " + std::to_string(rule.at_least);
  return "from " + std::to_string(rule.at_least) + " to " + std::to_string(rule.at_most);
}

std::string RealRange(const RealRule& rule) {
  const bool at_least = rule.at_least > rule.above;
  std::string words =
      at_least ? "at least " + FormatReal(rule.at_least) : "above " + FormatReal(rule.above);
  if (rule.at_most < std::numeric_limits<double>::max()) {
    words += " and at most " + FormatReal(rule.at_most);
  }
  return words;
}

std::string SizeRange(const SizeRule& rule) {
  std::string words = "from " + FormatSize(rule.at_least) + " to " + FormatSize(rule.at_most);
  if (rule.multiple_of > 1) words += ", a multiple of " + FormatSize(rule.multiple_of);
  return words;
}

std::string OneOf(const std::vector<std::string>& words) {
  std::string list = words.size() == 1 ? "" : "one of ";
  for (size_t i = 0; i < words.size(); ++i) list += (i == 0 ? "" : ", ") + Quoted(words[i]);
  return list;
}

// The place of the word in the list; says what could be meant where it is not there.
size_t FindWord(const std::vector<std::string>& words, const std::string& word,
                const Reading& reading) {
  const auto found = std::find(words.begin(), words.end(), word);
  if (found == words.end()) {
    const std::string nearest = Nearest(word, words);
    FailRange(reading, QuoteForMessage(word),
              OneOf(words) + (nearest.empty() || words.size() == 1
                                  ? ""
                                  : "; did you mean " + Quoted(nearest) + "?"));
  }
  return static_cast<size_t>(found - words.begin());
}

std::string ShowList(const std::vector<std::string>& texts) {
  std::string list = "[";
  for (size_t i = 0; i < texts.size(); ++i) list += (i == 0 ? "" : ", ") + QuoteText(texts[i]);
  return list + "]";
}

// As an inline table: what must stand there and what differs from its default.
std::string ShowTable(const Section& section, const std::vector<Option>& declared) {
  std::string table;
  for (size_t i = 0; i < declared.size(); ++i) {
    const Option& item = section.options()[i];
    if (!item.Applies()) continue;
    const std::string value = item.show();
    if (!item.MustBeGiven() && value == declared[i].default_text) continue;
    table += (table.empty() ? "" : ", ") + declared[i].key + " = " + value;
  }
  return "{ " + table + " }";
}

}  // namespace

std::string UnknownKey(const std::string& key, std::string nearest,
                       std::span<const std::string> keys) {
  if (nearest.empty()) nearest = Nearest(key, keys);
  return "unknown key " + QuoteForMessage(key) +
         (nearest.empty() ? "" : "; did you mean " + Quoted(nearest) + "?");
}

void Option::Take(const Node& node, const Reading& reading) {
  origin = reading.origin;
  Reading at = reading;
  at.origin.at = node.at;
  const size_t before = reading.problems->size();
  read(node, at);
  bad = bad || reading.problems->size() > before;
}

Option& Section::Add(std::string_view key, std::string_view help) {
  SM_ASSERT(Find(key) == nullptr);
  Option& option = options_.emplace_back();
  option.key = key;
  option.help = help;
  return option;
}

void Section::Flag(std::string_view key, bool* field, std::string_view help) {
  Option& option = Add(key, help);
  option.takes = "true or false";
  option.show = [field] { return std::string(*field ? "true" : "false"); };
  option.read = [field, option](const Node& node, const Reading& reading) {
    if (Expect(option, node, Kind::kFlag, reading)) *field = node.flag;
  };
  option.default_text = option.show();
}

void Section::Number(std::string_view key, uint32_t* field, WholeRule rule, std::string_view help) {
  rule.at_most = std::min<uint64_t>(rule.at_most, std::numeric_limits<uint32_t>::max());
  AddWhole(
      key, rule, help, [field](uint64_t value) { *field = static_cast<uint32_t>(value); },
      [field] { return uint64_t{*field}; });
}

void Section::Number(std::string_view key, uint64_t* field, WholeRule rule, std::string_view help) {
  AddWhole(
      key, rule, help, [field](uint64_t value) { *field = value; }, [field] { return *field; });
}

void Section::AddWhole(std::string_view key, const WholeRule& rule, std::string_view help,
                       std::function<void(uint64_t)> set, std::function<uint64_t()> get) {
  Option& option = Add(key, help);
  option.takes = "a whole number";
  option.range = WholeRange(rule);
  option.unit = rule.unit;
  option.show = [get = std::move(get)] { return std::to_string(get()); };
  option.read = [set = std::move(set), rule, option](const Node& node, const Reading& reading) {
    if (!Expect(option, node, Kind::kWhole, reading)) return;
    const auto value = static_cast<uint64_t>(node.whole);
    if (node.whole < 0 || value < rule.at_least || value > rule.at_most) {
      return FailRange(reading, std::to_string(node.whole), option.range);
    }
    set(value);
  };
  option.default_text = option.show();
}

void Section::Number(std::string_view key, double* field, RealRule rule, std::string_view help) {
  AddReal(
      key, rule, help, [field](double value) { *field = value; },
      [field] { return FormatReal(*field); });
}

void Section::Number(std::string_view key, std::optional<double>* field, RealRule rule,
                     std::string_view help) {
  AddReal(
      key, rule, help, [field](double value) { *field = value; },
      [field] { return *field ? FormatReal(**field) : ""; });
}

void Section::AddReal(std::string_view key, RealRule rule, std::string_view help,
                      std::function<void(double)> set, std::function<std::string()> show) {
  Option& option = Add(key, help);
  option.takes = "a number";
  option.range = RealRange(rule);
  option.unit = rule.unit;
  option.show = std::move(show);
  option.read = [set = std::move(set), rule, option](const Node& node, const Reading& reading) {
    const bool whole = node.kind == Kind::kWhole;
    if (!whole && !Expect(option, node, Kind::kReal, reading)) return;
    const double value = whole ? static_cast<double>(node.whole) : node.real;
    // Written so that a value which is no number fails too.
    const bool high_enough = value > rule.above && value >= rule.at_least;
    if (!(high_enough && value <= rule.at_most)) {
      return FailRange(reading, FormatReal(value), option.range);
    }
    set(value);
  };
  option.default_text = option.show();
}

void Section::Text(std::string_view key, std::string* field, TextRule rule, std::string_view help) {
  Option& option = Add(key, help);
  option.takes = "text";
  option.range = rule.form;
  option.takes_words = true;
  option.show = [field] { return QuoteText(*field); };
  option.read = [field, rule, option](const Node& node, const Reading& reading) {
    if (!Expect(option, node, Kind::kText, reading)) return;
    if (rule.accepts != nullptr && !rule.accepts(node.text)) {
      return FailRange(reading, QuoteForMessage(node.text), option.range);
    }
    *field = node.text;
  };
  option.default_text = option.show();
}

void Section::Duration(std::string_view key, std::chrono::milliseconds* field, DurationRule rule,
                       std::string_view help) {
  Option& option = Add(key, help);
  option.takes = "a duration such as \"250ms\", \"10m\" or \"1h30m\"";
  option.range = "from " + FormatDuration(rule.at_least) + " to " + FormatDuration(rule.at_most);
  option.takes_words = true;
  option.show = [field] { return QuoteText(FormatDuration(*field)); };
  option.read = [field, rule, option](const Node& node, const Reading& reading) {
    if (!Expect(option, node, Kind::kText, reading)) return;
    const std::optional<std::chrono::milliseconds> value = ParseDuration(node.text);
    if (!value) return FailRange(reading, QuoteForMessage(node.text), option.takes);
    if (*value < rule.at_least || *value > rule.at_most) {
      return FailRange(reading, QuoteForMessage(node.text), option.range);
    }
    *field = *value;
  };
  option.default_text = option.show();
}

void Section::Size(std::string_view key, uint64_t* field, SizeRule rule, std::string_view help) {
  Option& option = Add(key, help);
  option.takes = "a size such as \"64MiB\" (B, KiB, MiB, GiB, TiB)";
  option.range = SizeRange(rule);
  option.takes_words = true;
  option.show = [field] { return QuoteText(FormatSize(*field)); };
  option.read = [field, rule, option](const Node& node, const Reading& reading) {
    if (!Expect(option, node, Kind::kText, reading)) return;
    const std::optional<uint64_t> value = ParseSize(node.text);
    if (!value) return FailRange(reading, QuoteForMessage(node.text), option.takes);
    if (*value < rule.at_least || *value > rule.at_most || *value % rule.multiple_of != 0) {
      return FailRange(reading, QuoteForMessage(node.text), option.range);
    }
    *field = *value;
  };
  option.default_text = option.show();
}

void Section::Choice(std::string_view key, std::string* field, std::vector<std::string> words,
                     std::string_view help) {
  AddChoice(
      key, words, help, [field, words](size_t i) { *field = words[i]; },
      [field, words] {
        const auto found = std::find(words.begin(), words.end(), *field);
        SM_ASSERT(found != words.end());
        return static_cast<size_t>(found - words.begin());
      });
}

void Section::ChoiceOr(std::string_view key, std::string* field, std::vector<std::string> words,
                       TextRule other, std::string_view help) {
  Option& option = Add(key, help);
  option.takes = "text";
  option.range = OneOf(words) + ", or " + std::string(other.form);
  option.takes_words = true;
  option.show = [field] { return QuoteText(*field); };
  option.read = [field, words, other, option](const Node& node, const Reading& reading) {
    if (!Expect(option, node, Kind::kText, reading)) return;
    if (other.accepts(node.text) || FindWord(words, node.text, reading) < words.size()) {
      *field = node.text;
    }
  };
  option.default_text = option.show();
}

void Section::AddChoice(std::string_view key, std::vector<std::string> words, std::string_view help,
                        std::function<void(size_t)> set, std::function<size_t()> get) {
  Option& option = Add(key, help);
  option.takes = "text";
  option.range = OneOf(words);
  option.takes_words = true;
  option.show = [words, get = std::move(get)] { return QuoteText(words[get()]); };
  option.read = [words, set = std::move(set), option](const Node& node, const Reading& reading) {
    if (!Expect(option, node, Kind::kText, reading)) return;
    const size_t index = FindWord(words, node.text, reading);
    if (index < words.size()) set(index);
  };
  option.default_text = option.show();
}

void Section::Choices(std::string_view key, std::vector<std::string>* field,
                      std::vector<std::string> words, std::string_view help) {
  Option& option = Add(key, help);
  option.takes = "a list of text such as " + ShowList(words);
  option.range = "each " + OneOf(words);
  option.show = [field] { return ShowList(*field); };
  option.read = [field, words, option](const Node& node, const Reading& reading) {
    if (!Expect(option, node, Kind::kList, reading)) return;
    field->clear();
    for (size_t i = 0; i < node.items.size(); ++i) {
      const Node& item = node.items[i];
      Reading at = reading;
      at.key += "[" + std::to_string(i) + "]";
      at.origin.at = item.at;
      if (item.kind != Kind::kText) {
        at.Fail(Quoted(at.key) + " must be text, not " + std::string(KindWords(item.kind)));
      } else if (FindWord(words, item.text, at) == words.size()) {
        continue;
      } else if (std::find(field->begin(), field->end(), item.text) != field->end()) {
        at.Fail(Quoted(at.key) + " is " + QuoteForMessage(item.text) + " once more; name it once");
      } else {
        field->push_back(item.text);
      }
    }
  };
  option.default_text = option.show();
}

void Section::AddTables(std::string_view key, const Section& inner, std::string_view help,
                        VisitItem visit_item, std::function<size_t()> count,
                        std::function<void()> clear) {
  Option& option = Add(key, help);
  option.takes = "a table or a list of tables";
  option.range = "a table or a list of tables";
  for (const Option& declared : inner.options()) {
    Option& copy = option.inner.emplace_back(declared);
    copy.read = nullptr;  // Bound to an example that is gone by then.
    copy.show = nullptr;
    copy.applies = nullptr;
  }
  option.show = [visit_item, count, declared = option.inner] {
    std::string list;
    for (size_t i = 0; i < count(); ++i) {
      visit_item(i, [&](const Section& item) {
        list += (i == 0 ? "" : ", ") + ShowTable(item, declared);
      });
    }
    return "[" + list + "]";
  };
  option.read = [visit_item, clear = std::move(clear), option](const Node& node,
                                                               const Reading& reading) {
    const bool alone = node.kind == Kind::kTable;
    if (!alone && !Expect(option, node, Kind::kList, reading)) return;
    const std::vector<Node> items = alone ? std::vector<Node>{node} : node.items;
    clear();
    for (size_t i = 0; i < items.size(); ++i) {
      Reading at = reading;
      at.key += "[" + std::to_string(i) + "]";
      at.origin.at = items[i].at;
      visit_item(i, [&](Section& item) {
        item.Read(items[i], at);
        if (items[i].kind == Kind::kTable) item.Finish(at);
      });
    }
  };
  option.default_text = option.show();
}

void Section::Demand(std::string_view key, std::function<bool()> unless) {
  Option* option = Find(key);
  SM_ASSERT(option != nullptr);
  option->required = true;
  option->unless = std::move(unless);
}

void Section::OnlyWith(std::string_view key, std::string_view other, std::string_view value,
                       std::function<bool()> applies) {
  Option* option = Find(key);
  SM_ASSERT(option != nullptr);
  option->with_key = At(other).key;
  option->with_value = value;
  option->applies = std::move(applies);
}

void Section::Require(std::vector<std::string> keys, Check check) {
  rules_.push_back({std::move(keys), std::move(check)});
}

Option* Section::Find(std::string_view key) {
  const auto found = std::find_if(options_.begin(), options_.end(),
                                  [key](const Option& option) { return option.key == key; });
  return found == options_.end() ? nullptr : &*found;
}

const Option& Section::At(std::string_view key) const {
  const auto found = std::find_if(options_.begin(), options_.end(),
                                  [key](const Option& option) { return option.key == key; });
  SM_ASSERT(found != options_.end());
  return *found;
}

void Section::Read(const Node& table, const Reading& reading) {
  if (table.kind != Kind::kTable) {
    return reading.Fail(Quoted(reading.key) + " must be a table, not " +
                        std::string(KindWords(table.kind)));
  }
  std::vector<std::string> known;
  for (const Option& option : options_) known.push_back(option.key);
  for (const Member& member : table.members) {
    Reading at = reading;
    at.origin.at = member.at;
    Option* option = Find(member.key);
    if (option == nullptr) {
      std::string nearest = Nearest(member.key, known);
      if (!nearest.empty()) nearest = reading.key + "." + nearest;
      at.Fail(UnknownKey(reading.key + "." + member.key, nearest, reading.keys));
      continue;
    }
    at.key += "." + member.key;
    option->Take(member.value, at);
  }
}

void Section::FinishKey(const Option& option, const Reading& reading) const {
  const bool given = option.origin.layer != Layer::kDefault;
  if (option.applies) {
    const Option& other = At(option.with_key);
    const bool missing = other.required && other.origin.layer == Layer::kDefault;
    if (other.bad || missing) return;  // Nobody knows yet whether the key applies.
    if (given && !option.Applies()) {
      const std::string whole = reading.key + "." + option.with_key;
      reading.problems->push_back({option.origin, Quoted(reading.key + "." + option.key) +
                                                      " means nothing with " + whole + " = " +
                                                      other.show() + "; remove it or set " + whole +
                                                      " = " + option.with_value});
    }
  }
  const bool wanted = option.MustBeGiven();
  if (wanted && !given && option.Applies()) {
    reading.Fail(Quoted(reading.key + "." + option.key) + " is missing: " + option.help);
  }
}

void Section::Finish(const Reading& reading) {
  for (const Option& option : options_) FinishKey(option, reading);
  for (const Rule& rule : rules_) {
    const bool sound = std::none_of(rule.keys.begin(), rule.keys.end(),
                                    [this](const std::string& key) { return At(key).bad; });
    if (!sound) continue;
    std::string words = rule.check();
    if (words.empty()) continue;
    Origin origin = reading.origin;
    for (const std::string& key : rule.keys) {
      const Origin& given = At(key).origin;
      if (given.layer != Layer::kDefault && given.layer >= origin.layer) origin = given;
    }
    reading.problems->push_back({std::move(origin), std::move(words)});
  }
}

Section* Schema::Find(std::string_view name) {
  const auto found = std::find_if(sections_.begin(), sections_.end(),
                                  [name](const Section& one) { return one.name() == name; });
  return found == sections_.end() ? nullptr : &*found;
}

std::vector<std::string> Schema::Names() const {
  std::vector<std::string> names;
  for (const Section& section : sections_) names.push_back(section.name());
  return names;
}

Option* Schema::FindOption(std::string_view whole_key) {
  const size_t dot = whole_key.find('.');
  if (dot == std::string_view::npos) return nullptr;
  Section* section = Find(whole_key.substr(0, dot));
  return section == nullptr ? nullptr : section->Find(whole_key.substr(dot + 1));
}

std::vector<std::string> Schema::Keys() const {
  std::vector<std::string> keys;
  for (const Section& section : sections_) {
    for (const Option& option : section.options()) {
      keys.push_back(section.name() + "." + option.key);
      for (const Option& inner : option.inner) {
        keys.push_back(keys.back().substr(0, section.name().size() + 1 + option.key.size()) +
                       "[]." + inner.key);
      }
    }
  }
  return keys;
}

}  // namespace shardmill::config
