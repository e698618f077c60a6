#include "worker/measurer.h"

#include <algorithm>

namespace shardmill {
namespace {

bool ReadsLabels(const std::string& metric) { return metric == "top1" || metric == "top5"; }

bool IsYesOrNo(float value) { return value == 0 || value == 1; }

Error NotTwoClasses() {
  return {ErrorCode::kBadUsage,
          "the metric \"auc\" tells two classes apart, 0 and 1; there are others here"};
}

// Words where a metric of outputs cannot read what the model gives and what is learnt.
Result<> CheckMetric(const std::string& name, const SampleStore& rows, uint64_t outputs,
                     std::optional<size_t> target) {
  const bool classes = rows.target().kind == ColumnKind::kIds && !target;
  if (ReadsLabels(name) && !classes) {
    return Error{ErrorCode::kBadUsage, "the metric \"" + name +
                                           "\" reads classes, but what is learnt are numbers; "
                                           "\"model.metrics\" can be \"rmse\" and \"mae\""};
  }
  const uint64_t compared = (target ? rows.columns()[*target] : rows.target()).row_size();
  const bool fits = ReadsLabels(name) ? outputs >= rows.target().ids_end
                    : name == "auc"   ? outputs == 1
                                      : outputs == compared;
  if (!fits) {
    return Error{ErrorCode::kBadUsage,
                 "the metric \"" + name + "\" does not fit a network that gives " +
                     std::to_string(outputs) + " numbers a row for what is learnt here"};
  }
  if (name == "auc" && classes && rows.target().ids_end > 2) return NotTwoClasses();
  return {};
}

}  // namespace

Result<std::unique_ptr<Measurer>> Measurer::Make(const std::vector<std::string>& metrics,
                                                 const SampleStore& rows, Model& model,
                                                 uint64_t outputs, std::optional<size_t> target) {
  std::unique_ptr<Measurer> measurer(new Measurer(rows, model, target));
  for (const std::string& name : metrics) {
    Figure figure{name, nullptr};
    if (name != "accuracy" && name != "loss") {
      figure.metric = SM_TRY(nn::MakeMetric(name));
      SM_TRY(CheckMetric(name, rows, outputs, target));
    }
    measurer->figures_.push_back(std::move(figure));
  }
  return measurer;
}

Result<Figures> Measurer::Measure(ParameterReader& parameters) {
  for (Figure& figure : figures_) {
    if (figure.metric) figure.metric->Reset();
  }
  Evaluation sum;
  const auto pass = [&](uint64_t, const Batch& batch, auto lent) -> Result<> {
    const Evaluation found = SM_TRY(model_.Evaluate(batch, lent));
    sum.Add(found);
    return Add(batch, found);
  };
  SM_TRY(passes_.Run(parameters, pass));
  const double rows = std::max<double>(1, static_cast<double>(sum.rows));
  Figures figures;
  for (const Figure& figure : figures_) {
    const double total = figure.name == "accuracy" ? static_cast<double>(sum.correct) : sum.loss;
    figures.emplace_back(figure.name, figure.metric ? figure.metric->value() : total / rows);
  }
  return figures;
}

Result<> Measurer::Add(const Batch& batch, const Evaluation& found) {
  nn::Targets targets{.labels = batch.labels, .values = batch.values};
  if (target_) targets = {.labels = {}, .values = batch.inputs[*target_].floats};
  if (targets.values.empty()) {
    label_values_.assign(batch.labels.begin(), batch.labels.end());
    targets.values = label_values_;
  }
  const uint64_t columns = batch.rows == 0 ? 0 : found.outputs.size() / batch.rows;
  for (Figure& figure : figures_) {
    if (!figure.metric) continue;
    if (figure.name == "auc" && !std::ranges::all_of(targets.values, IsYesOrNo)) {
      return NotTwoClasses();
    }
    figure.metric->Add(found.outputs, columns, targets);
  }
  return {};
}

}  // namespace shardmill
