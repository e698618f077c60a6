#include "cli/timeline_merge.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/config/text.h"
#include "common/json/json.h"

namespace shardmill {
namespace {

constexpr std::string_view kHead = "{\"traceEvents\":[";
constexpr std::string_view kEnd = "]}";

Error CannotWrite(const std::string& path) {
  return {ErrorCode::kFailed, path + ": the timeline cannot be written: " +
                                  std::generic_category().message(errno) + "; see --trace"};
}

std::string_view TextOf(const JsonValue& event, std::string_view key) {
  const JsonValue* value = event.Find(key);
  return value != nullptr && value->kind == JsonValue::Kind::kText ? std::string_view(value->text)
                                                                   : std::string_view();
}

const JsonValue* FindFact(const JsonValue& event, std::string_view key) {
  const JsonValue* facts = event.Find("args");
  return facts != nullptr ? facts->Find(key) : nullptr;
}

// One process's part, read event by event.
class PartReader final {
 public:
  explicit PartReader(const std::string& path) : file_(path, std::ios::binary) {
    std::string line;
    std::getline(file_, line);
    whole_ = line != kHead;  // Nothing to read: then it is not cut off either.
  }

  // The next event; nothing at the end, or where the part is cut off.
  std::optional<JsonValue> Next() {
    std::string line;
    if (whole_ || !std::getline(file_, line)) return {};
    whole_ = line == kEnd;
    if (whole_) return {};
    if (line.ends_with(',')) line.pop_back();
    Result<JsonValue> event = ParseJson(line);
    if (!event.ok() || event.value().kind != JsonValue::Kind::kObject) return {};
    return std::move(event).value();
  }

  // Whether what was read was all.
  bool whole() const { return whole_; }

 private:
  std::ifstream file_;
  bool whole_ = false;
};

// Adds up how long the steps of a worker took, and how long they waited for others. Waits between
// two steps, as those of a measure, do not count.
class StepWaits final {
 public:
  void Take(const JsonValue& event) {
    const std::string_view name = TextOf(event, "name");
    const JsonValue* begin = event.Find("ts");
    const JsonValue* duration = event.Find("dur");
    if (TextOf(event, "ph") != "X" || begin == nullptr || duration == nullptr) return;
    if (name.starts_with("wait for ")) waits_us_.emplace(begin->number, duration->number);
    if (name == "step") steps_us_.emplace(begin->number, duration->number);
  }

  std::optional<double> share() const {
    double all = 0;
    double waited = 0;
    for (const auto& [begin, duration] : steps_us_) {
      all += duration;
      const auto end = waits_us_.lower_bound(begin + duration);
      for (auto wait = waits_us_.lower_bound(begin); wait != end; ++wait) waited += wait->second;
    }
    return all > 0 ? std::optional<double>(waited / all) : std::nullopt;
  }

 private:
  std::multimap<double, double> steps_us_;  // When each began, and how long it was.
  std::multimap<double, double> waits_us_;
};

// Writes what the parts have, under one clock, and holds back what has no other end yet.
class Merger final {
 public:
  explicit Merger(std::ostream& out) : out_(out) { out_ << kHead; }

  // The part that follows began so long after the first.
  void BeginPart(uint64_t shift_ns) { shift_ns_ = static_cast<double>(shift_ns); }

  void Take(JsonValue event) {
    Shift(event);
    const std::string_view phase = TextOf(event, "ph");
    if (phase == "M") CountLost(event);
    if (phase == "s" || phase == "f") return TakeArrow(std::move(event), phase == "s");
    if (phase == "b" && !open_.insert(KeyOf(event)).second) return;  // Asked once more.
    if (phase == "e" && open_.erase(KeyOf(event)) == 0) return;
    Write(event);
  }

  void Close() {
    JsonWriter json;
    json.BeginObject().Key(kLostKey).Text(std::to_string(lost_)).EndObject();
    out_ << "\n],\"displayTimeUnit\":\"ms\",\"otherData\":" << json.Take() << "}\n";
  }

  uint64_t events() const { return events_; }
  uint64_t lost() const { return lost_; }

 private:
  // What ties events: their category, name and id.
  using Key = std::string;
  struct Arrow {
    std::optional<JsonValue> from;
    std::optional<JsonValue> to;
    bool written = false;
  };

