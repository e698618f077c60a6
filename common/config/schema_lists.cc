// Keys of a section that take lists of any texts or numbers.
#include <utility>

#include "common/config/schema.h"
#include "common/config/text.h"

namespace shardmill::config {
namespace {

std::string Quoted(std::string_view text) { return '"' + std::string(text) + '"'; }

template <class T, class Show>
std::string Listed(const std::vector<T>& values, const Show& show) {
  std::string list = "[";
  for (const T& value : values) list += (list.size() == 1 ? "" : ", ") + show(value);
  return list + "]";
}

// Where the i-th item of a list is read.
Reading ItemAt(const Reading& reading, const Node& item, size_t i) {
  Reading at = reading;
  at.key += "[" + std::to_string(i) + "]";
  at.origin.at = item.at;
  return at;
}

}  // namespace

void Section::Texts(std::string_view key, std::vector<std::string>* field, TextRule rule,
                    std::string_view help) {
  Option& option = Add(key, help);
  option.takes = "text or a list of text";
  option.range = "one or a list: " + std::string(rule.form);
  option.takes_words = true;
  option.show = [field] { return Listed(*field, QuoteText); };
  option.read = [field, rule, option](const Node& node, const Reading& reading) {
    std::vector<Node> items;
    if (node.kind == Kind::kText) {
      // A flag or the environment gives a list as its text.
      Result<Node> list = node.text.starts_with('[') ? ParseValue(node.text) : Result<Node>(node);
      const bool is_list = list.ok() && list->kind == Kind::kList;
      items = is_list ? std::move(list->items) : std::vector<Node>{node};
    } else if (node.kind == Kind::kList) {
      items = node.items;
    } else {
      return reading.Fail(Quoted(reading.key) + " must be " + option.takes + ", not " +
                          std::string(KindWords(node.kind)));
    }
    field->clear();
    for (size_t i = 0; i < items.size(); ++i) {
      const Reading at = ItemAt(reading, items[i], i);
      if (items[i].kind != Kind::kText) {
        at.Fail(Quoted(at.key) + " must be text, not " + std::string(KindWords(items[i].kind)));
      } else if (rule.accepts != nullptr && !rule.accepts(items[i].text)) {
        at.Fail(Quoted(at.key) + " is " + QuoteForMessage(items[i].text) + "; it must be " +
                std::string(rule.form));
      } else {
        field->push_back(items[i].text);
      }
    }
  };
  option.default_text = option.show();
}

void Section::Numbers(std::string_view key, std::vector<double>* field, RealRule rule,
                      std::string_view help) {
  Option& option = Add(key, help);
  option.takes = "a list of numbers";
  option.range = "a list of numbers, each from " + FormatReal(rule.at_least) + " to " +
                 FormatReal(rule.at_most);
  option.show = [field] { return Listed(*field, FormatReal); };
  option.read = [field, rule, option](const Node& node, const Reading& reading) {
    if (node.kind != Kind::kList) {
      return reading.Fail(Quoted(reading.key) + " must be " + option.takes + ", not " +
                          std::string(KindWords(node.kind)));
    }
    field->clear();
    for (size_t i = 0; i < node.items.size(); ++i) {
      const Node& item = node.items[i];
      const Reading at = ItemAt(reading, item, i);
      const bool whole = item.kind == Kind::kWhole;
      if (!whole && item.kind != Kind::kReal) {
        at.Fail(Quoted(at.key) + " must be a number, not " + std::string(KindWords(item.kind)));
        continue;
      }
      const double value = whole ? static_cast<double>(item.whole) : item.real;
      if (value >= rule.at_least && value <= rule.at_most) {
        field->push_back(value);
      } else {
        at.Fail(Quoted(at.key) + " is " + FormatReal(value) + "; it must be from " +
                FormatReal(rule.at_least) + " to " + FormatReal(rule.at_most));
      }
    }
  };
  option.default_text = option.show();
}

}  // namespace shardmill::config
