#include "worker/data/r_reader.h"

#include <cmath>
#include <limits>
#include <vector>

namespace shardmill {
namespace {

Error Bad(const std::string& path, const std::string& what) {
  return {ErrorCode::kBadInput, path + ": " + what};
}

bool IsFrame(const RValue& value) {
  const RValue* names = value.Attribute("names");
  return value.kind == RValue::Kind::kList && names != nullptr && !value.items.empty() &&
         names->texts.size() == value.items.size();
}

// One column of a data frame: numbers, or words.
class FrameColumn final {
 public:
  explicit FrameColumn(const RValue& value) : value_(value) {
    const RValue* levels = value.Attribute("levels");
    if (value.kind == RValue::Kind::kWholes && levels != nullptr) levels_ = &levels->texts;
  }

  const std::vector<std::string>* levels() const { return levels_; }
  bool numeric() const { return !words() && value_.kind != RValue::Kind::kOther; }
  uint64_t rows() const {
    return value_.wholes.size() + value_.numbers.size() + value_.texts.size();
  }

  bool Put(TableColumns& table, size_t field, uint64_t index, Row& row, std::string& said) const {
    if (words()) return table.PutText(field, Word(index), row, said);
    const double number = value_.kind == RValue::Kind::kNumbers ? value_.numbers[index]
                                                                : Number(value_.wholes[index]);
    if (!table.IsWord(field)) return table.PutNumber(field, number, row, said);
    constexpr double kWholeMax = 1e15;
    const bool whole = std::abs(number) < kWholeMax && number == std::floor(number);
    return table.PutText(
        field, whole ? std::to_string(static_cast<int64_t>(number)) : std::to_string(number), row,
        said);
  }

 private:
  bool words() const { return levels_ != nullptr || value_.kind == RValue::Kind::kTexts; }

  static double Number(int32_t whole) {
    return whole == kMissingWhole ? std::numeric_limits<double>::quiet_NaN() : whole;
  }

  std::string_view Word(uint64_t index) const {
    if (levels_ == nullptr) return value_.texts[index];
    const int32_t code = value_.wholes[index];
    return code >= 1 && static_cast<size_t>(code) <= levels_->size()
               ? std::string_view((*levels_)[static_cast<size_t>(code) - 1])
               : "NA";
  }

  const RValue& value_;
  const std::vector<std::string>* levels_ = nullptr;
};

}  // namespace

Result<> TakeRFrame(const std::string& path, const RValue& frame, TableColumns& table,
                    RowSink& sink) {
  if (!IsFrame(frame)) return Bad(path, "its object is no data frame");
  const std::vector<std::string>& names = frame.Attribute("names")->texts;
  std::vector<FrameColumn> columns;
  std::vector<bool> numeric;
  for (size_t i = 0; i < names.size(); ++i) {
    const FrameColumn& column = columns.emplace_back(frame.items[i]);
    numeric.push_back(column.numeric());
    if (column.rows() != columns[0].rows()) return Bad(path, "its columns are not equally long");
    if (names[i] == table.label() && column.levels() != nullptr)
      table.LearnClasses(*column.levels());
  }
  SM_TRY(table.Bind(path, names, numeric));
  SM_TRY(sink.Begin(table.columns()));
  Row row = MakeRow(table.columns());
  std::string words;
  for (uint64_t index = 0; index < columns[0].rows(); ++index) {
    const RowPlace place{path, index + 1};
    bool good = true;
    for (const size_t i : table.order()) {
      good = good && columns[i].Put(table, i, index, row, words);
    }
    SM_TRY(good ? sink.Take(row, place) : sink.TakeBad(place, words));
  }
  return {};
}

Result<> ReadRFrame(const std::string& path, const std::string& object, TableColumns& table,
                    RowSink& sink) {
  auto objects = SM_TRY(ReadRObjects(path, object));
  std::erase_if(objects, [](const auto& item) { return !IsFrame(item.value); });
  if (objects.size() == 1) return TakeRFrame(path, objects[0].value, table, sink);
  std::string names;
  for (const auto& [name, value] : objects) names += (names.empty() ? "" : ", ") + name;
  return Error{ErrorCode::kBadUsage, path + ": " +
                                         (objects.empty() ? "it has no data frame"
                                                          : "it has several data frames: " + names +
                                                                "; name one in data.object")};
}

}  // namespace shardmill
