#include "worker/computed.h"

#include <cmath>

#include "common/json/json.h"

namespace shardmill {

std::vector<std::string> SlowerWords(const NetworkModel& model) {
  std::vector<std::string> words;
  const nn::StepMemory& memory = model.memory();
  if (!memory.again.empty()) {
    const auto percent = static_cast<uint64_t>(std::lround(100 * memory.share_again));
    words.push_back("it computes " + std::to_string(memory.again.size()) +
                    " of its layers again, so that a step takes less memory: " +
                    std::to_string(percent) + " % of the products of the way forward");
  }
  if (model.on_host()) return words;
  const std::string why = model.NotRecordedWords();
  if (!why.empty()) words.push_back("the card is asked for each operation, since " + why);
  if (!model.steps_on_host().empty()) {
    words.push_back("gradients leave the card, and weights come to it, in each step, since " +
                    model.steps_on_host());
  }
  const nn::ConvolutionCounts convolutions = model.convolutions();
  if (convolutions.by_kernels > 0) {
    words.push_back(std::to_string(convolutions.by_kernels) + " of " +
                    std::to_string(convolutions.by_kernels + convolutions.by_library) +
                    " convolutions are done by kernels of our own, as cuDNN has none for their "
                    "shapes that gives the same bits each time, or none for the memory there is");
  }
  return words;
}

std::string ComputedJson(uint32_t rank, const NetworkModel& model) {
  const nn::StepMemory& memory = model.memory();
  JsonWriter json;
  json.BeginObject().Key("worker").Whole(rank).Key("on").Text(model.device());
  json.Key("step_bytes").Whole(memory.bytes);
  json.Key("bytes_saved").Whole(memory.bytes_if_kept - memory.bytes);
  json.Key("again").BeginList();
  for (const std::string& layer : memory.again) json.Text(layer);
  json.EndList().Key("share_again").Number(memory.share_again);
  if (!model.on_host()) {
    const nn::PieceCounts& pieces = model.pieces();
    json.Key("pieces").BeginObject().Key("asked").Whole(pieces.asked);
    json.Key("recorded").Whole(pieces.recorded).Key("replayed").Whole(pieces.replayed).EndObject();
    json.Key("steps_on_device").Whole(model.steps_on_device());
    const nn::ConvolutionCounts convolutions = model.convolutions();
    json.Key("convolutions").BeginObject().Key("by_library").Whole(convolutions.by_library);
    json.Key("by_kernels").Whole(convolutions.by_kernels).EndObject();
  }
  json.Key("slower").BeginList();
  for (const std::string& words : SlowerWords(model)) json.Text(words);
  return json.EndList().EndObject().Take();
}

}  // namespace shardmill
