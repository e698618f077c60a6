#include "common/table_words.h"

#include <algorithm>
#include <array>

#include "common/config/text.h"

namespace shardmill {
namespace {

std::string Words(const std::string& what, const std::string& is, const std::string& asked) {
  return what + " " + is + "; this asks for " + asked;
}

std::string CountWords(const std::string& what, uint64_t is, uint64_t asked) {
  return std::to_string(is) + " " + what + "; this asks for " + std::to_string(asked);
}

std::string NameOf(UpdateRule rule) {
  constexpr std::array<const char*, 12> kNames = {"sgd",     "momentum", "nesterov", "adagrad",
                                                  "rmsprop", "adam",     "ftrl",     "average",
                                                  "add",     "assign",   "min",      "max"};
  static_assert(kNames.size() == static_cast<size_t>(kUpdateRuleLast) + 1);
  return kNames.at(static_cast<size_t>(rule));
}

std::string NameOf(RateShape shape) {
  constexpr std::array<const char*, 4> kNames = {"constant", "step", "polynomial", "cosine"};
  static_assert(kNames.size() == static_cast<size_t>(kRateShapeLast) + 1);
  return kNames.at(static_cast<size_t>(shape));
}

struct Field {
  const char* name;
  double is;
  double asked;
};

}  // namespace

std::string ShapeDifference(const TableSpec& is, const TableSpec& asked) {
  if (is.dim != asked.dim) return CountWords("floats a row", is.dim, asked.dim);
  if (is.size != asked.size) return CountWords("floats", is.size, asked.size);
  if (!(is.initial == asked.initial)) return "other first values";
  return "";
}

std::string UpdateDifference(const UpdateSettings& is, const UpdateSettings& asked) {
  std::string all;
  const auto add = [&all](const std::string& words) { all += (all.empty() ? "" : ", ") + words; };
  if (is.rule != asked.rule) add(Words("optimizer", NameOf(is.rule), NameOf(asked.rule)));
  const RateSchedule& rate = is.rate;
  const RateSchedule& other = asked.rate;
  if (rate.shape != other.shape) add(Words("schedule", NameOf(rate.shape), NameOf(other.shape)));
  const auto rounds = [](uint64_t count) { return static_cast<double>(count); };
  const std::array fields = {
      Field{"learning_rate", rate.base, other.base},
      Field{"warmup", rounds(rate.warmup), rounds(other.warmup)},
      Field{"decay_rounds", rounds(rate.length), rounds(other.length)},
      Field{"decay_factor", rate.factor, other.factor},
      Field{"decay_power", rate.power, other.power},
      Field{"end_rate", rate.end, other.end},
      Field{"scale_by_workers", rate.scale_by_workers ? 1.0 : 0.0,
            other.scale_by_workers ? 1.0 : 0.0},
      Field{"momentum", is.momentum, asked.momentum},
      Field{"beta1", is.beta1, asked.beta1},
      Field{"beta2", is.beta2, asked.beta2},
      Field{"epsilon", is.epsilon, asked.epsilon},
      Field{"beta", is.beta, asked.beta},
      Field{"l1", is.l1, asked.l1},
      Field{"l2", is.l2, asked.l2},
      Field{"weight_decay", is.weight_decay, asked.weight_decay},
      Field{"clip_value", is.clip_value, asked.clip_value},
  };
  for (const Field& field : fields) {
    if (field.is == field.asked) continue;
    add(Words(field.name, config::FormatReal(field.is), config::FormatReal(field.asked)));
  }
  return all;
}

}  // namespace shardmill
