#pragma once

#include <span>

namespace shardmill {

// Whether no value is NaN or infinite; or, with `infinite`, no value NaN. As fast as the cache
// gives; done soon where such a value comes early.
bool AllNumbers(std::span<const float> values, bool infinite = false);

}  // namespace shardmill
