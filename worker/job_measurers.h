#pragma once

#include <memory>

#include "common/job/job.h"
#include "common/result.h"
#include "worker/data/read_data.h"
#include "worker/measurer.h"
#include "worker/network_model.h"

namespace shardmill {

// What a job's model is measured with. A value; the data and the model must outlive it.
struct JobMeasurers {
  std::unique_ptr<Measurer> validate;  // While training goes on.
  std::unique_ptr<Measurer> test;      // At its end; none: the same.

  Measurer& at_end() const { return test ? *test : *validate; }
};

// Fails on a metric that does not fit what is learnt.
Result<std::unique_ptr<Measurer>> MakeMeasurer(const JobOptions& job, const SampleStore& rows,
                                               NetworkModel& model);

// While training goes on it is the rows to validate with, or else those to test with. Fails as
// MakeMeasurer does.
Result<JobMeasurers> MakeMeasurers(const JobOptions& job, const DataParts& data,
                                   NetworkModel& model);

}  // namespace shardmill
