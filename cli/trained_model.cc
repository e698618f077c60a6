#include "cli/trained_model.h"

#include <filesystem>
#include <optional>
#include <utility>

#include "cli/run_folder.h"
#include "common/job/network_keys.h"
#include "worker/job_model.h"
#include "worker/meaning.h"

namespace shardmill {
namespace {

Result<std::string> FindModel(const JobOptions& job, const std::string& named) {
  namespace fs = std::filesystem;
  std::error_code none;
  if (!named.empty()) {
    return fs::is_directory(named, none) ? named + "/" + kModelFile : named;
  }
  std::string file = FindModelFile(job.job.runs, job.job.name);
  if (!file.empty()) return file;
  return Error{ErrorCode::kUnavailable,
               "no run of \"" + job.job.name + "\" under " + job.job.runs +
                   " has a model; train it first, or say with --model where one is"};
}

// What is wrong with a file that somebody has named is so again for who starts again.
template <class T>
Result<T> Named(Result<T> read) {
  if (read.ok() || read.error().code != ErrorCode::kBadInput) return read;
  return Error{ErrorCode::kBadUsage, read.error().message};
}

Result<const SampleStore*> PartOf(const DataParts& data, const std::string& name) {
  if (name.empty()) return data.measured().get();
  const auto& part = name == "train" ? data.train : name == "test" ? data.test : data.validate;
  if (part) return part.get();
  return Error{ErrorCode::kBadUsage,
               "the job has no rows to " + name + " with: see data." + name + " and data.split"};
}

// Of a file that does not list what it was trained with: the job's own data tell what words mean.
Result<> CheckMeaning(const std::string& file, const TrainedWith& with, const Columns& columns,
                      const Console& console) {
  const std::optional<TableSpec> meaning = MeaningTable(columns);
  if (!with.meaning && meaning) {
    console.err << file
                << " does not say which words, columns and classes it was trained with: those of "
                   "the job's data are taken\n";
  }
  if (!with.meaning || (meaning && *with.meaning == meaning->initial.seed)) return {};
  return Error{ErrorCode::kBadUsage, file + ": " + OtherMeaning().message};
}

}  // namespace

Result<TrainedModel> OpenTrainedModel(const JobFlags& job, const std::string& model,
                                      const std::string& part, LabelColumn label_column,
                                      const Console& console) {
  TrainedModel trained;
  Job loaded = SM_TRY(LoadJob(job.file, {job.sets, console.environment}));
  trained.job = std::move(loaded.options);
  SM_TRY(CheckTrainable(trained.job));
  const std::string file = SM_TRY(FindModel(trained.job, model));
  const TrainedWith with = SM_TRY(Named(ReadTrainedWith(file)));
  SM_TRY(CheckNetwork(file, with.network, NetworkOf(trained.job)));
  const DataWish wish{.label_column = label_column, .columns = with.columns, .part = part};
  trained.data = SM_TRY(ReadData(trained.job.data, trained.job.job.seed, nullptr, wish));
  for (const std::string& note : trained.data.notes) console.err << note << "\n";
  trained.rows = SM_TRY(PartOf(trained.data, part));
  if (with.columns.empty()) SM_TRY(CheckMeaning(file, with, trained.rows->columns(), console));
  trained.network = SM_TRY(MakeJobModel(trained.job, *trained.rows));
  trained.parameters = SM_TRY(Named(ModelFile::Open(file, trained.network->Parameters())));
  console.err << "model of " << file << "\n" << std::flush;
  return trained;
}

}  // namespace shardmill
