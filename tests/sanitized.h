#pragma once

namespace shardmill {

// Whether this test runs under a sanitizer, where memory is not what it is and time is short.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace shardmill
