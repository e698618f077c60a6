#pragma once

#include <string>

#include "common/job/job.h"
#include "common/job_key.h"
#include "common/result.h"

namespace shardmill {

// Of the keys that make a job what it is (MeaningOf), those that say what its network is.
JobKeyList NetworkOf(const JobOptions& job);

// Which keys of a job make its network give other numbers than the one that weights are of, in
// words, a layer's keys one by one: "model.layers[1].units is 5, and was 4". How it is trained is
// none of them. Empty where the networks are alike, and where nobody knows.
std::string NetworkChanges(const JobKeyList& weights, const JobKeyList& job);

// Refuses to go on with what is of another network; `what` it is.
Result<> CheckNetwork(const std::string& what, const JobKeyList& weights, const JobKeyList& job);

}  // namespace shardmill
