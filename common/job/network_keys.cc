#include "common/job/network_keys.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config/load.h"
#include "common/config/schema.h"

namespace shardmill {
namespace {

constexpr std::string_view kLayers = "model.layers";
constexpr std::array kNetwork = {std::string_view("model.loss"), std::string_view("model.target"),
                                 kLayers};
// Of a layer.
constexpr std::array<std::string_view, 6> kOfTraining = {"rate",   "momentum",      "initial",
                                                         "frozen", "learning_rate", "optimizer"};
constexpr size_t kChangesShown = 3;

template <size_t kCount>
bool IsOneOf(const std::array<std::string_view, kCount>& keys, std::string_view key) {
  return std::ranges::find(keys, key) != keys.end();
}

// What the layers of a network are, of their list as TOML; nothing where it is no such list.
std::optional<JobKeyList> KeysOfLayers(const std::string& list) {
  std::vector<LayerOptions> layers;
  config::Schema schema;
  schema.Add("model", "").Tables("layers", &layers, "");
  if (!config::Load(schema, "", "[model]\nlayers = " + list, {}).ok()) return {};
  LayerOptions example;
  config::Section defaults("");
  example.Declare(defaults);
  JobKeyList keys;
  for (size_t i = 0; i < layers.size(); ++i) {
    config::Section layer("");
    layers[i].Declare(layer);
    const std::string place = std::string(kLayers) + "[" + std::to_string(i) + "].";
    for (size_t k = 0; k < layer.options().size(); ++k) {
      const config::Option& option = layer.options()[k];
      const bool said = option.show() != defaults.options()[k].default_text;
      if (!IsOneOf(kOfTraining, option.key) && (said || option.key == "type")) {
        keys.push_back({place + option.key, option.show()});
      }
    }
  }
  return keys;
}

// With those of each layer in place of the list of all.
std::optional<JobKeyList> OneByOne(const JobKeyList& keys) {
  JobKeyList all;
  std::optional<JobKeyList> layers;
  for (const JobKey& key : keys) {
    if (key.key == kLayers) {
      layers = KeysOfLayers(key.value);
    } else if (IsOneOf(kNetwork, key.key)) {
      all.push_back(key);
    }
  }
  if (!layers || layers->empty()) return {};
  all.insert(all.end(), layers->begin(), layers->end());
  return all;
}

}  // namespace

JobKeyList NetworkOf(const JobOptions& job) {
  JobKeyList keys = MeaningOf(job);
  std::erase_if(keys, [](const JobKey& key) { return !IsOneOf(kNetwork, key.key); });
  return keys;
}

std::string NetworkChanges(const JobKeyList& weights, const JobKeyList& job) {
  const std::optional<JobKeyList> was = OneByOne(weights);
  const std::optional<JobKeyList> is = OneByOne(job);
  if (!was || !is) return "";
  const std::vector<JobKeyChange> changes = ChangesOf(*was, *is);
  std::string words;
  for (size_t i = 0; i < std::min(changes.size(), kChangesShown); ++i) {
    words += (i == 0 ? "" : "; ") + changes[i].Words();
  }
  if (changes.size() <= kChangesShown) return words;
  return words + "; and " + std::to_string(changes.size() - kChangesShown) + " keys more";
}

Result<> CheckNetwork(const std::string& what, const JobKeyList& weights, const JobKeyList& job) {
  const std::string changes = NetworkChanges(weights, job);
  if (changes.empty()) return {};
  return Error{ErrorCode::kBadUsage,
               what + " is of another network: " + changes + "; put that back, or train anew"};
}

}  // namespace shardmill
