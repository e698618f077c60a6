#include "cli/config_command.h"

#include <ostream>

#include "common/config/print.h"
#include "common/job/job.h"

namespace shardmill {

Result<> RunConfigCheck(const ConfigCheckFlags& flags, const Console& console) {
  SM_TRY(LoadJob(flags.job.file, {flags.job.sets, console.environment}));
  console.out << flags.job.file << ": good\n" << std::flush;
  return {};
}

Result<> RunConfigPrint(const ConfigPrintFlags& flags, const Console& console) {
  const Job job = SM_TRY(LoadJob(flags.job.file, {flags.job.sets, console.environment}));
  console.out << config::PrintToml(job.listing, flags.origin) << std::flush;
  return {};
}

}  // namespace shardmill
