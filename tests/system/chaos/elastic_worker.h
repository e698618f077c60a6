#pragma once

#include "tests/system/chaos/probe.h"

namespace shardmill::chaos {

// The job was over, or the process before this one had come to its end and not said so.
bool CameTooLate(const Error& error);

// A worker that leases rows, and adds a one for each that it uses at the row's place in a table. It
// ends when all rows are used in all epochs and it has read that table, or at SIGTERM, between two
// steps.
Result<> RunElastic(const WorkerPlan& plan, JournalWriter journal);

}  // namespace shardmill::chaos
