#include "server/trace_format.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "common/json/json.h"

namespace shardmill {
namespace {

constexpr std::string_view kPerStep = "per_step";
constexpr std::string_view kOnArrival = "on_arrival";

JsonWriter Begin(std::string_view event) {
  JsonWriter json;
  json.BeginObject().Key("event").Text(event);
  return json;
}

// Takes fields out of an object, one by one, and remembers the first that is not as it should be.
class Fields final {
 public:
  Fields(const JsonValue& json, std::string& problem) : json_(json), problem_(problem) {
    if (json.kind != JsonValue::Kind::kObject) Fail("is no object");
  }

  const JsonValue* Take(const char* key, JsonValue::Kind kind) {
    ++taken_;
    const JsonValue* value = json_.Find(key);
    if (value != nullptr && value->kind == kind) return value;
    Fail(std::string("has no \"") + key + "\" of the right kind");
    return nullptr;
  }

  template <class T>
  void Whole(const char* key, T& into) {
    const JsonValue* value = Take(key, JsonValue::Kind::kNumber);
    if (value == nullptr) return;
    if (!value->is_whole || value->whole > std::numeric_limits<T>::max()) {
      Fail(std::string("has a \"") + key + "\" out of range");
      return;
    }
    into = static_cast<T>(value->whole);
  }

  template <class Tag, class Rep>
  void Whole(const char* key, Id<Tag, Rep>& into) {
    Whole(key, into.value);
  }

  void Number(const char* key, double& into) {
    const JsonValue* value = Take(key, JsonValue::Kind::kNumber);
    if (value != nullptr) into = value->number;
  }

  void Flag(const char* key, bool& into) {
    const JsonValue* value = Take(key, JsonValue::Kind::kFlag);
    if (value != nullptr) into = value->flag;
  }

  void Text(const char* key, std::string& into) {
    const JsonValue* value = Take(key, JsonValue::Kind::kText);
    if (value != nullptr) into = value->text;
  }

  // Calls `each(item)` for the items of a list.
  template <class Each>
  void List(const char* key, Each each) {
    const JsonValue* value = Take(key, JsonValue::Kind::kList);
    if (value == nullptr) return;
    for (const JsonValue& item : value->items) each(item);
  }

  void Fail(std::string words) {
    if (problem_.empty()) problem_ = std::move(words);
  }

  // Says what is there beyond what was taken.
  void Done() {
    if (json_.members.size() > taken_) Fail("has a field that it should not have");
  }

