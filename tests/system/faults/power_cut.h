#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/rng.h"
#include "tests/system/faults/disk_notes.h"

namespace shardmill::chaos {

// What a power cut has undone.
struct PowerCut {
  uint64_t known = 0;  // Files of which it was noted how much was on disk.
  uint64_t names = 0;  // Made, renamed or removed, and as before again.
  uint64_t cut = 0;    // Files that are shorter,
  uint64_t torn = 0;   // or have sectors in them that never came.
};

// Leaves of what lies in a folder at these names, and below, what a disk may have after the power
// was cut, whose writers are gone: names whose folder was not synced since are as they were before
// or as they are, each by its own chance, and a file that was replaced or removed is back with what
// it had; of what was written since a file was synced the end is missing, or sectors in it are
// zeros. Then all that is there lasts.
Result<PowerCut> CutPower(Rng& rng, const DiskNotes& notes, const std::string& folder,
                          const std::vector<std::string>& names);

}  // namespace shardmill::chaos
