#pragma once

#include <cstdint>
#include <string>

#include "common/process/file_descriptor.h"

// Packets with files between two processes of one user on one host: Unix sockets in the abstract
// name space, so that nothing is left behind. Nothing here blocks, and nothing raises SIGPIPE.
namespace shardmill {

// What a packet says. What is not understood is the receiver's to refuse.
struct Packet {
  uint32_t kind = 0;
  uint32_t number = 0;
  uint64_t value = 0;
};

enum class Passed : uint8_t {
  kDone,
  kAgain,  // Nothing there, or no room: later.
  kGone,   // The other side has gone, or what it sends is no packet.
};

// Each is invalid where it cannot be had. The other side is a process of the same user, or there is
// none.
FileDescriptor ListenLocal(const std::string& token);
FileDescriptor ConnectLocal(const std::string& token);

// kAgain: nobody waits. kGone: who waited was a stranger, or the system is short of files.
Passed AcceptLocal(int listener, FileDescriptor& accepted);

Passed SendPacket(int socket, const Packet& packet, int file = -1);
// `file` becomes what came with the packet, if anything did.
Passed ReceivePacket(int socket, Packet& packet, FileDescriptor& file);

}  // namespace shardmill
