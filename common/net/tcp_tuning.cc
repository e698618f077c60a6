#include "common/net/tcp_tuning.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "common/process/file_descriptor.h"

namespace shardmill {
namespace {

// Without pacing; every kernel has the second, and any user may.
constexpr std::string_view kUnpaced = "cubic";
constexpr std::string_view kUnpacedEverywhere = "reno";

// The address without the port.
std::string AddressOf(const sockaddr_storage& socket) {
  if (socket.ss_family == AF_INET) {
    const auto& address = reinterpret_cast<const sockaddr_in&>(socket).sin_addr;
    return {reinterpret_cast<const char*>(&address), sizeof(address)};
  }
  const auto& address = reinterpret_cast<const sockaddr_in6&>(socket).sin6_addr;
  return {reinterpret_cast<const char*>(&address), sizeof(address)};
}

// Who speaks to its own address speaks to its own host.
bool IsWithinHost(int file) {
  sockaddr_storage ours{};
  sockaddr_storage theirs{};
  socklen_t ours_size = sizeof(ours);
  socklen_t theirs_size = sizeof(theirs);
  if (getsockname(file, reinterpret_cast<sockaddr*>(&ours), &ours_size) != 0) return false;
  if (getpeername(file, reinterpret_cast<sockaddr*>(&theirs), &theirs_size) != 0) return false;
  return ours.ss_family == theirs.ss_family && AddressOf(ours) == AddressOf(theirs);
}

bool SetControl(int file, std::string_view name) {
  return setsockopt(file, IPPROTO_TCP, TCP_CONGESTION, name.data(),
                    static_cast<socklen_t>(name.size())) == 0;
}

}  // namespace

Result<> CheckTuning(const TcpTuning& tuning) {
  const std::string& name = tuning.congestion_control;
  if (name == kSystemControl || name == kAutoControl) return {};
  const FileDescriptor probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe.valid() || SetControl(probe.get(), name)) return {};
  std::string allowed;
  std::getline(std::ifstream("/proc/sys/net/ipv4/tcp_allowed_congestion_control"), allowed);
  return Error{ErrorCode::kBadUsage, "network.congestion_control is \"" + name +
                                         "\", which this kernel does not let this user have (" +
                                         std::strerror(errno) + "); it has: " + allowed};
}

void SetCongestionControl(int file, const TcpTuning& tuning) {
  const std::string& name = tuning.congestion_control;
  if (name == kSystemControl) return;
  if (name != kAutoControl) {
    SetControl(file, name);
  } else if (IsWithinHost(file) && !SetControl(file, kUnpaced)) {
    SetControl(file, kUnpacedEverywhere);
  }
}

}  // namespace shardmill
