#include "cli/predict_command.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "cli/trained_model.h"
#include "cli/whole_file.h"
#include "common/config/text.h"
#include "worker/row_passes.h"

namespace shardmill {
namespace {

std::string Field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

// Turns outputs into lines of CSV, by what the job has learnt. Lives for one command.
class Lines final {
 public:
  Lines(const TrainedModel& trained, const Column& target)
      : target_(target),
        own_input_(trained.network->target_column().has_value()),
        chances_(trained.job.model.loss == "log_loss"),
        classes_(trained.network->reads_labels()),
        shares_(trained.job.model.loss == "softmax_cross_entropy"),
        outputs_(trained.network->output().size()) {}

  std::string Header() const {
    std::string line = "row";
    if (!own_input_) {
      line += ",prediction";
      if (shares_ || (chances_ && IsClass())) line += ",chance";
      return line + (target_.missing ? "\n" : ",label\n");
    }
    for (uint64_t i = 0; i < outputs_; ++i) line += ",output_" + std::to_string(i + 1);
    return line + "\n";
  }

  std::string Of(uint64_t row, std::span<const float> output, const Batch& batch,
                 uint64_t place) const {
    std::string line = std::to_string(row);
    if (own_input_) {
      for (const float value : output) line += "," + Number(value);
      return line + "\n";
    }
    line += "," + Prediction(output);
    if (target_.missing) return line + "\n";
    const std::string label = IsClass() ? Class(batch.labels[place]) : Number(batch.values[place]);
    return line + "," + label + "\n";
  }

 private:
  // And where it is a class that has a chance, its own.
  std::string Prediction(std::span<const float> output) const {
    if (classes_) {
      const size_t best = static_cast<size_t>(std::ranges::max_element(output) - output.begin());
      return Class(best) + (shares_ ? "," + Number(Share(output, best)) : "");
    }
    if (!chances_) return Number(output[0]);
    const float chance = 1.0F / (1.0F + std::exp(-output[0]));
    if (!IsClass()) return Number(chance);
    return Class(chance > 0.5F ? 1 : 0) + "," + Number(std::max(chance, 1 - chance));
  }
  bool IsClass() const { return target_.kind == ColumnKind::kIds; }
  static std::string Number(float value) { return config::FormatReal(static_cast<double>(value)); }
  std::string Class(size_t id) const {
    return id < target_.words.size() ? Field(target_.words[id]) : std::to_string(id);
  }
  static float Share(std::span<const float> scores, size_t which) {
    double sum = 0;
    for (const float score : scores) sum += std::exp(static_cast<double>(score - scores[which]));
    return static_cast<float>(1 / sum);
  }

  const Column& target_;
  const bool own_input_;
  const bool chances_;
  const bool classes_;  // The greatest output is the class.
  const bool shares_;   // And the outputs say how likely each is.
  const uint64_t outputs_;
};

Result<> WriteLines(TrainedModel& trained, const SampleStore& rows, std::ostream& out) {
  const Lines lines(trained, rows.target());
  RowPasses passes(rows, *trained.network);
  out << lines.Header();
  const auto pass = [&](uint64_t first, const Batch& batch, auto parameters) -> Result<> {
    const std::span<const float> outputs = SM_TRY(trained.network->Predict(batch, parameters));
    const uint64_t each = outputs.size() / batch.rows;
    for (uint64_t i = 0; i < batch.rows; ++i) {
      out << lines.Of(first + i + 1, outputs.subspan(i * each, each), batch, i);
    }
    return {};
  };
  return passes.Run(*trained.parameters, pass);
}

}  // namespace

Result<> RunPredict(const PredictFlags& flags, const Console& console) {
  TrainedModel trained =
      SM_TRY(OpenTrainedModel(flags.job, flags.model, flags.part, LabelColumn::kOptional, console));
  if (flags.out.empty()) return WriteLines(trained, *trained.rows, console.out);
  WholeFile file(flags.out);
  SM_TRY(file.Begun());
  SM_TRY(WriteLines(trained, *trained.rows, file.stream()));
  SM_TRY(file.Commit());
  console.err << trained.rows->rows() << " predictions in " << flags.out << "\n" << std::flush;
  return {};
}

}  // namespace shardmill
