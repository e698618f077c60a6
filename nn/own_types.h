#pragma once

#include <span>
#include <string>

#include "common/result.h"
#include "nn/build_id.h"
#include "nn/layer_type.h"
#include "nn/loss.h"
#include "nn/open_library.h"

namespace shardmill::nn {

// The function that a library of the user's own has, with C linkage:
// const LibraryHead* shardmill_own_types(). It gives the head of an OwnTypes.
inline constexpr const char kOwnTypesEntry[] = "shardmill_own_types";

// Layers and losses of the user's own, whose names have "::" in them. A layer that works on the
// numbers themselves rather than through the Backend is one of the CPU. Literals of the library,
// which any thread may read; see examples/own_layer.
struct OwnTypes {
  LibraryHead head{sizeof(OwnTypes), kBuildId};
  std::span<const LayerType> layers = {};
  std::span<const LossType> losses = {};
};

// Opens the library of that path. Fails as OpenLibrary does.
Result<const OwnTypes*> OpenOwnTypes(const std::string& path);

// Whether a job file means a type of the user's own.
inline bool IsOwnType(std::string_view name) { return name.find("::") != std::string_view::npos; }

}  // namespace shardmill::nn
