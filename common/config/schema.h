#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config/document.h"

// One declaration a key: from it come reading, default, range, messages, listing and reference
// page.
namespace shardmill::config {

// Where a value came from; a later one wins over an earlier one.
enum class Layer : uint8_t { kDefault, kFile, kEnvironment, kFlag };

struct Origin {
  Layer layer = Layer::kDefault;
  std::string name;  // Of the file or the environment variable.
  Position at;       // In the file.
};

// What is wrong and where, in words that name the key.
struct Problem {
  Origin origin;
  std::string words;
};

// The place a value is read at, and where its problems go.
struct Reading {
  std::string key;  // Whole, as messages name it.
  Origin origin;
  std::vector<Problem>* problems;
  std::span<const std::string> keys;  // All of the file, to guess what a misspelt one meant.

  void Fail(std::string words) const { problems->push_back({origin, std::move(words)}); }
};

// The words about a key that is not there: `nearest` or else a guess among `keys`.
std::string UnknownKey(const std::string& key, std::string nearest,
                       std::span<const std::string> keys);

// One key of a section, as declared.
struct Option {
  std::string key;    // Within its section.
  std::string takes;  // What a value must be, in words.
  std::string range;  // In words; empty where everything goes.
  std::string unit;
  std::string help;
  std::string default_text;  // As TOML.
  bool required = false;
  std::function<bool()> unless;  // Then it is not required after all.
  bool takes_words = false;      // A flag or the environment may leave out the quotes.
  std::vector<Option> inner;     // Of each table in a list of tables.
  std::function<void(const Node&, const Reading&)> read;
  std::function<std::string()> show;  // The present value, as TOML.
  Origin origin;
  bool bad = false;  // Somebody gave a value that cannot be.
  // Where the key means something only while another of its section has one value.
  std::string with_key;
  std::string with_value;  // As TOML.
  std::function<bool()> applies;

  bool Applies() const { return !applies || applies(); }
  bool MustBeGiven() const { return required && !(unless && unless()); }
  void Take(const Node& node, const Reading& reading);
};

struct WholeRule {
  uint64_t at_least = 0;
  uint64_t at_most = std::numeric_limits<int64_t>::max();  // TOML knows no larger number.
  std::string_view unit = {};
};

struct RealRule {
  double above = -std::numeric_limits<double>::infinity();
  double at_least = -std::numeric_limits<double>::infinity();  // Given instead of `above`.
  double at_most = std::numeric_limits<double>::max();
  std::string_view unit = {};
};

struct TextRule {
  std::string_view form;                        // What is accepted, in words.
  bool (*accepts)(std::string_view) = nullptr;  // Everything where there is none.
};

struct DurationRule {
  std::chrono::milliseconds at_least{0};
  std::chrono::milliseconds at_most = std::chrono::hours(24 * 365);
};

struct SizeRule {
  uint64_t at_least = 0;
  uint64_t at_most = uint64_t{1} << 50;
  uint64_t multiple_of = 1;
};

// A value of an enumeration and its word in the job file.
template <class E>
struct Named {
  E value;
  std::string_view name;
};

// The keys of one table of the job file, each bound to a field of an options struct whose present
// value is the default. Owned by a Schema for one load; the fields must outlive it. One thread.
// Values from outside never fail an assertion here: what is wrong becomes a Problem.
class Section final {
 public:
  using Check = std::function<std::string()>;

  explicit Section(std::string name, std::string help = "")
      : name_(std::move(name)), help_(std::move(help)) {}
  Section(const Section&) = delete;  // Checks and options refer to each other by address.
  Section& operator=(const Section&) = delete;

  void Flag(std::string_view key, bool* field, std::string_view help);
  void Number(std::string_view key, uint32_t* field, WholeRule rule, std::string_view help);
  void Number(std::string_view key, uint64_t* field, WholeRule rule, std::string_view help);
  void Number(std::string_view key, double* field, RealRule rule, std::string_view help);
  // Of a table in a list: none where nobody gave it.
  void Number(std::string_view key, std::optional<double>* field, RealRule rule,
              std::string_view help);
  void Text(std::string_view key, std::string* field, TextRule rule, std::string_view help);
  void Duration(std::string_view key, std::chrono::milliseconds* field, DurationRule rule,
                std::string_view help);
  void Size(std::string_view key, uint64_t* field, SizeRule rule, std::string_view help);
  // One of several words, or a list of them, each at most once.
  void Choice(std::string_view key, std::string* field, std::vector<std::string> words,
              std::string_view help);
  // One of several words, or any text that `other` accepts.
  void ChoiceOr(std::string_view key, std::string* field, std::vector<std::string> words,
                TextRule other, std::string_view help);
  void Choices(std::string_view key, std::vector<std::string>* field,
               std::vector<std::string> words, std::string_view help);

