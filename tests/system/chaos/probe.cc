#include "tests/system/chaos/probe.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <csignal>
#include <fstream>
#include <map>
#include <set>
#include <span>
#include <sstream>
#include <utility>

#include "common/rng.h"

namespace shardmill::chaos {
namespace {

constexpr uint64_t kKeysOfWorker = 32;
constexpr uint64_t kKeysOfStep = 3;

// The one list of a plan's fields, for both ways. `visit(name, field)`.
template <class Plan, class Visit>
void VisitFields(Plan& plan, Visit visit) {
  visit("seed", plan.seed);
  visit("rank", plan.rank);
  visit("life", plan.life);
  visit("workers", plan.workers);
  visit("shards", plan.shards);
  visit("steps", plan.steps);
  visit("rows", plan.rows);
  visit("epochs", plan.epochs);
  visit("any_rank", plan.any_rank);
  visit("bounded", plan.bounded);
  visit("staleness", plan.staleness);
  visit("per_step", plan.per_step);
  visit("backups", plan.backups);
  visit("begins_again", plan.begins_again);
  visit("shared_memory", plan.shared_memory);
  visit("lease_ms", plan.lease_ms);
  visit("retry_ms", plan.retry_ms);
  visit("think_us", plan.think_us);
  visit("table_step", plan.table_step);
  visit("shard_mib", plan.shard_mib);
  visit("aim_signal", plan.aim.signal);
  visit("aim_phase", plan.aim.phase);
  visit("aim_step", plan.aim.step);
  visit("aim_hit", plan.aim.hit);
  visit("plant", plan.plant);
}

}  // namespace

std::vector<std::string> WorkerPlan::ToArguments() const {
  std::vector<std::string> arguments{"coordinator=" + coordinator, "journal=" + journal,
                                     "keys=" + keys};
  VisitFields(*this, [&](const char* name, const auto& field) {
    arguments.push_back(std::string(name) + "=" + std::to_string(static_cast<uint64_t>(field)));
  });
  return arguments;
}

Result<WorkerPlan> WorkerPlan::FromArguments(const std::vector<std::string>& arguments) {
  std::map<std::string, std::string> values;
  for (const std::string& argument : arguments) {
    const size_t equals = argument.find('=');
    if (equals == std::string::npos) {
      return Error{ErrorCode::kBadUsage, "\"" + argument + "\" is not NAME=VALUE"};
    }
    values[argument.substr(0, equals)] = argument.substr(equals + 1);
  }
  WorkerPlan plan;
  plan.coordinator = values["coordinator"];
  plan.journal = values["journal"];
  plan.keys = values["keys"];
  std::string bad;
  VisitFields(plan, [&](const char* name, auto& field) {
    const std::string& text = values[name];
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) bad = name;
    field = static_cast<std::remove_reference_t<decltype(field)>>(number);
  });
  if (bad.empty()) return plan;
  return Error{ErrorCode::kBadUsage, bad + " takes a whole number"};
}

bool Probe::Touches(uint32_t worker, uint64_t step, uint32_t shard) const {
  const uint64_t chance = Mix(seed_ ^ Mix(worker * 0x10001 + step));
  if (chance % 10 < 7) return true;
  return (chance >> 32 >> shard & 1) != 0;
}

uint64_t Probe::Touching(uint32_t worker, uint64_t steps, uint32_t shard) const {
  uint64_t count = 0;
  for (uint64_t step = 1; step <= steps; ++step) count += Touches(worker, step, shard) ? 1 : 0;
  return count;
}

std::vector<uint64_t> Probe::AllKeys() const {
  std::vector<uint64_t> keys;
  for (uint64_t i = 0; i < workers_ * kKeysOfWorker; ++i) keys.push_back(Mix(i));
  return keys;
}

std::vector<uint64_t> Probe::Keys(uint32_t worker, uint64_t step) const {
  Rng rng(seed_ ^ Mix(worker + step * 0x10001));
  std::set<uint64_t> chosen;
  while (chosen.size() < kKeysOfStep) chosen.insert(rng.Below(kKeysOfWorker));
  std::vector<uint64_t> keys;
  for (const uint64_t key : chosen) keys.push_back(Mix(worker * kKeysOfWorker + key));
  return keys;
}

Result<JournalWriter> JournalWriter::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return Error{ErrorCode::kFailed, path + ": cannot be written"};
  return JournalWriter(fd);
}

void JournalWriter::Write(Event event, uint64_t step, std::string_view words) {
  std::string line = std::to_string(static_cast<int>(event)) + " " + std::to_string(MonotonicNs()) +
                     " " + std::to_string(step) + " ";
  for (const char letter : words) line += letter == '\n' ? ' ' : letter;
  line += '\n';
  const ssize_t written = write(fd_, line.data(), line.size());
  SM_ASSERT(written == static_cast<ssize_t>(line.size()));
}

void SelfHarm::Touch() {
  const bool due = phase_ == aim_.phase && (phase_ == Phase::kJoining || step_ >= aim_.step);
  if (aim_.signal == 0 || harmed_ || !due || ++hits_ < aim_.hit) return;
  harmed_ = true;
  journal_.Write(Event::kHarm, step_);
  std::raise(aim_.signal);
}

std::vector<Record> JournalReader::Read() {
  std::ifstream file(path_, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset_));
  std::vector<Record> records;
  for (std::string line; std::getline(file, line) && !file.eof();) {
    offset_ += line.size() + 1;
    std::istringstream words(line);
    int event = 0;
    Record record;
    words >> event >> record.at_ns >> record.step;
    words.get();
    std::getline(words, record.words);
    record.event = static_cast<Event>(event);
    records.push_back(std::move(record));
  }
  return records;
}

std::string FinalPath(const std::string& journal) { return journal + ".final"; }

bool WriteFinal(const std::string& path, const FinalValues& values) {
  std::ofstream file(path, std::ios::binary);
  for (const auto* part : {&values.probe, &values.bulk, &values.rows, &values.uses}) {
    const auto bytes = std::as_bytes(std::span(*part));
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
  file.close();
  return file.good();
}

std::optional<FinalValues> ReadFinal(const std::string& path, FinalValues sized) {
  FinalValues values = std::move(sized);
  std::ifstream file(path, std::ios::binary);
  for (auto* part : {&values.probe, &values.bulk, &values.rows, &values.uses}) {
    const auto bytes = std::as_writable_bytes(std::span(*part));
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  if (!file) return std::nullopt;
  return values;
}

uint64_t MonotonicNs() {
  return static_cast<uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

}  // namespace shardmill::chaos
