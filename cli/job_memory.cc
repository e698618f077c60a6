#include "cli/job_memory.h"

#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "optim/optimizer.h"
#include "worker/data/file_list.h"
#include "worker/job_model.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;

uint64_t BytesOf(const SampleStore& rows) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < rows.columns().size(); ++i) {
    const ColumnView& view = rows.column(i);
    bytes += view.floats.size_bytes() + view.ids.size_bytes() + view.keys.size_bytes() +
             view.ends.size_bytes();
  }
  return bytes;
}

}  // namespace

uint64_t FileBytes(const DataOptions& data) {
  uint64_t bytes = 0;
  std::error_code why;
  const auto add = [&](const fs::path& path) {
    const uintmax_t size = fs::file_size(path, why);
    if (!why) bytes += size;
  };
  if (data.format == DataFormat::kIdx) {
    for (const auto& entry : fs::directory_iterator(data.folder, why)) add(entry.path());
    return bytes;
  }
  for (const auto* part : {&data.train, &data.validate, &data.test}) {
    const auto files = ListFiles(*part);
    if (!files.ok()) continue;
    for (const std::string& file : files.value()) add(file);
  }
  return bytes;
}

Result<JobMemory> SizeOf(const JobOptions& job, const DataParts& data) {
  const std::unique_ptr<NetworkModel> model = SM_TRY(MakeJobModel(job, *data.train));
  const auto optimizer = SM_TRY(MakeOptimizer(job.optimizer.ToUpdate()));
  uint64_t parameters = 0;
  for (const ParameterSpec& spec : model->Parameters()) parameters += spec.size * sizeof(float);
  uint64_t rows = 0;
  for (const auto& part : {data.train, data.validate, data.test}) {
    if (part) rows += BytesOf(*part);
  }
  const uint64_t workers = job.cluster.workers;
  const uint64_t copies = (1 + optimizer->slots()) * (uint64_t{1} + job.replication.replicas);
  return JobMemory{.servers = parameters * (copies + workers),
                   .workers = workers * (2 * parameters + rows)};
}

}  // namespace shardmill
