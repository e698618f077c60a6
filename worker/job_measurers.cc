#include "worker/job_measurers.h"

namespace shardmill {

Result<JobMeasurers> MakeMeasurers(const JobOptions& job, const DataParts& data,
                                   NetworkModel& model) {
  const SampleStore& first = data.validate ? *data.validate : *data.measured();
  JobMeasurers measurers;
  measurers.validate =
      SM_TRY(Measurer::Make(job.model.metrics, first, model, model.target_column()));
  if (&first != data.measured().get()) {
    measurers.test =
        SM_TRY(Measurer::Make(job.model.metrics, *data.measured(), model, model.target_column()));
  }
  return measurers;
}

}  // namespace shardmill
