#include "worker/examiner.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "worker/checksum.h"
#include "worker/data/distinct_keys.h"
#include "worker/model_file.h"

namespace shardmill {

Examiner::Examiner(const ExaminerParts& parts, const TrainOptions& options)
    : parts_(parts), options_(options), referee_(options.stop, options.best) {}

bool Examiner::Wants(uint64_t steps, uint64_t steps_per_epoch) const {
  const bool epoch_ends = steps % steps_per_epoch == 0;
  const uint64_t epochs = steps / steps_per_epoch;
  if (options_.validate_steps > 0 && steps % options_.validate_steps == 0) return true;
  return epoch_ends && options_.validate_epochs > 0 && epochs % options_.validate_epochs == 0;
}

void Examiner::TakeUp() {
  if (!keeps_best() || origin_.job == 0) return;
  const std::optional<KeptModel> kept = ReadKeptModel(options_.model);
  if (!kept || kept->metric != options_.best || kept->step == kept_step_) return;
  const bool before = std::ranges::find(origin_.line, kept->job) != origin_.line.end() &&
                      kept_step_ == 0 && kept->step <= origin_.steps;
  if (kept->job != origin_.job && !before) return;
  kept_step_ = kept->step;
  referee_.TakeUp(kept->value);
}

Result<bool> Examiner::Look(uint64_t epochs, uint64_t steps, ParameterReader& reader) {
  TakeUp();
  figures_ = course_ = SM_TRY(parts_.validate.Measure(reader));
  looked_at_ = steps;
  const Referee::Verdict verdict = referee_.Judge(epochs, steps, figures_);
  if (verdict.best && !options_.best.empty()) SM_TRY(Keep(steps, reader));
  if (verdict.stop && stopped_after_ == 0) {
    stopped_after_ = steps;
    stop_rule_ = *verdict.stop;
  }
  return verdict.stop.has_value();
}

Result<> Examiner::Keep(uint64_t steps, ParameterReader& reader) {
  kept_step_ = steps;
  if (options_.model.empty()) return {};
  std::vector<std::pair<std::string, std::string>> notes{{"step", std::to_string(steps)}};
  const auto told_by =
      std::ranges::find(figures_, options_.best, [](const auto& figure) { return figure.first; });
  if (told_by != figures_.end()) {
    notes = NotesOf({origin_.job, steps, options_.best, told_by->second});
  }
  for (const JobKey& key : parts_.network) notes.emplace_back(key.key, key.value);
  return WriteModelFile(options_.model, parts_.model.Parameters(), parts_.train, reader,
                        std::move(notes));
}

Result<> Examiner::Finish(uint64_t epochs, uint64_t steps, ParameterReader& reader) {
  const bool best = keeps_best();
  if (best && looked_at_ != steps) SM_TRY(Look(epochs, steps, reader));
  if (!best) SM_TRY(Keep(steps, reader));
  const uint32_t checksum = SM_TRY(Checksum(reader));
  if (!best) course_.clear();
  if (best && kept_step_ > 0) {
    const std::unique_ptr<ModelFile> kept =
        SM_TRY(ModelFile::Open(options_.model, parts_.model.Parameters()));
    SM_TRY(MeasureAll(*kept));
    figures_.emplace_back("best_step", static_cast<double>(kept_step_));
  } else {
    SM_TRY(MeasureAll(reader));
  }
  figures_.emplace_back("weights_crc32", static_cast<double>(checksum));
  // A rule that holds once all steps are made has ended nothing.
  if (stopped_after_ > 0 && stopped_after_ < steps) {
    figures_.emplace_back(kStoppedAfter, static_cast<double>(stopped_after_));
    figures_.emplace_back(kStopRule, static_cast<double>(stop_rule_ + 1));
  }
  return {};
}

Result<> Examiner::MeasureAll(ParameterReader& reader) {
  const Figures validated = SM_TRY(parts_.validate.Measure(reader));
  if (course_.empty()) course_ = validated;
  figures_ = validated;
  if (&parts_.test == &parts_.validate) return {};
  figures_ = SM_TRY(parts_.test.Measure(reader));
  for (const auto& [name, value] : figures_) course_.emplace_back("test_" + name, value);
  for (const auto& [name, value] : validated) figures_.emplace_back("validate_" + name, value);
  return {};
}

Result<uint32_t> Examiner::Checksum(ParameterReader& reader) {
  const std::span<const ParameterSpec> parameters = parts_.model.Parameters();
  std::vector<std::vector<float>> rows(parameters.size());
  std::vector<std::span<const float>> values(parameters.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!parameters[i].sparse()) {
      values[i] = SM_TRY(reader.Dense(i));
      continue;
    }
    const std::vector<uint64_t> keys = AllKeys(parts_.train, parameters[i].input);
    const std::span<const float> found = SM_TRY(reader.Rows(i, keys));
    rows[i].assign(found.begin(), found.end());
    values[i] = rows[i];
  }
  return WeightsChecksum(values);
}

}  // namespace shardmill
