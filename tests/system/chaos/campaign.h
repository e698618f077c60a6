#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/system/chaos/scenario.h"

namespace shardmill::chaos {

// What came of trials.
struct Totals {
  uint64_t count = 0;
  uint64_t lost = 0;
  uint64_t duplicated = 0;
  uint64_t violations = 0;  // Trials in which something was not as it must be.
  uint64_t fenced = 0;      // Processes that lost their rank and ended for it.
  std::vector<double> recovery_seconds = {};
  std::vector<uint64_t> failed_seeds = {};
};

// One trial, which is its seed.
struct Trial {
  Totals totals = {};
  std::vector<std::string> violations = {};  // In words.
  std::string cluster = {};                  // What it was.
  std::string folder = {};                   // Where its logs are, if it failed.
};
struct TrialPlaces {
  std::string programs = {};  // The folder of this build's programs.
  std::string logs = {};      // Each trial has a folder there, which goes if all is well.
  uint64_t minutes = 1;       // That a soak takes.
  uint64_t shard_mib = 0;     // What each shard holds beside what the steps change.
};
Trial RunTrial(const Scenario& scenario, uint64_t seed, const TrialPlaces& places,
               Plant plant = Plant::kNone);

// A number of trials, one after the other, from seed to seed. With a file to resume from they add
// up to what it has, and it is written anew after each trial. One thread.
class Campaign final {
 public:
  // `seed` is that of the first trial, where the file, if any, does not say how far it is.
  static Result<Campaign> Begin(const Scenario& scenario, uint64_t seed, TrialPlaces places,
                                std::string resume);

  // Tells of a trial that fails on stderr. An error where the file cannot be written.
  Result<> RunOne();

  const Totals& totals() const { return totals_; }
  // As one JSON object, or a line for people.
  std::string ToJson() const;
  std::string ToLine() const;

 private:
  Campaign(const Scenario& scenario, uint64_t seed, TrialPlaces places, std::string resume)
      : scenario_(&scenario),
        next_seed_(seed),
        places_(std::move(places)),
        resume_(std::move(resume)) {}

  Result<> Load();
  Result<> Save() const;

  const Scenario* scenario_;
  uint64_t next_seed_;
  TrialPlaces places_;
  std::string resume_;
  Totals totals_;
};

}  // namespace shardmill::chaos
