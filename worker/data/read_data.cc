#include "worker/data/read_data.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <optional>
#include <utility>

#include "common/assert.h"
#include "common/config/text.h"
#include "common/json/json.h"
#include "worker/data/columns_json.h"
#include "worker/data/criteo_reader.h"
#include "worker/data/csv_reader.h"
#include "worker/data/file_list.h"
#include "worker/data/idx_reader.h"
#include "worker/data/libsvm_reader.h"
#include "worker/data/line_source.h"
#include "worker/data/part_sink.h"
#include "worker/data/r_reader.h"
#include "worker/data/row_cache.h"
#include "worker/data/table_columns.h"

namespace shardmill {
namespace {

enum PartName : size_t { kTrain, kValidate, kTest, kPartNames };
constexpr const char* kPartKeys[kPartNames] = {"train", "validate", "test"};

// A part of the data set, the files that it is read from, and its share of the training files'
// rows: one of the two, but for what is trained with where there is a split.
struct PartPlan {
  PartName name = kTrain;
  std::vector<std::string> files;
  double share = 0;
};

TableChoice TableChoiceOf(const DataOptions& options, LabelColumn label_column) {
  if (options.format == DataFormat::kMovieLens) {
    return {.label = "rating",
            .target = TargetKind::kValue,
            .features = {},
            .others = false,
            .categories = {"userId", "movieId"}};
  }
  return {.label = options.label,
          .target = options.target,
          .features = options.features,
          .others = true,
          .categories = options.categories,
          .needs_label = label_column == LabelColumn::kNeeded};
}

std::vector<std::string> PatternsOf(const DataOptions& options, PartName part) {
  if (part == kValidate) return options.validate;
  if (part == kTest) return options.test;
  const bool movielens = options.format == DataFormat::kMovieLens && options.train.empty();
  return movielens ? std::vector<std::string>{kMovieLensFile} : options.train;
}

// Debian has R's data sets in packages that are called as their folder is.
std::string PackageHint(const std::vector<std::string>& patterns) {
  constexpr std::string_view kFolder = "/usr/lib/R/site-library/";
  for (const std::string& pattern : patterns) {
    if (!pattern.starts_with(kFolder)) continue;
    std::string package = pattern.substr(kFolder.size());
    package.resize(std::min(package.find('/'), package.size()));
    std::ranges::transform(package, package.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return "; it comes with a package: apt-get install r-cran-" + package;
  }
  return "";
}

// The one part that has to be read, where one will do: it has files of its own, and nothing is
// learnt of others.
std::optional<PartName> OnlyPart(const DataOptions& options, const DataWish& wish) {
  if (wish.columns.empty()) return {};
  const bool idx = options.format == DataFormat::kIdx;
  const bool tests = idx || !options.test.empty() || options.Share(kTest) > 0;
  PartName part = tests ? kTest : options.validates() ? kValidate : kTrain;
  for (const PartName name : {kTrain, kValidate, kTest}) {
    if (wish.part == kPartKeys[name]) part = name;
  }
  const bool own = idx ? part != kValidate : !PatternsOf(options, part).empty();
  if (!own || options.Share(part) > 0) return {};
  return part;
}

Result<std::vector<PartPlan>> PlanParts(const DataOptions& options,
                                        std::optional<PartName> only = {}) {
  std::vector<PartPlan> plan;
  for (const PartName name : {kTrain, kValidate, kTest}) {
    if (only && name != *only) continue;
    const double share = options.Share(name);
    if (options.format == DataFormat::kIdx) {
      const IdxPaths paths =
          IdxFilesOf(options.folder, name == kTrain ? DataPart::kTrain : DataPart::kTest);
      if (name != kValidate) plan.push_back({name, {paths.images, paths.labels}, share});
      if (name == kValidate && share > 0) plan.push_back({name, {}, share});
      continue;
    }
    const std::vector<std::string> patterns = PatternsOf(options, name);
    if (patterns.empty() && share == 0) continue;
    Result<std::vector<std::string>> files = ListFiles(patterns);
    if (!files.ok()) {
      return Error{files.error().code, files.error().message + " (data." + kPartKeys[name] + ")" +
                                           PackageHint(patterns)};
    }
    plan.push_back({name, std::move(files).value(), share});
  }
  return plan;
}

// All that rows depend on beside the files.
std::string Describe(const DataOptions& options, uint64_t seed, const DataWish& wish) {
  std::string text = "shardmill rows 2\nformat " + std::string(NameOf(options.format)) + "\n";
  const auto add = [&text](const char* key, const std::string& value) {
    text += std::string(key) + ' ' + config::QuoteText(value) + '\n';
  };
  const TableChoice table = TableChoiceOf(options, wish.label_column);
  add("header", options.header ? "yes" : "no");
  add("separator", options.separator);
  add("label", table.label);
  if (!table.needs_label) add("labels", "optional");
  add("target", table.target == TargetKind::kClass ? "class" : "value");
  for (const std::string& name : table.features) add("feature", name);
  for (const std::string& name : table.categories) add("category", name);
  add("object", options.object);
  add("buckets", std::to_string(options.buckets));
  add("bad_rows_max", std::to_string(options.bad_rows_max));
  for (const double share : options.split) add("share", config::FormatReal(share));
  if (!options.split.empty()) add("seed", std::to_string(seed));
  if (!wish.columns.empty()) {
    JsonWriter json;
    WriteColumns(wish.columns, json);
    add("columns", json.Take());
  }
  return text;
}

Result<RowCache> MakeCache(const DataOptions& options, uint64_t seed, const DataWish& wish,
                           const std::vector<PartPlan>& plan) {
  if (options.cache.empty()) return RowCache("", std::vector<RowCache::Part>(plan.size()));
  // Words and columns are learnt in training, so every part is made of its files too.
  std::vector<RowCache::Part> parts;
  for (const PartPlan& part : plan) {
    std::string family = Describe(options, seed, wish) + "part " + kPartKeys[part.name] + '\n';
    for (const std::string& path : plan[0].files) family += path + '\n';
    for (const std::string& path : part.files) family += path + '\n';
    const std::string train_stamp = SM_TRY(StampOf(plan[0].files));
    const std::string stamp = SM_TRY(StampOf(part.files));
    std::string made_of = family + train_stamp + stamp;
    parts.push_back({std::move(family), std::move(made_of)});
  }
  return RowCache(options.cache, std::move(parts));
}

// Reads the files of parts by the format's reader. Lives for one call of ReadData.
class FileReader final {
 public:
  FileReader(const DataOptions& options, const DataWish& wish, PartSink& sink)
      : options_(options), sink_(sink), table_(TableChoiceOf(options, wish.label_column)) {
    if (!wish.columns.empty()) table_.Learn(wish.columns);
  }

  Result<> Read(const PartPlan& part) {
    if (options_.format == DataFormat::kIdx) {
      return ReadIdx({part.files[0], part.files[1]}, sink_);
    }
    for (const std::string& path : part.files) SM_TRY(ReadFile(path));
    table_.Close();
    return {};
  }

  void TellWords() {
    if (IsTable()) sink_.SetWords(table_.Words());
  }

 private:
  bool IsTable() const {
    return options_.format == DataFormat::kCsv || options_.format == DataFormat::kRData ||
           options_.format == DataFormat::kMovieLens;
  }

  Result<> ReadFile(const std::string& path) {
    if (options_.format == DataFormat::kMovieLens) {
      return ReadRFrame(path, kMovieLensObject, table_, sink_);
    }
    if (options_.format == DataFormat::kRData) {
      return ReadRFrame(path, options_.object, table_, sink_);
    }
    LineSource lines = SM_TRY(LineSource::Open(path));
    if (options_.format == DataFormat::kCsv) {
      return ReadCsv(lines, {options_.separator[0], options_.header}, table_, sink_);
    }
    if (options_.format == DataFormat::kLibsvm) return ReadLines(lines, libsvm_, sink_);
    SM_ASSERT(options_.format == DataFormat::kCriteoTsv);
    return ReadLines(lines, criteo_, sink_);
  }

  const DataOptions& options_;
  PartSink& sink_;
  TableColumns table_;
  LibsvmParser libsvm_{options_.target};
  CriteoParser criteo_{options_.buckets};
};

Result<std::vector<std::unique_ptr<SampleStore>>> ReadFiles(const DataOptions& options,
                                                            uint64_t seed, const DataWish& wish,
                                                            const std::vector<PartPlan>& plan,
                                                            PartSink& sink) {
  FileReader reader(options, wish, sink);
  for (size_t i = 0; i < plan.size(); ++i) {
    if (plan[i].files.empty()) continue;
    sink.Fill(i);
    if (plan[i].share > 0) {
      std::vector<double> shares;
      for (const PartPlan& part : plan) shares.push_back(part.share);
      sink.Deal(RowSplit(std::move(shares), seed));
    }
    SM_TRY(reader.Read(plan[i]));
  }
  reader.TellWords();
  return sink.Finish();
}

std::string InputsOf(const Columns& columns) {
  std::string words;
  for (size_t i = 0; i + 1 < columns.size(); ++i) {
    const Column& column = columns[i];
    words += (i == 0 ? "" : ", ") + config::QuoteForMessage(column.name);
    for (size_t field = 0; field < column.fields.size(); ++field) {
      words += (field == 0 ? " (" : ", ") + column.fields[field];
    }
    words += !column.fields.empty()               ? ")"
             : column.kind == ColumnKind::kFloats ? " of " + std::to_string(column.row_size())
                                                  : "";
  }
  return words;
}

// Words where rows are none that a model with these columns can read.
Result<> CheckColumns(const Columns& model, const Columns& data) {
  const auto same = [](const Column& a, const Column& b) {
    return a.name == b.name && a.kind == b.kind && a.row_shape == b.row_shape &&
           a.fields == b.fields;
  };
  if (std::ranges::equal(std::span(model).first(model.size() - 1),
                         std::span(data).first(data.size() - 1), same)) {
    return {};
  }
  return Error{ErrorCode::kBadUsage, "the model was trained with the inputs " + InputsOf(model) +
                                         ", and the data have " + InputsOf(data)};
}

// Why a part has no rows.
std::string NoRowsWords(const PartPlan& part, const std::string& file, uint64_t dealt) {
  return std::string("there are no rows to ") + kPartKeys[part.name] + " with: " +
         (part.share > 0 && dealt > 0
              ? "data.split deals all " + std::to_string(dealt) + " rows to other parts"
              : file + " has none");
}

Result<DataParts> PartsOf(const std::vector<PartPlan>& plan, const Columns& known,
                          std::vector<std::unique_ptr<SampleStore>> stores) {
  if (!known.empty()) SM_TRY(CheckColumns(known, stores[0]->columns()));
  for (const auto& store : stores) {
    for (const auto& other : stores) {
      for (size_t i = 0; i < store->columns().size(); ++i) {
        store->RaiseIdsEnd(i, other->columns()[i]);
      }
    }
    for (size_t i = 0; i < known.size(); ++i) store->RaiseIdsEnd(i, known[i]);
  }
  uint64_t dealt = 0;
  for (size_t i = 0; i < plan.size(); ++i) dealt += plan[i].share > 0 ? stores[i]->rows() : 0;
  DataParts parts;
  for (size_t i = 0; i < plan.size(); ++i) {
    if (stores[i]->rows() == 0) {
      const std::string& file = plan[plan[i].files.empty() ? 0 : i].files[0];
      return Error{ErrorCode::kBadInput, NoRowsWords(plan[i], file, dealt)};
    }
    parts.bad_rows = stores[i]->bad_rows();
    std::shared_ptr<const SampleStore> store = std::move(stores[i]);
    if (plan[i].name == kTrain) parts.train = std::move(store);
    if (plan[i].name == kValidate) parts.validate = std::move(store);
    if (plan[i].name == kTest) parts.test = std::move(store);
  }
  return parts;
}

// As the caller shall hear of it: what is wrong with a file is so again for who starts again.
Error Told(const DataOptions& options, Error error) {
  if (error.code == ErrorCode::kBadInput) error.code = ErrorCode::kBadUsage;
  if (error.code == ErrorCode::kUnavailable && options.format == DataFormat::kIdx) {
    error.message += "; " + MissingDataHint(options.folder);
  }
  return error;
}

}  // namespace

Result<DataParts> ReadData(const DataOptions& options, uint64_t seed,
                           const std::function<bool()>& stopped, const DataWish& wish) {
  const std::vector<PartPlan> plan = SM_TRY(PlanParts(options, OnlyPart(options, wish)));
  RowCache cache = SM_TRY(MakeCache(options, seed, wish, plan));
  std::vector<std::string> notes;
  std::vector<std::unique_ptr<SampleStore>> stores;
  if (cache.enabled()) stores = SM_TRY(cache.Open(notes));
  PartSink sink({plan.size(), options.memory, options.bad_rows_max, stopped}, cache);
  if (stores.empty()) {
    Result<std::vector<std::unique_ptr<SampleStore>>> read =
        ReadFiles(options, seed, wish, plan, sink);
    if (!read.ok() && sink.found().empty()) {
      return Told(options, std::move(read).error());
    }
    stores = read.ok() ? std::move(read).value() : std::move(sink.found());
  }
  Result<DataParts> made = PartsOf(plan, wish.columns, std::move(stores));
  if (!made.ok()) return Told(options, std::move(made).error());
  DataParts parts = std::move(made).value();
  parts.notes = std::move(notes);
  for (const std::string& words : sink.notes()) parts.notes.push_back(words);
  parts.left_out = sink.bad_rows().words();
  for (const std::string& words : parts.left_out) {
    parts.notes.push_back("left out: " + words);
  }
  return parts;
}

Result<> CheckDataFiles(const DataOptions& options) {
  if (options.format == DataFormat::kIdx) return CheckIdxFolder(options.folder);
  SM_TRY(PlanParts(options));
  return {};
}

}  // namespace shardmill
