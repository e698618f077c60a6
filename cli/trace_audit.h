#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"
#include "server/trace_format.h"

namespace shardmill {

// Something that a trace says and that may not be.
struct TraceViolation {
  uint32_t shard = 0;
  uint64_t line = 0;  // Of the shard's trace; 0: about the trace as a whole.
  std::string words;
};

// What an audit has found. Few of many violations are kept; the count is of all.
struct AuditReport {
  struct Shard {
    uint32_t id = 0;
    uint64_t applied = 0;
    uint64_t served = 0;
    uint64_t staleness_max = 0;
    std::string flaw;  // Of the trace's end; see TraceReader.
  };

  Policy policy;
  std::vector<Shard> shards;  // By id.
  std::vector<TraceViolation> violations;
  uint64_t violations_found = 0;
  std::vector<std::string> notes;  // What is not proved, and why.
};

inline constexpr size_t kViolationsKeptMax = 100;

// Follows one shard's trace and checks each event against those before it: from views and entries
// alone it knows who has ended what, and with that whether a read was allowed. It shares no code
// with the shard that it checks. Owned by an audit, on its thread. What is wrong becomes a
// violation, after which it goes on from what the trace says.
class ShardAudit final {
 public:
  explicit ShardAudit(const TraceHead& head);

  void Take(uint64_t line, const TraceEvent& event);
  void SetFlaw(std::string flaw) { totals_.flaw = std::move(flaw); }

  const TraceHead& head() const { return head_; }
  const AuditReport::Shard& totals() const { return totals_; }
  const std::vector<TraceViolation>& violations() const { return violations_; }
  uint64_t violations_found() const { return violations_found_; }

  // What this shard and another have made of the same steps. Violations are this one's.
  void CompareWith(const ShardAudit& other);

 private:
  struct Rank {
    uint64_t incarnation = 0;
    int64_t base = 0;
    bool member = false;
    Step ended = 0;
    std::set<Step> discarded;
  };
  using EndedByRank = std::map<uint32_t, Step>;

  void TakeView(const View& view);
  void TakeRestored(const TraceRestored& restored);
  void TakeEntry(const LogEntry& entry);
  void TakeStep(const Contribution& made);
  void TakeServed(const TraceServed& served);
  void Expect(bool holds, const std::string& words);
  EndedByRank Ended() const;
  uint64_t RoundAfter(const Rank& rank, Step step) const;
  uint64_t Closed() const;
  void CompareSteps(const ShardAudit& other, const EndedByRank& own, const EndedByRank& others,
                    Step apart, const std::string& when);

  TraceHead head_;
  AuditReport::Shard totals_;
  uint64_t line_ = 0;
  uint64_t view_ = 0;
  uint64_t version_ = 0;
  std::map<uint32_t, Rank> ranks_;
  std::map<uint64_t, EndedByRank> at_view_;  // What was ended when a view was taken.
  std::vector<TraceViolation> violations_;   // The first ones.
  uint64_t violations_found_ = 0;
};

// Audits the traces of one run. An error: a file that cannot be read as a trace, or traces that are
// not of one run.
Result<AuditReport> AuditTraces(const std::vector<std::string>& paths);

}  // namespace shardmill
