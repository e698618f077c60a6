#include "cli/config_command.h"

#include <ostream>
#include <string>

#include "common/config/print.h"
#include "common/job/job.h"

namespace shardmill {
namespace {

// A job whose model is a program of the user's own is whole without; see CheckTrainable.
std::string MissingForTrain(const JobOptions& job) {
  if (CheckTrainable(job).ok()) return "";
  std::string keys = job.data.folder.empty() ? "data.folder" : "";
  if (job.model.layers.empty()) keys += keys.empty() ? "model.layers" : " and model.layers";
  return " for a program of your own; shardmill train still needs " + keys;
}

}  // namespace

Result<> RunConfigCheck(const ConfigCheckFlags& flags, const Console& console) {
  const Job job = SM_TRY(LoadJob(flags.job.file, {flags.job.sets, console.environment}));
  console.out << flags.job.file << ": good" << MissingForTrain(job.options) << "\n" << std::flush;
  return {};
}

Result<> RunConfigPrint(const ConfigPrintFlags& flags, const Console& console) {
  const Job job = SM_TRY(LoadJob(flags.job.file, {flags.job.sets, console.environment}));
  console.out << config::PrintToml(job.listing, flags.origin) << std::flush;
  return {};
}

}  // namespace shardmill
