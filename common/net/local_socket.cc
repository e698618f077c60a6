#include "common/net/local_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace shardmill {
namespace {

// Connections that nobody has accepted yet.
constexpr int kBacklog = 128;

struct Name {
  sockaddr_un address{};
  socklen_t size = 0;
};

// Empty where the token is too long for a name.
Name NameOf(const std::string& token) {
  const std::string text = "shardmill-" + token;
  Name name;
  name.address.sun_family = AF_UNIX;
  if (text.size() + 1 > sizeof(name.address.sun_path)) return name;
  // A zero in front: no file has this name.
  std::ranges::copy(text, name.address.sun_path + 1);
  name.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  return name;
}

FileDescriptor Socket() {
  return FileDescriptor(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

bool IsOfThisUser(int socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && size == sizeof(peer) &&
         peer.uid == geteuid();
}

// Room for one file beside a packet.
union Control {
  cmsghdr header;
  std::byte bytes[CMSG_SPACE(sizeof(int))];
};

}  // namespace

FileDescriptor ListenLocal(const std::string& token) {
  const Name name = NameOf(token);
  FileDescriptor listener = Socket();
  if (name.size == 0 || !listener.valid() ||
      bind(listener.get(), reinterpret_cast<const sockaddr*>(&name.address), name.size) != 0 ||
      listen(listener.get(), kBacklog) != 0) {
    return {};
  }
  return listener;
}

FileDescriptor ConnectLocal(const std::string& token) {
  const Name name = NameOf(token);
  FileDescriptor connected = Socket();
  if (name.size == 0 || !connected.valid() ||
      connect(connected.get(), reinterpret_cast<const sockaddr*>(&name.address), name.size) != 0 ||
      !IsOfThisUser(connected.get())) {
    return {};
  }
  return connected;
}

Passed AcceptLocal(int listener, FileDescriptor& accepted) {
  accepted = FileDescriptor(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (accepted.valid()) return IsOfThisUser(accepted.get()) ? Passed::kDone : Passed::kGone;
  return errno == EAGAIN || errno == EINTR ? Passed::kAgain : Passed::kGone;
}

Passed SendPacket(int socket, const Packet& packet, int file) {
  iovec bytes{const_cast<Packet*>(&packet), sizeof(packet)};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  Control control{};
  if (file >= 0) {
    message.msg_control = &control;
    message.msg_controllen = sizeof(control);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &file, sizeof(file));
  }
  while (sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    const bool later = errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS;
    return later ? Passed::kAgain : Passed::kGone;
  }
  return Passed::kDone;
}

Passed ReceivePacket(int socket, Packet& packet, FileDescriptor& file) {
  iovec bytes{&packet, sizeof(packet)};
  Control control{};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = &control;
  // Without the padding, in which a second file would fit.
  message.msg_controllen = CMSG_LEN(sizeof(int));
  ssize_t size = -1;
  while ((size = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0) {
    if (errno == EINTR) continue;
    return errno == EAGAIN ? Passed::kAgain : Passed::kGone;
  }
  file.Close();
  // The kernel hands over no more files than there is room for.
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN(sizeof(int))) {
    int received = -1;
    std::memcpy(&received, CMSG_DATA(header), sizeof(received));
    file = FileDescriptor(received);
  }
  const bool whole = size == static_cast<ssize_t>(sizeof(packet)) &&
                     (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
  return whole ? Passed::kDone : Passed::kGone;
}

}  // namespace shardmill