  static Key KeyOf(const JsonValue& event) {
    Key key(TextOf(event, "cat"));
    for (const char* part : {"name", "id"}) key.append(" ").append(TextOf(event, part));
    return key;
  }

  // To the common clock, in whole nanoseconds: the sum of a begin and a duration stays what it was.
  void Shift(JsonValue& event) const {
    for (auto& [key, value] : event.members) {
      if (key != "ts") continue;
      value.number = (std::round(value.number * 1000) + shift_ns_) / 1000;
      value.is_whole = false;
    }
  }

  void CountLost(const JsonValue& event) {
    if (const JsonValue* lost = FindFact(event, kLostKey)) lost_ += lost->whole;
  }

  // Of what was sent and taken more than once, the first.
  void TakeArrow(JsonValue event, bool from) {
    Arrow& arrow = arrows_[KeyOf(event)];
    std::optional<JsonValue>& end = from ? arrow.from : arrow.to;
    if (arrow.written || end) return;
    end = std::move(event);
    if (!arrow.from || !arrow.to) return;
    Write(*arrow.from);
    Write(*arrow.to);
    arrow = {std::nullopt, std::nullopt, true};
  }

  void Write(const JsonValue& event) {
    JsonWriter json;
    out_ << (events_ == 0 ? "\n" : ",\n") << json.Value(event).Take();
    ++events_;
  }

  std::ostream& out_;
  double shift_ns_ = 0;
  uint64_t events_ = 0;
  uint64_t lost_ = 0;
  std::map<Key, Arrow> arrows_;
  std::set<Key> open_;
};

}  // namespace

Result<> CheckTimelineFile(const std::string& path) {
  errno = 0;
  if (std::ofstream(path, std::ios::binary | std::ios::app)) return {};
  return CannotWrite(path);
}

Result<MergedTimeline> MergeTimeline(const std::string& folder,
                                     const std::vector<TimelineProcess>& processes,
                                     const std::string& out) {
  struct Part {
    std::string name;
    PartReader reader;
    JsonValue first;
    uint64_t began_ns = 0;
  };
  MergedTimeline merged;
  std::vector<Part> parts;
  uint64_t origin_ns = UINT64_MAX;
  for (const TimelineProcess& process : processes) {
    PartReader reader(folder + "/" + process.FileName());
    std::optional<JsonValue> first = reader.Next();
    const JsonValue* began = first ? FindFact(*first, kBeganKey) : nullptr;
    if (began == nullptr) {
      merged.absent.push_back(process.Name());
      continue;
    }
    const uint64_t began_ns = began->whole;
    origin_ns = std::min(origin_ns, began_ns);
    parts.push_back({process.Name(), std::move(reader), std::move(*first), began_ns});
  }

  errno = 0;
  std::ofstream file(out, std::ios::binary | std::ios::trunc);
  Merger merger(file);
  for (Part& part : parts) {
    merger.BeginPart(part.began_ns - origin_ns);
    merger.Take(std::move(part.first));
    StepWaits waits;
    while (std::optional<JsonValue> event = part.reader.Next()) {
      waits.Take(*event);
      merger.Take(std::move(*event));
    }
    if (waits.share()) merged.waits.emplace_back(part.name, *waits.share());
    if (!part.reader.whole()) merged.cut_off.push_back(part.name);
  }
  merger.Close();
  file.close();
  if (!file) return CannotWrite(out);
  merged.events = merger.events();
  merged.lost = merger.lost();
  return merged;
}

std::string Describe(const MergedTimeline& merged) {
  std::string words = std::to_string(merged.events) + " events; open it in ui.perfetto.dev";
  if (merged.lost > 0) {
    words += "; " + std::to_string(merged.lost) + " earlier events did not fit and are not there";
  }
  for (const auto& [name, share] : merged.waits) {
    words += "; " + name + " waited for " + config::FormatReal(std::round(share * 1000) / 10) +
             " % of its steps";
  }
  for (const std::string& name : merged.absent) words += "; " + name + " left none";
  for (const std::string& name : merged.cut_off) words += "; that of " + name + " is cut off";
  return words;
}

}  // namespace shardmill
