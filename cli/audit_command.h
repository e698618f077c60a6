#pragma once

#include <string>

#include "cli/console.h"
#include "cli/trace_audit.h"
#include "common/flags/flags.h"
#include "common/result.h"

namespace shardmill {

// `shardmill audit TRACE`: proves from traces alone that each read kept to the policy and each step
// was made once. A violation is an error.
Result<> RunAudit(const AuditFlags& flags, const Console& console);

std::string ToJson(const AuditReport& report);
// For people: a table, what is wrong, and what is not proved.
std::string DescribeAudit(const AuditReport& report);

}  // namespace shardmill
