#pragma once

#include <cstdint>

#include "nn/backend_plugin.h"
#include "tests/nn/soft_card/settings.h"

namespace shardmill::nn {

// The card of software in the library that tests open, which is there once in a program.
const soft::Control& SoftCard();

// Where that library lies, from where tests run.
inline constexpr const char kSoftCardLibrary[] = "tests/nn/soft_card/libshardmill_soft_card.so";

// A backend on that card, begun anew: nobody else may use it.
Result<LoadedPlugin::BackendPointer> OpenSoftCard(const soft::Settings& card,
                                                  const BackendSettings& settings = {});

}  // namespace shardmill::nn
