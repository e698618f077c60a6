#include "common/config/print.h"

#include <algorithm>
#include <vector>

namespace shardmill::config {
namespace {

constexpr size_t kCommentColumnMax = 48;  // A longer value does not push all comments aside.

std::string SectionOf(const std::string& key) { return key.substr(0, key.find('.')); }
std::string NameOf(const std::string& key) { return key.substr(key.find('.') + 1); }

// A bar would end the cell of a Markdown table.
std::string Cell(const std::string& text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|') cell += '\\';
    cell += c;
  }
  return cell;
}

std::string ReferenceRow(const Option& option, const std::string& prefix) {
  std::string takes = option.range.empty() ? option.takes : option.range;
  if (!option.unit.empty()) takes += " (" + option.unit + ")";
  const std::string otherwise = option.required               ? "must be given"
                                : option.default_text.empty() ? "none"
                                                              : "`" + option.default_text + "`";
  const std::string with =
      option.with_key.empty() ? ""
                              : " Only with `" + option.with_key + " = " + option.with_value + "`.";
  std::string row = "| `" + prefix + option.key + "` | " + Cell(takes) + " | " + Cell(otherwise) +
                    " | " + Cell(option.help + with) + " |\n";
  for (const Option& inner : option.inner) row += ReferenceRow(inner, option.key + "[].");
  return row;
}

}  // namespace

std::string PrintToml(const Listing& listing, bool with_origins) {
  size_t width = 0;
  for (const Effective& one : listing) {
    const size_t size = NameOf(one.key).size() + one.value.size();
    if (size <= kCommentColumnMax) width = std::max(width, size);
  }
  std::string text;
  std::string section;
  for (const Effective& one : listing) {
    if (SectionOf(one.key) != section) {
      text += section.empty() ? "" : "\n";
      section = SectionOf(one.key);
      text += "[" + section + "]\n";
    }
    const std::string name = NameOf(one.key);
    text += name + " = " + one.value;
    if (with_origins) {
      const size_t size = name.size() + one.value.size();
      text += std::string(width > size ? width - size : 0, ' ') + "  # " + one.origin;
    }
    text += "\n";
  }
  return text;
}

std::string PrintReference(const Schema& schema, std::string_view introduction) {
  std::string page(introduction);
  for (const Section& section : schema.sections()) {
    page += "\n## [" + section.name() + "]\n\n" + section.help() + "\n\n";
    page += "| Key | Takes | Default | Meaning |\n| --- | --- | --- | --- |\n";
    for (const Option& option : section.options()) page += ReferenceRow(option, "");
  }
  return page;
}

}  // namespace shardmill::config
