#include "worker/track/tracker.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "common/json/json.h"

namespace shardmill {

Result<std::unique_ptr<Tracker>> Tracker::Make(const std::string& folder, const std::string& name,
                                               double unix_seconds) {
  const std::string events_folder = folder + "/" + name;
  std::error_code why;
  std::filesystem::create_directories(events_folder, why);
  if (why) {
    return Error{ErrorCode::kFailed,
                 events_folder + ": the folder cannot be made: " + why.message()};
  }
  std::unique_ptr<EventFile> events =
      SM_TRY(EventFile::Make(events_folder, std::to_string(getpid()) + ".shardmill", unix_seconds));
  std::unique_ptr<Tracker> tracker(new Tracker(folder + "/" + name, std::move(events)));
  if (tracker->lines_.good()) return tracker;
  return Error{ErrorCode::kFailed, tracker->lines_path_ + ": it cannot be opened"};
}

Tracker::Tracker(const std::string& path, std::unique_ptr<EventFile> events)
    : path_(path),
      lines_path_(path + ".jsonl"),
      lines_(lines_path_, std::ios::app),
      events_(std::move(events)) {}

Result<> Tracker::WriteLeftOut(const std::vector<std::string>& rows) {
  if (rows.empty()) return {};
  std::ofstream file(path_ + std::string(kLeftOutEnding));
  for (const std::string& row : rows) file << row << "\n";
  file.close();
  if (file.good()) return {};
  return Error{ErrorCode::kFailed, path_ + ": the rows that were left out cannot be written"};
}

Result<> Tracker::WriteComputed(const std::string& json) {
  std::ofstream file(path_ + std::string(kComputedEnding));
  file << json << "\n";
  file.close();
  if (file.good()) return {};
  return Error{ErrorCode::kFailed, path_ + ": what the device did cannot be written"};
}

Result<> Tracker::Write(double unix_seconds, const TrackPoint& point) {
  JsonWriter json;
  json.BeginObject().Key("time").Number(unix_seconds);
  json.Key("step").Whole(point.step).Key("epoch").Whole(point.epoch);
  json.Key("seconds").Number(point.seconds).Key("samples").Number(point.samples);
  json.Key("values").BeginObject();
  for (const auto& [name, value] : point.values) json.Key(name).Number(value);
  json.EndObject().EndObject();
  lines_ << json.Take() << "\n" << std::flush;
  if (!lines_.good()) return Error{ErrorCode::kFailed, lines_path_ + ": it cannot be written"};
  return events_->Write(unix_seconds, point.step, point.values);
}

}  // namespace shardmill
