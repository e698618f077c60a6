#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"

namespace shardmill {

// What a TCP connection asks of the kernel, each end for itself.
struct TcpTuning {
  // A congestion control that the kernel has ("cubic"), kSystemControl, or kAutoControl.
  std::string congestion_control = "auto";
  uint64_t send_buffer = 0;  // Bytes; 0: as the system does.
  uint64_t receive_buffer = 0;
};

inline constexpr std::string_view kSystemControl = "system";
// The system's, but between processes of one host one that does not pace: there is no network whose
// congestion could be controlled.
inline constexpr std::string_view kAutoControl = "auto";

// Whether this kernel lets this user have it.
Result<> CheckTuning(const TcpTuning& tuning);

// Sets what can be set on a connection that is there. A file that is none any more, or another,
// stays as it is.
void SetCongestionControl(int file, const TcpTuning& tuning);

}  // namespace shardmill
