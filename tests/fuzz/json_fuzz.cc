// JSON, and the status of a job that is made of it. The input is the document.
#include "common/json/json.h"
#include "common/status/job_status.h"
#include "tests/fuzz/input.h"

namespace shardmill::fuzz {

void Try(Input input) {
  const std::string_view text = TextOf(input);
  const Result<JsonValue> value = ParseJson(text);
  const Result<JobStatus> status = ParseJobStatus(text);
  if (!value.ok()) return Check(!status.ok(), "a status is JSON");
  const std::string first = JsonWriter().Value(value.value()).Take();
  const Result<JsonValue> again = ParseJson(first);
  Check(again.ok(), "what we write of a value that we took is taken");
  Check(JsonWriter().Value(again.value()).Take() == first, "it is the same value");
  if (!status.ok()) return;
  const std::string written = ToJson(status.value());
  const Result<JobStatus> same = ParseJobStatus(written);
  Check(same.ok() && ToJson(same.value()) == written, "it is the same status");
}

std::vector<std::string> Seeds() {
  JobStatus status;
  status.workers.resize(2);
  status.shards.resize(2);
  return {ToJson(status), R"([1e3, -0.5, 18446744073709551615, "\u00e9\ud83d\ude00\n", null])",
          R"({"a": {"b": [true, false]}, "": []})"};
}

}  // namespace shardmill::fuzz
