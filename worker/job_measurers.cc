#include "worker/job_measurers.h"

namespace shardmill {

Result<std::unique_ptr<Measurer>> MakeMeasurer(const JobOptions& job, const SampleStore& rows,
                                               NetworkModel& model) {
  return Measurer::Make(job.model.metrics, rows, model, model.output().size(),
                        model.target_column());
}

Result<JobMeasurers> MakeMeasurers(const JobOptions& job, const DataParts& data,
                                   NetworkModel& model) {
  const SampleStore& first = data.validate ? *data.validate : *data.measured();
  JobMeasurers measurers;
  measurers.validate = SM_TRY(MakeMeasurer(job, first, model));
  if (&first != data.measured().get()) {
    measurers.test = SM_TRY(MakeMeasurer(job, *data.measured(), model));
  }
  return measurers;
}

}  // namespace shardmill
