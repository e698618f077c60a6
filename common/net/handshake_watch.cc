#include "common/net/handshake_watch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <utility>

namespace shardmill {
namespace {

// "10.0.0.7:40000". By the time that we ask, the file may be closed or another's: then it is not
// known.
std::string PeerOf(int file) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (getpeername(file, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return std::string(text.data()) + ":" + std::to_string(ntohs(v4.sin_port));
  }
  if (address.ss_family != AF_INET6) return "";
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  return "[" + std::string(text.data()) + "]:" + std::to_string(ntohs(v6.sin6_port));
}

std::string WordsOf(int error) {
  switch (error) {
    case ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
      return "asks for another mechanism than CURVE: it has no keys, or a password";
    case ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC:
      return "uses a wrong key: it takes this process for another, or does not have the secret of "
             "the public key that it shows";
    default:
      return "speaks the protocol wrongly";
  }
}

}  // namespace

// ZeroMQ says that a handshake failed and then, of the same connection, that it ended.
void HandshakeWatch::Take(uint16_t event, int value) {
  switch (event) {
    case ZMQ_EVENT_ACCEPTED:
      accepted_[value] = {PeerOf(value), succeeded_};
      break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      ++succeeded_;
      break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      failed_ = WordsOf(value);
      break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
      failed_ = "went away, or was too slow, before it had proved who it is; it may have no keys";
      break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      judged_ = true;
      break;
    default:
      Refuse(value);
      break;
  }
}

void HandshakeWatch::Refuse(int file) {
  const auto known = accepted_.extract(file);
  const Accepted was = known.empty() ? Accepted{} : known.mapped();
  std::string words = std::exchange(failed_, "");
  if (std::exchange(judged_, false)) return;
  if (words.empty()) {
    // It went without a word. Where no handshake at all has succeeded since it came, its own did
    // not either: a greeting of an old version is refused so.
    if (known.empty() || succeeded_ > was.succeeded_before) return;
    words = "speaks no protocol of ours, or an old version that has no keys";
  }
  observer_.Refused({Stranger::Why::kHandshake, was.from, words});
}

}  // namespace shardmill
