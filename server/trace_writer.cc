#include "server/trace_writer.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

namespace shardmill {
namespace {

constexpr size_t kGatheredBytesMax = size_t{256} << 10;
constexpr std::chrono::seconds kWriteEvery{1};

}  // namespace

Result<std::unique_ptr<TraceWriter>> TraceWriter::Make(const std::string& folder, ShardId shard,
                                                       uint32_t workers, const Log& log) {
  std::error_code why;
  std::filesystem::create_directories(folder, why);
  std::string path = folder + "/shard-" + std::to_string(shard.value) + std::string(kTraceSuffix);
  std::unique_ptr<TraceWriter> writer(new TraceWriter(std::move(path), shard, workers, log));
  if (writer->file_) return writer;
  const std::string words = why ? why.message() : std::generic_category().message(errno);
  writer->closed_ = true;
  return Error{ErrorCode::kFailed,
               writer->path_ + ": the trace cannot be written: " + words + "; see trace.folder"};
}

TraceWriter::TraceWriter(std::string path, ShardId shard, uint32_t workers, const Log& log)
    : path_(std::move(path)),
      shard_(shard),
      workers_(workers),
      log_(log),
      file_(path_, std::ios::binary | std::ios::trunc) {}

TraceWriter::~TraceWriter() { Close(); }

void TraceWriter::TookView(JobId job, const View& view) {
  if (events_ == 0) {
    const auto shards = static_cast<uint32_t>(view.shards.size());
    Add(FormatTrace(TraceHead{job, shard_, shards, workers_, view.policy}));
  }
  Add(FormatTrace(view));
}

void TraceWriter::Restored(uint64_t version, const std::vector<RankState>& ranks) {
  Add(FormatTrace(TraceRestored{version, ranks}));
}

void TraceWriter::Applied(const LogEntry& entry) { Add(FormatTrace(entry)); }

void TraceWriter::Served(const Pull& pull, BootId /*reader*/, const Pulled& answer) {
  TraceServed served{pull, answer.closed, answer.version, answer.staleness};
  Add(FormatTrace(served));
}

void TraceWriter::Tick(TimePoint now) {
  if (written_at_ && now - *written_at_ < kWriteEvery) return;
  written_at_ = now;
  Write();
}

void TraceWriter::Close() {
  if (closed_) return;
  Add(FormatTrace(TraceEnd{events_}));
  Write();
  closed_ = true;
  file_.close();
}

void TraceWriter::Add(const std::string& line) {
  if (broken_ || closed_) {
    ++lost_;
    return;
  }
  ++events_;
  ++gathered_events_;
  gathered_ += line;
  gathered_ += '\n';
  if (gathered_.size() >= kGatheredBytesMax) Write();
}

// Whatever was gathered is gone afterwards: a disk that is full must not fill the memory too.
void TraceWriter::Write() {
  if (gathered_.empty()) return;
  errno = 0;
  file_.write(gathered_.data(), static_cast<std::streamsize>(gathered_.size()));
  file_.flush();
  if (!file_) {
    broken_ = true;
    lost_ += gathered_events_;
    log_.Error("trace_broken", {{"shard", shard_.value},
                                {"file", path_},
                                {"why", std::generic_category().message(errno)}});
  }
  gathered_.clear();
  gathered_events_ = 0;
}

}  // namespace shardmill
