#include "cli/progress.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ostream>

#include "cli/train_result.h"

namespace shardmill {
namespace {

constexpr std::chrono::seconds kLineEvery{5};
constexpr size_t kBarColumns = 16;
constexpr double kSilentShownSeconds = 3;
constexpr double kTimeLeftMax = 1e7;  // Of which nobody wants to know more.

// The one that finishes last, among those that train at all.
const JobStatus::Worker* Slowest(const JobStatus& status) {
  const JobStatus::Worker* slowest = nullptr;
  for (const JobStatus::Worker& worker : status.workers) {
    const bool left = status.data > 0 && worker.state == JobStatus::Worker::State::kAbsent;
    if (left) continue;
    if (!slowest || worker.step < slowest->step) slowest = &worker;
  }
  return slowest;
}

// The silent worker that the others cannot do without, the longest silent first; null where all
// goes well. A worker that only computes for long is not silent: its session speaks beside it.
const JobStatus::Worker* Missing(const JobStatus& status) {
  const JobStatus::Worker* missing = nullptr;
  for (const JobStatus::Worker& worker : status.workers) {
    if (worker.state == JobStatus::Worker::State::kDone) continue;
    if (worker.silent_seconds < kSilentShownSeconds) continue;
    bool awaited = worker.state == JobStatus::Worker::State::kSilent;
    for (const JobStatus::Shard& shard : status.shards) {
      awaited = awaited || (shard.waiting_for == worker.rank && shard.waits());
    }
    if (!awaited) continue;
    if (!missing || worker.silent_seconds > missing->silent_seconds) missing = &worker;
  }
  return missing;
}

}  // namespace

std::string FormatTimeLeft(double seconds) {
  const auto whole = static_cast<uint64_t>(std::clamp(std::ceil(seconds), 0.0, kTimeLeftMax));
  std::array<char, 40> text{};
  const auto hours = static_cast<unsigned>(whole / 3600);
  const auto minutes = static_cast<unsigned>(whole / 60 % 60);
  const auto rest = static_cast<unsigned>(whole % 60);
  const int size =
      hours > 0 ? std::snprintf(text.data(), text.size(), "%u:%02u:%02u", hours, minutes, rest)
                : std::snprintf(text.data(), text.size(), "%u:%02u", minutes, rest);
  return {text.data(), static_cast<size_t>(size)};
}

Progress::~Progress() { Clear(); }

void Progress::Clear() {
  if (drawn_) console_.err << "\r\x1b[K" << std::flush;
  drawn_ = false;
}

double Progress::Fraction(const JobStatus& status) {
  const JobStatus::Worker* slowest = Slowest(status);
  if (!slowest || epochs_ == 0) return 0;
  const double of_steps =
      steps_ == 0 ? 0 : static_cast<double>(slowest->step) / static_cast<double>(steps_);
  if (status.data > 0) {
    const double of_data = static_cast<double>(status.data_used) / static_cast<double>(status.data);
    return std::min(1.0, std::max(of_steps, of_data));
  }
  for (const JobStatus::Worker& worker : status.workers) {
    if (worker.epoch == 0) continue;
    // Reports come late, never early, so the smallest quotient is the best.
    const double steps = static_cast<double>(worker.step) / static_cast<double>(worker.epoch);
    steps_per_epoch_ = steps_per_epoch_ > 0 ? std::min(steps_per_epoch_, steps) : steps;
  }
  const double epochs = steps_per_epoch_ > 0 ? static_cast<double>(slowest->step) / steps_per_epoch_
                                             : static_cast<double>(slowest->epoch);
  return std::clamp(std::max(of_steps, epochs / static_cast<double>(epochs_)), 0.0, 1.0);
}

std::string Progress::Bar(double fraction) const {
  const auto full = static_cast<size_t>(fraction * static_cast<double>(kBarColumns));
  const std::string done(full, '=');
  const std::string rest(kBarColumns - full, ' ');
  return console_.color ? "[\x1b[32m" + done + "\x1b[0m" + rest + "] " : "[" + done + rest + "] ";
}

std::string Progress::Describe(const JobStatus& status) {
  if (status.state == JobStatus::State::kStarting) {
    return status.words.empty() ? "starting" : "starting: " + status.words;
  }
  const JobStatus::Worker* slowest = Slowest(status);
  if (!slowest) return std::string(NameOf(status.state));
  uint64_t furthest = 0;
  double samples = 0;
  double seconds = 0;
  for (const JobStatus::Worker& worker : status.workers) {
    furthest = std::max(furthest, worker.step);
    samples += worker.samples;
    seconds = std::max(seconds, worker.seconds);
  }
  std::string line = "epoch " + std::to_string(std::min(slowest->epoch + 1, epochs_)) + "/" +
                     std::to_string(epochs_);
  // What matters most comes first: a narrow terminal shows no more.
  const double fraction = Fraction(status);
  if (const JobStatus::Worker* missing = Missing(status)) {
    line += "  waiting for worker " + std::to_string(missing->rank) + ", silent " +
            FormatCount(missing->silent_seconds) + " s";
  } else if (fraction > 0 && fraction < 1) {
    const bool known = steps_per_epoch_ > 0 || status.data > 0;
    // The epochs may be over before so many steps are made.
    const char* const bound = known ? "  " : "  up to ";
    if (known || steps_ > 0) {
      line += bound + FormatTimeLeft(seconds * (1 - fraction) / fraction) + " left";
    }
  }
  for (const auto& [name, value] : ResultOf({}, status).metrics) {
    if (IsOfModel(name)) {
      line += "  " + name + " " + FormatMetric(value);
    }
  }
  if (seconds > 0) line += "  " + FormatCount(samples / seconds) + " samples/s";
  line += "  step " + FormatCount(static_cast<double>(slowest->step)) + "  lag " +
          std::to_string(furthest - slowest->step);
  return line;
}

void Progress::Show(const JobStatus& status, TimePoint now) {
  std::string line = Describe(status);
  if (console_.animate) {
    const bool bar = status.state == JobStatus::State::kTraining;
    const size_t taken = bar ? kBarColumns + 3 : 0;
    // One column stays free: a full line would wrap, and could not be drawn over.
    const size_t room = console_.columns > taken + 1 ? console_.columns - taken - 1 : 0;
    if (line.size() > room) line.resize(room);
    console_.err << "\r\x1b[K" << (bar ? Bar(Fraction(status)) : "") << line << std::flush;
    drawn_ = true;
    return;
  }
  if (line == last_ || (written_at_ && now - *written_at_ < kLineEvery)) return;
  written_at_ = now;
  last_ = line;
  console_.err << line << std::endl;
}

}  // namespace shardmill
