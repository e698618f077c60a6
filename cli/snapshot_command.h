#pragma once

#include "cli/console.h"
#include "common/flags/flags.h"
#include "common/result.h"

namespace shardmill {

// `shardmill snapshot ls FOLDER`: the complete snapshots under a folder.
Result<> RunSnapshotLs(const SnapshotLsFlags& flags, const Console& console);

// `shardmill snapshot show SNAPSHOT`: what one says of itself.
Result<> RunSnapshotShow(const SnapshotShowFlags& flags, const Console& console);

// `shardmill snapshot verify SNAPSHOT`: reads all of it. Anything wrong is an error.
Result<> RunSnapshotVerify(const SnapshotVerifyFlags& flags, const Console& console);

// `shardmill snapshot export SNAPSHOT FILE`: one safetensors file of it.
Result<> RunSnapshotExport(const SnapshotExportFlags& flags, const Console& console);

}  // namespace shardmill
