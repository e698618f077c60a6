// The keys of [train]: for how long a job trains, what is looked at on the way, and what is kept.
#include <algorithm>

#include "common/job/job.h"

namespace shardmill {
namespace {

using config::Section;

constexpr size_t kPathBytesMax = 4096;

bool IsPathOrNone(std::string_view path) {
  return path.size() < kPathBytesMax && path.find('\0') == std::string_view::npos;
}

}  // namespace

bool BeginsWithWeights(const JobOptions& job) {
  return !job.train.weights.empty() && job.snapshot.resume.empty();
}

std::string PeekingWords(const JobOptions& job) {
  const bool stops = std::ranges::any_of(
      job.train.stop, [](const StopOptions& stop) { return !stop.metric.empty(); });
  if (job.data.validates() || (!stops && job.train.best.empty())) return "";
  return std::string("\"train.") + (stops ? "stop" : "best") +
         "\" goes by the rows to test with, which makes the last figures look better than they "
         "are; keep rows apart with \"data.split\" or \"data.validate\"";
}

const std::vector<std::string>& MetricNames() {
  static const std::vector<std::string> names{"accuracy", "loss", "top1", "top5",
                                              "rmse",     "mae",  "auc"};
  return names;
}

bool GreaterIsBetter(std::string_view metric) {
  return metric != "loss" && metric != "rmse" && metric != "mae";
}

void StopOptions::Declare(Section& section) {
  std::vector<std::string> metrics = MetricNames();
  metrics.insert(metrics.begin(), "");
  section.Choice("metric", &metric, metrics, "One of model.metrics, as last measured.");
  const auto has_metric = [this] { return !metric.empty(); };
  section.Number("at_least", &at_least, {.at_most = 1e30}, "The metric is so much or more.");
  section.OnlyWith("at_least", "metric", "a metric", has_metric);
  section.Number("at_most", &at_most, {.at_most = 1e30}, "The metric is so much or less.");
  section.OnlyWith("at_most", "metric", "a metric", has_metric);
  section.Number("plateau", &plateau, {.at_most = 1'000'000, .unit = "measures"},
                 "The metric has not been better than ever before for so many measures.");
  section.OnlyWith("plateau", "metric", "a metric", has_metric);
  section.Number("epochs", &epochs, {.at_most = 1'000'000}, "So many epochs are over.");
  section.Number("steps", &steps, {.at_most = uint64_t{1} << 24}, "So many steps are made.");
  section.Require({"metric", "at_least", "at_most", "plateau", "epochs", "steps"},
                  [this]() -> std::string {
                    const bool bound = at_least || at_most || plateau > 0;
                    if (!metric.empty() && !bound) {
                      return "a \"metric\" to stop by wants \"at_least\", \"at_most\" or "
                             "\"plateau\"";
                    }
                    if (bound || epochs > 0 || steps > 0) return "";
                    return "a table of \"train.stop\" wants a condition: a \"metric\" with "
                           "\"at_least\", \"at_most\" or \"plateau\", \"epochs\" or \"steps\"";
                  });
}

void TrainOptions::Declare(Section& section) {
  section.Number("epochs", &epochs, {.at_least = 1, .at_most = 1'000'000},
                 "How often training goes through the data.");
  section.Number("steps", &steps, {.at_most = uint64_t{1} << 40},
                 "The most steps of a worker in all; 0: as many as the epochs have.");
  section.Number(
      "accumulate", &accumulate, {.at_least = 1, .at_most = 4096, .unit = "batches"},
      "Batches whose gradients a worker adds up in a step: it has the samples of all and "
      "takes the memory of one.");
  section.Number(
      "validate_epochs", &validate_epochs, {.at_most = 1'000'000},
      "Epochs between two measures on the rows to validate with, or else to test with; 0 "
      "does not go by epochs.");
  section.Number("validate_steps", &validate_steps, {.at_most = uint64_t{1} << 40},
                 "Steps between two measures; 0 does not go by steps.");
  section.Tables("stop", &stop,
                 "When training ends before its epochs are over: as soon as all conditions of one "
                 "of these tables hold, looked at with each measure.");
  std::vector<std::string> metrics = MetricNames();
  metrics.insert(metrics.begin(), "");
  section.Choice("best", &best, metrics,
                 "Keeps the model that was best by this one of model.metrics; by itself the last.");
  section.Text("model", &model, {.form = "a path", .accepts = IsPathOrNone},
               "The file that the best or last model is written to by the worker that measures; "
               "`shardmill train` fills in its run's folder. Empty: none is kept.");
  section.Text(
      "weights", &weights, {.form = "a path", .accepts = IsPathOrNone},
      "The weights that training begins with: the model of a run by its folder or file, or "
      "a snapshot (FOLDER/JOB or FOLDER/JOB/NUMBER). Not read where the job goes on from "
      "a snapshot of its own (snapshot.resume).");
  section.Texts("weights_of", &weights_of, {.form = "the name of a layer or a table"},
                "Of which layers the weights are taken; by itself of all. Others begin anew.");
  section.OnlyWith("weights_of", "weights", "a path", [this] { return !weights.empty(); });
  section.Number("report_every", &report_every,
                 {.at_least = 1, .at_most = 1'000'000, .unit = "steps"},
                 "Steps of a worker between two reports of its progress.");
  section.Text(
      "track", &track, {.form = "a path", .accepts = IsPathOrNone},
      "Where each worker writes with every report how it gets on, as lines of JSON and for "
      "TensorBoard; `shardmill train` fills in its run's folder. Empty: nowhere.");
  section.Flag("overlap", &overlap,
               "Whether a layer starts as soon as its weights are there, and its gradient leaves "
               "while those of others are computed. Both change the time alone, never a weight. "
               "Where optimizer.clip_norm is set, gradients leave once all are known.");
}

}  // namespace shardmill
