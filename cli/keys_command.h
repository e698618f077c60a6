#pragma once

#include "cli/console.h"
#include "common/flags/flags.h"
#include "common/result.h"

namespace shardmill {

// `shardmill keys`: the folder that security.keys names. No secret is ever printed.
Result<> RunKeysGen(const KeysGenFlags& flags, const Console& console);
Result<> RunKeysList(const KeysListFlags& flags, const Console& console);
Result<> RunKeysRevoke(const KeysRevokeFlags& flags, const Console& console);

}  // namespace shardmill
