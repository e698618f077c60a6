#pragma once

#include <string>
#include <vector>

#include "cli/console.h"
#include "common/flags/flags.h"
#include "common/job/job.h"
#include "common/result.h"

namespace shardmill {

// One thing that was looked at.
struct Finding {
  enum class Grade : uint8_t {
    kGood,
    kPoor,     // It works, slower or with less than it could.
    kMissing,  // It does not work.
  };

  Grade grade = Grade::kGood;
  std::string what = {};
  std::string found = {};
  std::string mend = {};  // Empty where all is good.
};

// What this machine has for any job, or for that one.
std::vector<Finding> ExamineMachine(const JobOptions* job);

// `shardmill doctor`: prints what was found. kBadUsage where anything is missing.
Result<> RunDoctor(const DoctorFlags& flags, const Console& console);

}  // namespace shardmill