  // One text or a list of them.
  void Texts(std::string_view key, std::vector<std::string>* field, TextRule rule,
             std::string_view help);
  // A list of numbers, each within the rule's bounds.
  void Numbers(std::string_view key, std::vector<double>* field, RealRule rule,
               std::string_view help);

  template <class E, size_t kCount>
  void Choice(std::string_view key, E* field, const std::array<Named<E>, kCount>& names,
              std::string_view help) {
    std::vector<std::string> words;
    for (const Named<E>& named : names) words.emplace_back(named.name);
    AddChoice(
        key, std::move(words), help, [field, names](size_t i) { *field = names[i].value; },
        [field, names] {
          size_t i = 0;
          while (i + 1 < kCount && names[i].value != *field) ++i;
          return i;
        });
  }

  // One table or a list of them. T declares its own keys: void
  // Declare(Section&).
  template <class T>
  void Tables(std::string_view key, std::vector<T>* field, std::string_view help) {
    T example;
    Section inner{std::string(key)};
    example.Declare(inner);
    AddTables(
        key, inner, help,
        [field](size_t i, const std::function<void(Section&)>& visit) {
          if (i >= field->size()) field->resize(i + 1);
          Section section{""};
          (*field)[i].Declare(section);
          visit(section);
        },
        [field] { return field->size(); }, [field] { field->clear(); });
  }

  // Somebody must give the key, which is declared already, a value; not where `unless` says so.
  void Demand(std::string_view key, std::function<bool()> unless = nullptr);

  // The key means something only while `other` has `value`: giving it then is an error, and it need
  // not be given then even where it is demanded.
  void OnlyWith(std::string_view key, std::string_view other, std::string_view value,
                std::function<bool()> applies);

  // A rule over several keys, asked once each of them is good by itself. Its words, where there are
  // any, are reported at the place of the last of `keys` that somebody gave.
  void Require(std::vector<std::string> keys, Check check);

  const std::string& name() const { return name_; }
  const std::string& help() const { return help_; }
  const std::vector<Option>& options() const { return options_; }
  Option* Find(std::string_view key);

  // Reads what the table has; `reading.key` is this section's whole name.
  void Read(const Node& table, const Reading& reading);
  // Once every layer is read: keys that nobody gave or that mean nothing, and the rules.
  void Finish(const Reading& reading);

 private:
  struct Rule {
    std::vector<std::string> keys;
    Check check;
  };
  using VisitItem = std::function<void(size_t, const std::function<void(Section&)>&)>;

  Option& Add(std::string_view key, std::string_view help);
  void AddWhole(std::string_view key, const WholeRule& rule, std::string_view help,
                std::function<void(uint64_t)> set, std::function<uint64_t()> get);
  void AddReal(std::string_view key, RealRule rule, std::string_view help,
               std::function<void(double)> set, std::function<std::string()> show);
  void AddChoice(std::string_view key, std::vector<std::string> words, std::string_view help,
                 std::function<void(size_t)> set, std::function<size_t()> get);
  void AddTables(std::string_view key, const Section& inner, std::string_view help,
                 VisitItem visit_item, std::function<size_t()> count, std::function<void()> clear);
  const Option& At(std::string_view key) const;
  void FinishKey(const Option& option, const Reading& reading) const;

  std::string name_;
  std::string help_;
  std::vector<Option> options_;
  std::vector<Rule> rules_;
};

// All sections of a file. Made for one load by whoever owns the options structs. One thread.
class Schema final {
 public:
  Section& Add(std::string name, std::string help) {
    return sections_.emplace_back(std::move(name), std::move(help));
  }
  std::deque<Section>& sections() { return sections_; }
  const std::deque<Section>& sections() const { return sections_; }
  Section* Find(std::string_view name);
  std::vector<std::string> Names() const;          // Of the sections.
  Option* FindOption(std::string_view whole_key);  // As "section.key".

  // Every key as "section.key", and "section.key[].inner" for what stands in a list of tables.
  std::vector<std::string> Keys() const;

 private:
  std::deque<Section> sections_;
};

}  // namespace shardmill::config