 private:
  const JsonValue& json_;
  std::string& problem_;
  size_t taken_ = 0;
};

TraceHead ReadHead(Fields& fields, std::string& problem) {
  TraceHead head;
  uint64_t format = 0;
  fields.Whole("format", format);
  if (format != kTraceFormat) {
    fields.Fail("is of format " + std::to_string(format) + ", and this program reads " +
                std::to_string(kTraceFormat));
  }
  fields.Whole("job", head.job);
  fields.Whole("shard", head.shard);
  fields.Whole("shards", head.shards);
  fields.Whole("workers", head.workers);
  const JsonValue* json = fields.Take("policy", JsonValue::Kind::kObject);
  if (json == nullptr) return head;
  Fields policy(*json, problem);
  std::string apply;
  policy.Text("apply", apply);
  if (apply != kPerStep && apply != kOnArrival) policy.Fail("has an unknown \"apply\"");
  head.policy.apply = apply == kPerStep ? ApplyRule::kPerStep : ApplyRule::kOnArrival;
  policy.Flag("bounded", head.policy.bounded);
  policy.Whole("staleness", head.policy.staleness);
  policy.Whole("backups", head.policy.backups);
  policy.Done();
  return head;
}

View ReadView(Fields& fields, std::string& problem) {
  View view;
  fields.Whole("number", view.number);
  fields.List("members", [&](const JsonValue& json) {
    Fields item(json, problem);
    Member& member = view.members.emplace_back();
    item.Whole("rank", member.rank);
    item.Whole("incarnation", member.incarnation);
    double base = 0;
    item.Number("base", base);
    constexpr double kBaseMax = 1e15;  // Whole numbers up to here are exact.
    if (base >= -kBaseMax && base <= kBaseMax) {
      member.base = static_cast<int64_t>(base);
    } else {
      item.Fail("has a \"base\" out of range");
    }
    item.Done();
  });
  fields.List("tables", [&](const JsonValue& json) {
    Fields item(json, problem);
    TablePlace& table = view.tables.emplace_back();
    item.Whole("table", table.id);
    item.Text("name", table.spec.name);
    item.Whole("size", table.spec.size);
    item.Whole("dim", table.spec.dim);
    item.List("cuts", [&](const JsonValue& cut) {
      if (!cut.is_whole) item.Fail("has a cut that is no whole number");
      table.cuts.push_back(cut.whole);
    });
    item.Done();
  });
  return view;
}

TraceRestored ReadRestored(Fields& fields, std::string& problem) {
  TraceRestored restored;
  fields.Whole("version", restored.version);
  fields.List("ranks", [&](const JsonValue& json) {
    Fields item(json, problem);
    RankState& state = restored.ranks.emplace_back();
    item.Whole("rank", state.rank);
    item.Whole("ended", state.ended);
    item.Done();
  });
  return restored;
}

LogEntry ReadEntry(Fields& fields, std::string& problem) {
  LogEntry entry;
  fields.Whole("version", entry.version);
  fields.List("made", [&](const JsonValue& json) {
    Fields item(json, problem);
    Contribution& made = entry.made.emplace_back();
    item.Whole("rank", made.rank);
    item.Whole("step", made.step);
    item.Number("samples", made.samples);
    item.Flag("discarded", made.discarded);
    item.Done();
  });
  fields.List("tables", [&](const JsonValue& json) {
    Fields item(json, problem);
    TableChange& change = entry.changes.emplace_back();
    item.Whole("table", change.table);
    double rate = 0;
    item.Number("rate", rate);
    change.rate = static_cast<float>(std::clamp<double>(rate, std::numeric_limits<float>::lowest(),
                                                        std::numeric_limits<float>::max()));
    item.Done();
  });
  return entry;
}

TraceServed ReadServed(Fields& fields) {
  TraceServed served;
  Pull& pull = served.pull;
  fields.Whole("rank", pull.sender.rank);
  fields.Whole("incarnation", pull.sender.incarnation);
  fields.Whole("step", pull.step);
  fields.Whole("pull", pull.pull);
  fields.Whole("table", pull.table);
  fields.Whole("begin", pull.begin);
  fields.Whole("count", pull.count);
  fields.Whole("keys", pull.keys.id);
  fields.Whole("closed_min", pull.closed_min);
  fields.Whole("closed", served.closed);
  fields.Whole("version", served.version);
  fields.Whole("staleness", served.staleness);
  return served;
}

TraceEnd ReadEnd(Fields& fields) {
  TraceEnd end;
  fields.Whole("events", end.events);
  return end;
}

}  // namespace

std::string FormatTrace(const TraceHead& head) {
  JsonWriter json = Begin("trace");
  json.Key("format").Whole(kTraceFormat).Key("job").Whole(head.job.value);
  json.Key("shard").Whole(head.shard.value).Key("shards").Whole(head.shards);
  json.Key("workers").Whole(head.workers).Key("policy").BeginObject();
  json.Key("apply").Text(head.policy.apply == ApplyRule::kPerStep ? kPerStep : kOnArrival);
  json.Key("bounded").Flag(head.policy.bounded).Key("staleness").Whole(head.policy.staleness);
  json.Key("backups").Whole(head.policy.backups).EndObject();
  return json.EndObject().Take();
}

std::string FormatTrace(const View& view) {
  JsonWriter json = Begin("view");
  json.Key("number").Whole(view.number.value).Key("members").BeginList();
  for (const Member& member : view.members) {
    json.BeginObject().Key("rank").Whole(member.rank.value);
    json.Key("incarnation").Whole(member.incarnation.value);
    json.Key("base").Number(static_cast<double>(member.base)).EndObject();
  }
  json.EndList().Key("tables").BeginList();
  for (const TablePlace& table : view.tables) {
    json.BeginObject().Key("table").Whole(table.id.value).Key("name").Text(table.spec.name);
    json.Key("size").Whole(table.spec.size).Key("dim").Whole(table.spec.dim);
    json.Key("cuts").BeginList();
    for (const uint64_t cut : table.cuts) json.Whole(cut);
    json.EndList().EndObject();
  }
  json.EndList();
  return json.EndObject().Take();
}

std::string FormatTrace(const TraceRestored& restored) {
  JsonWriter json = Begin("restored");
  json.Key("version").Whole(restored.version).Key("ranks").BeginList();
  for (const RankState& state : restored.ranks) {
    json.BeginObject().Key("rank").Whole(state.rank.value);
    json.Key("ended").Whole(state.ended).EndObject();
  }
  json.EndList();
  return json.EndObject().Take();
}

std::string FormatTrace(const LogEntry& entry) {
  JsonWriter json = Begin("applied");
  json.Key("version").Whole(entry.version).Key("made").BeginList();
  for (const Contribution& made : entry.made) {
    json.BeginObject().Key("rank").Whole(made.rank.value).Key("step").Whole(made.step);
    json.Key("samples").Number(made.samples).Key("discarded").Flag(made.discarded).EndObject();
  }
  json.EndList().Key("tables").BeginList();
  for (const TableChange& change : entry.changes) {
    json.BeginObject().Key("table").Whole(change.table.value);
    json.Key("rate").Number(static_cast<double>(change.rate)).EndObject();
  }
  json.EndList();
  return json.EndObject().Take();
}

std::string FormatTrace(const TraceServed& served) {
  const Pull& pull = served.pull;
  JsonWriter json = Begin("served");
  json.Key("rank").Whole(pull.sender.rank.value);
  json.Key("incarnation").Whole(pull.sender.incarnation.value);
  json.Key("step").Whole(pull.step).Key("pull").Whole(pull.pull);
  json.Key("table").Whole(pull.table.value).Key("begin").Whole(pull.begin);
  json.Key("count").Whole(pull.count).Key("keys").Whole(pull.keys.id);
  json.Key("closed_min").Whole(pull.closed_min).Key("closed").Whole(served.closed);
  json.Key("version").Whole(served.version).Key("staleness").Whole(served.staleness);
  return json.EndObject().Take();
}

std::string FormatTrace(const TraceEnd& end) {
  JsonWriter json = Begin("end");
  json.Key("events").Whole(end.events);
  return json.EndObject().Take();
}

Result<TraceEvent> ParseTrace(std::string_view line) {
  const JsonValue json = SM_TRY(ParseJson(line));
  std::string problem;
  Fields fields(json, problem);
  std::string name;
  fields.Text("event", name);
  TraceEvent event;
  if (name == "trace") {
    event = ReadHead(fields, problem);
  } else if (name == "view") {
    event = ReadView(fields, problem);
  } else if (name == "restored") {
    event = ReadRestored(fields, problem);
  } else if (name == "applied") {
    event = ReadEntry(fields, problem);
  } else if (name == "served") {
    event = ReadServed(fields);
  } else if (name == "end") {
    event = ReadEnd(fields);
  } else {
    fields.Fail("is no event that a trace has");
  }
  fields.Done();
  if (problem.empty()) return event;
  return Error{ErrorCode::kBadInput,
               (name.empty() ? "the line" : "\"" + name + "\"") + " " + problem};
}

}  // namespace shardmill
