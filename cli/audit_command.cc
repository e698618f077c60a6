#include "cli/audit_command.h"

#include <algorithm>
#include <ostream>
#include <vector>

#include "cli/table.h"
#include "cli/trace_reader.h"
#include "cli/train_result.h"
#include "common/json/json.h"

namespace shardmill {
namespace {

std::string Count(uint64_t count) { return FormatCount(static_cast<double>(count)); }

std::string BoundWords(const Policy& policy) {
  if (!policy.bounded) return "no bound";
  return "the bound is " + std::to_string(policy.staleness);
}

AuditReport::Shard SumOf(const AuditReport& report) {
  AuditReport::Shard sum;
  for (const AuditReport::Shard& shard : report.shards) {
    sum.applied += shard.applied;
    sum.served += shard.served;
    sum.staleness_max = std::max(sum.staleness_max, shard.staleness_max);
  }
  return sum;
}

}  // namespace

std::string ToJson(const AuditReport& report) {
  const AuditReport::Shard sum = SumOf(report);
  JsonWriter json;
  json.BeginObject().Key("shards").Whole(report.shards.size());
  json.Key("applied").Whole(sum.applied).Key("served").Whole(sum.served);
  json.Key("staleness_max").Whole(sum.staleness_max);
  json.Key("violations_found").Whole(report.violations_found);
  json.Key("violations").BeginList();
  for (const TraceViolation& violation : report.violations) {
    json.BeginObject().Key("shard").Whole(violation.shard).Key("line").Whole(violation.line);
    json.Key("words").Text(violation.words).EndObject();
  }
  json.EndList().Key("notes").BeginList();
  for (const std::string& note : report.notes) json.Text(note);
  return json.EndList().EndObject().Take();
}

std::string DescribeAudit(const AuditReport& report) {
  std::vector<TableRow> rows = {{"shard", "applied", "served", "staleness"}};
  for (const AuditReport::Shard& shard : report.shards) {
    rows.push_back({std::to_string(shard.id), Count(shard.applied), Count(shard.served),
                    std::to_string(shard.staleness_max)});
  }
  std::string text = AlignTable(rows) + "\n";
  for (const TraceViolation& violation : report.violations) {
    text += "shard " + std::to_string(violation.shard);
    if (violation.line > 0) text += ", line " + std::to_string(violation.line);
    text += ": " + violation.words + "\n";
  }
  if (report.violations_found > report.violations.size()) {
    text += "and " + Count(report.violations_found - report.violations.size()) + " more\n";
  }
  for (const std::string& note : report.notes) text += "note: " + note + "\n";
  const AuditReport::Shard sum = SumOf(report);
  return text + Count(report.violations_found) + " violations in " + Count(sum.applied) +
         " changes and " + Count(sum.served) + " reads; staleness at most " +
         std::to_string(sum.staleness_max) + ", " + BoundWords(report.policy) + "\n";
}

Result<> RunAudit(const AuditFlags& flags, const Console& console) {
  std::vector<std::string> paths;
  for (const std::string& trace : flags.traces) {
    const std::vector<std::string> found = SM_TRY(FindTraces(trace));
    paths.insert(paths.end(), found.begin(), found.end());
  }
  const AuditReport report = SM_TRY(AuditTraces(paths));
  console.out << (flags.json ? ToJson(report) + "\n" : DescribeAudit(report)) << std::flush;
  if (report.violations_found == 0) return {};
  return Error{ErrorCode::kFailed, Count(report.violations_found) + " violations were found"};
}

}  // namespace shardmill
