#pragma once

#include <optional>

#include "client/session.h"
#include "common/result.h"
#include "common/view.h"
#include "worker/data/row.h"

namespace shardmill {

// Weights are of ids, and ids stand for words in the order in which they were read: with other
// files the same id may be another word, or another class. What the ids and columns of a worker's
// data mean is the name of a table without rows, which stays with the job's tables and their
// snapshots; none where there are neither words nor columns with names.
std::optional<TableSpec> MeaningTable(const Columns& columns);

// What is wrong where it is not the same.
Error OtherMeaning();

// Fails where others of the job, or the run whose snapshot it goes on from, have data that mean
// something else.
Result<> CheckMeaning(Session& session, const Columns& columns);

}  // namespace shardmill
