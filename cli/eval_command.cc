#include "cli/eval_command.h"

#include <string>

#include "cli/train_result.h"
#include "cli/trained_model.h"
#include "common/json/json.h"
#include "worker/measurer.h"

namespace shardmill {

Result<> RunEval(const EvalFlags& flags, const Console& console) {
  TrainedModel trained =
      SM_TRY(OpenTrainedModel(flags.job, flags.model, flags.part, LabelColumn::kNeeded, console));
  const std::unique_ptr<Measurer> measurer =
      SM_TRY(Measurer::Make(trained.job.model.metrics, *trained.rows, *trained.network,
                            trained.network->target_column()));
  const Figures figures = SM_TRY(measurer->Measure(*trained.parameters));
  const std::string part = flags.part.empty() ? MeasuredPart(trained.job.data) : flags.part;
  if (flags.json) {
    JsonWriter json;
    json.BeginObject().Key("part").Text(part).Key("rows").Whole(trained.rows->rows());
    for (const auto& [name, value] : figures) json.Key(name).Number(value);
    console.out << json.EndObject().Take() << "\n" << std::flush;
    return {};
  }
  for (const auto& [name, value] : figures) {
    console.out << name << " " << FormatMetric(value) << ", ";
  }
  console.out << FormatCount(static_cast<double>(trained.rows->rows())) << " rows to " << part
              << " with\n"
              << std::flush;
  return {};
}

}  // namespace shardmill
