#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/job/job.h"
#include "common/result.h"
#include "worker/data/dictionary.h"
#include "worker/data/row.h"

namespace shardmill {

// Which columns of a table are learnt from, and how.
struct TableChoice {
  std::string label = {};
  TargetKind target = TargetKind::kClass;
  std::vector<std::string> features = {};  // Empty: all others, if `others`.
  bool others = true;
  std::vector<std::string> categories = {};  // The label too, where words are its classes.
  bool needs_label = true;                   // Of files after the first; else zeros stand for it.
};

// Turns the fields of a table's rows, numbers or words, into the cells of a row. It keeps what it
// has learnt, which columns and which words, from one file to the next, so that all parts of a data
// set mean the same. Owned by a reader, on its thread. Wrong files and fields are outcomes.
class TableColumns final {
 public:
  explicit TableColumns(TableChoice options);

  // For a table with these columns, of which `numeric` may become features by themselves. An error
  // says which is missing, and which there are.
  Result<> Bind(const std::string& path, std::span<const std::string> names,
                const std::vector<bool>& numeric);
  // Makes the label's classes these words, where it has none yet.
  void LearnClasses(const std::vector<std::string>& words);
  // Takes up what was learnt when these columns were made, and learns nothing more.
  void Learn(const Columns& columns);
  // Words that come now are not learnt any more.
  void Close();

  const std::string& label() const { return options_.label; }
  // As last bound. The numbers, if there are any, then the categories, then the label.
  const Columns& columns() const { return columns_; }
  // What each column's ids stand for by now; empty for most.
  std::vector<std::vector<std::string>> Words() const;

  // The fields of the table that are learnt from, in the order in which they are to be put: those
  // that teach words come last, so that a bad row has taught none.
  std::span<const size_t> order() const { return order_; }
  bool IsWord(size_t field) const { return slots_[field].dictionary != kNone; }

  // Puts a field of the table into the row. False, with words, where it cannot be what is wanted.
  bool PutText(size_t field, std::string_view text, Row& row, std::string& words);
  bool PutNumber(size_t field, double number, Row& row, std::string& words);

 private:
  enum class SlotKind : uint8_t { kNone, kFeature, kCategory, kLabel };
  static constexpr size_t kNone = SIZE_MAX;

  // Where a field goes.
  struct Slot {
    SlotKind kind = SlotKind::kNone;
    size_t cell = 0;
    size_t place = 0;           // In the cell.
    size_t dictionary = kNone;  // Of words.
  };

  Result<size_t> Find(const std::string& path, const std::string& key,
                      const std::string& name) const;
  bool Wanted(size_t field, const char* what, std::string_view found, std::string& words) const;
  void MakeColumns();
  void MakeOrder();

  TableChoice options_;
  bool bound_ = false;
  std::optional<size_t> label_dictionary_;
  std::vector<Dictionary> dictionaries_;  // Of the categories, and of the label last.
  std::vector<Slot> slots_;               // Of each field of the table.
  std::vector<size_t> order_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, size_t> places_;  // Of a name, the first field that has it.
  Columns columns_;
};

}  // namespace shardmill
