#include "worker/data/read_data.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "common/assert.h"
#include "common/config/text.h"
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

Result<std::vector<PartPlan>> PlanParts(const DataOptions& options) {
  std::vector<PartPlan> plan;
  for (const PartName name : {kTrain, kValidate, kTest}) {
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
    if (!files.ok() && patterns == std::vector<std::string>{kMovieLensFile}) {
      return Error{
          files.error().code,
          files.error().message + "; it comes with a package: apt-get install r-cran-dslabs"};
    }
    if (!files.ok()) {
      return Error{files.error().code, files.error().message + " (data." + kPartKeys[name] + ")"};
    }
    plan.push_back({name, std::move(files).value(), share});
  }
  return plan;
}

// All that rows depend on beside the files.
std::string Describe(const DataOptions& options, uint64_t seed, LabelColumn label_column) {
  std::string text = "shardmill rows\nformat " + std::string(NameOf(options.format)) + "\n";
  const auto add = [&text](const char* key, const std::string& value) {
    text += std::string(key) + ' ' + config::QuoteText(value) + '\n';
  };
  const TableChoice table = TableChoiceOf(options, label_column);
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
  return text;
}

Result<RowCache> MakeCache(const DataOptions& options, uint64_t seed, LabelColumn label_column,
                           const std::vector<PartPlan>& plan) {
  if (options.cache.empty()) return RowCache("", std::vector<RowCache::Part>(plan.size()));
  // Words and columns are learnt in training, so every part is made of its files too.
  std::vector<RowCache::Part> parts;
  for (const PartPlan& part : plan) {
    std::string family =
        Describe(options, seed, label_column) + "part " + kPartKeys[part.name] + '\n';
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
  FileReader(const DataOptions& options, LabelColumn label_column, PartSink& sink)
      : options_(options), sink_(sink), table_(TableChoiceOf(options, label_column)) {}

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
                                                            uint64_t seed, LabelColumn label_column,
                                                            const std::vector<PartPlan>& plan,
                                                            PartSink& sink) {
  FileReader reader(options, label_column, sink);
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

Result<DataParts> PartsOf(const std::vector<PartPlan>& plan,
                          std::vector<std::unique_ptr<SampleStore>> stores) {
  for (const auto& store : stores) {
    for (const auto& other : stores) {
      for (size_t i = 0; i < store->columns().size(); ++i) {
        store->RaiseIdsEnd(i, other->columns()[i]);
      }
    }
  }
  DataParts parts;
  for (size_t i = 0; i < plan.size(); ++i) {
    if (stores[i]->rows() == 0) {
      return Error{
          ErrorCode::kBadInput,
          std::string("there are no rows to ") + kPartKeys[plan[i].name] + " with" +
              (plan[i].files.empty() ? " (data.split)" : ": " + plan[i].files[0] + " has none")};
    }
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
                           const std::function<bool()>& stopped, LabelColumn label_column) {
  const std::vector<PartPlan> plan = SM_TRY(PlanParts(options));
  RowCache cache = SM_TRY(MakeCache(options, seed, label_column, plan));
  std::vector<std::string> notes;
  std::vector<std::unique_ptr<SampleStore>> stores;
  if (cache.enabled()) stores = SM_TRY(cache.Open(notes));
  PartSink sink({plan.size(), options.memory, options.bad_rows_max, stopped}, cache);
  if (stores.empty()) {
    Result<std::vector<std::unique_ptr<SampleStore>>> read =
        ReadFiles(options, seed, label_column, plan, sink);
    if (!read.ok() && sink.found().empty()) {
      return Told(options, std::move(read).error());
    }
    stores = read.ok() ? std::move(read).value() : std::move(sink.found());
  }
  DataParts parts = SM_TRY(PartsOf(plan, std::move(stores)));
  parts.bad_rows = sink.bad_rows().count();
  parts.notes = std::move(notes);
  for (const std::string& words : sink.notes()) parts.notes.push_back(words);
  for (const std::string& words : sink.bad_rows().words()) {
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
