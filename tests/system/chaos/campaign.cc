#include "tests/system/chaos/campaign.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/json/json.h"
#include "tests/system/chaos/check.h"

namespace shardmill::chaos {
namespace {

namespace fs = std::filesystem;

// The smallest that so great a part is not above; 0 where there is none.
double Quantile(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const auto rank = static_cast<size_t>(std::ceil(part * static_cast<double>(values.size())));
  return values[std::max<size_t>(rank, 1) - 1];
}

// Three digits are enough for people.
std::string Short(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", seconds);
  return text;
}

double Rounded(double seconds) { return std::round(seconds * 1e6) / 1e6; }

}  // namespace

namespace {

void RunCluster(const Scenario& scenario, uint64_t seed, const TrialPlaces& places, Plant plant,
                Trial& trial) {
  Rng rng(Mix(seed) ^ 0x5ce0a210);
  ClusterPlan plan = DrawCluster(seed);
  plan.plant = plant;
  plan.minutes = places.minutes;
  plan.shard_mib = places.shard_mib;
  scenario.shape(rng, plan);
  trial.cluster = plan.Words();
  Result<std::unique_ptr<Cluster>> cluster = Cluster::Start(plan, places.programs, trial.folder);
  if (cluster.ok()) {
    scenario.run(rng, *cluster.value());
    if (cluster.value()->AwaitEnd()) {
      const Tally tally = CheckValues(*cluster.value());
      trial.totals.lost = tally.lost;
      trial.totals.duplicated = tally.duplicated;
    }
    trial.totals.fenced = cluster.value()->fenced();
    trial.totals.recovery_seconds = cluster.value()->recovery_seconds();
    trial.violations = cluster.value()->violations();
  } else {
    trial.violations.push_back(cluster.error().message);
  }
}

}  // namespace

Trial RunTrial(const Scenario& scenario, uint64_t seed, const TrialPlaces& places, Plant plant) {
  Trial trial;
  // As the kernel spells it: disk faults are asked for by the names of open files.
  const std::string name = std::string(scenario.name) + "-" + std::to_string(seed);
  trial.folder = (fs::path(places.logs) / name).lexically_normal();
  trial.totals.count = 1;
  fs::remove_all(trial.folder);
  if (scenario.alone != nullptr) {
    scenario.alone(seed, places, trial);
  } else {
    RunCluster(scenario, seed, places, plant, trial);
  }
  if (trial.violations.empty() && trial.totals.lost + trial.totals.duplicated == 0) {
    fs::remove_all(trial.folder);
    return trial;
  }
  trial.totals.violations = 1;
  trial.totals.failed_seeds.push_back(seed);
  return trial;
}

Result<Campaign> Campaign::Begin(const Scenario& scenario, uint64_t seed, TrialPlaces places,
                                 std::string resume) {
  Campaign campaign(scenario, seed, std::move(places), std::move(resume));
  if (!campaign.resume_.empty() && fs::exists(campaign.resume_)) SM_TRY(campaign.Load());
  return campaign;
}

Result<> Campaign::RunOne() {
  const uint64_t seed = next_seed_++;
  const Trial trial = RunTrial(*scenario_, seed, places_);
  const Totals& one = trial.totals;
  totals_.count += one.count;
  totals_.lost += one.lost;
  totals_.duplicated += one.duplicated;
  totals_.violations += one.violations;
  totals_.fenced += one.fenced;
  totals_.recovery_seconds.insert(totals_.recovery_seconds.end(), one.recovery_seconds.begin(),
                                  one.recovery_seconds.end());
  totals_.failed_seeds.insert(totals_.failed_seeds.end(), one.failed_seeds.begin(),
                              one.failed_seeds.end());
  if (one.violations > 0) {
    std::fprintf(stderr, "%s seed %llu (%s): %llu lost, %llu duplicated; logs in %s\n",
                 std::string(scenario_->name).c_str(), static_cast<unsigned long long>(seed),
                 trial.cluster.c_str(), static_cast<unsigned long long>(one.lost),
                 static_cast<unsigned long long>(one.duplicated), trial.folder.c_str());
    constexpr size_t kWordsMax = 20;
    for (size_t i = 0; i < std::min(trial.violations.size(), kWordsMax); ++i) {
      std::fprintf(stderr, "  %s\n", trial.violations[i].c_str());
    }
  }
  return resume_.empty() ? Result<>() : Save();
}

std::string Campaign::ToJson() const {
  JsonWriter json;
  json.BeginObject().Key("scenario").Text(scenario_->name).Key("count").Whole(totals_.count);
  json.Key("lost").Whole(totals_.lost).Key("duplicated").Whole(totals_.duplicated);
  json.Key("violations").Whole(totals_.violations);
  json.Key("recovery_seconds").BeginObject();
  json.Key("p50").Number(Rounded(Quantile(totals_.recovery_seconds, 0.5)));
  json.Key("p99").Number(Rounded(Quantile(totals_.recovery_seconds, 0.99)));
  json.Key("max").Number(Rounded(Quantile(totals_.recovery_seconds, 1)));
  return json.EndObject().EndObject().Take();
}

std::string Campaign::ToLine() const {
  return "scenario " + std::string(scenario_->name) + ", count " + std::to_string(totals_.count) +
         ", lost " + std::to_string(totals_.lost) + ", duplicated " +
         std::to_string(totals_.duplicated) + ", violations " + std::to_string(totals_.violations) +
         ", recovery_seconds p50 " + Short(Quantile(totals_.recovery_seconds, 0.5)) + " p99 " +
         Short(Quantile(totals_.recovery_seconds, 0.99)) + " max " +
         Short(Quantile(totals_.recovery_seconds, 1));
}

// The file: the totals, all recoveries one by one, and the seed of the trial that is next.
Result<> Campaign::Save() const {
  JsonWriter json;
  json.BeginObject().Key("scenario").Text(scenario_->name).Key("next_seed").Whole(next_seed_);
  json.Key("count").Whole(totals_.count).Key("lost").Whole(totals_.lost);
  json.Key("duplicated").Whole(totals_.duplicated).Key("violations").Whole(totals_.violations);
  json.Key("fenced").Whole(totals_.fenced).Key("recovery_seconds").BeginList();
  for (const double seconds : totals_.recovery_seconds) json.Number(Rounded(seconds));
  json.EndList().Key("failed_seeds").BeginList();
  for (const uint64_t seed : totals_.failed_seeds) json.Whole(seed);
  const std::string text = json.EndList().EndObject().Take();
  const std::string fresh = resume_ + ".new";
  std::ofstream file(fresh);
  file << text << "\n";
  file.close();
  std::error_code failed;
  if (file.good()) fs::rename(fresh, resume_, failed);
  if (file.good() && !failed) return {};
  return Error{ErrorCode::kFailed, resume_ + ": cannot be written"};
}

Result<> Campaign::Load() {
  std::ostringstream text;
  text << std::ifstream(resume_).rdbuf();
  const JsonValue json = SM_TRY(ParseJson(text.str()));
  const JsonValue* name = json.Find("scenario");
  const auto whole = [&](const char* key, uint64_t* into) {
    const JsonValue* value = json.Find(key);
    if (value != nullptr && value->is_whole) *into = value->whole;
    return value != nullptr && value->is_whole;
  };
  const bool read = name != nullptr && whole("next_seed", &next_seed_) &&
                    whole("count", &totals_.count) && whole("lost", &totals_.lost) &&
                    whole("duplicated", &totals_.duplicated) &&
                    whole("violations", &totals_.violations) && whole("fenced", &totals_.fenced);
  const JsonValue* recoveries = json.Find("recovery_seconds");
  const JsonValue* failed = json.Find("failed_seeds");
  if (!read || recoveries == nullptr || failed == nullptr) {
    return Error{ErrorCode::kBadUsage, resume_ + ": is no file of a campaign; give another"};
  }
  if (name->text != scenario_->name) {
    return Error{ErrorCode::kBadUsage, resume_ + ": is of scenario " + name->text +
                                           "; give each scenario a file of its own"};
  }
  for (const JsonValue& item : recoveries->items) totals_.recovery_seconds.push_back(item.number);
  for (const JsonValue& item : failed->items) totals_.failed_seeds.push_back(item.whole);
  return {};
}

}  // namespace shardmill::chaos
