#pragma once

#include <string>

#include "common/blob/blob_store.h"
#include "common/result.h"
#include "snapshot/snapshot.h"

namespace shardmill {

// Writes a snapshot to one safetensors file that any reader of the format opens: a dense table
// whole under its name; a sparse one as NAME.keys and NAME.rows; with `state`, also NAME.slot.1 and
// so on, or NAME.state. Its metadata has what the job was, a key of its file each, and as NAME.seed
// that of rows which are not there. Streamed. Fails where names of tables are no names of tensors.
Result<> ExportSnapshot(Snapshot& snapshot, bool state, BlobStore& to, const std::string& name);

}  // namespace shardmill
