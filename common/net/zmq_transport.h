#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "common/net/tcp_tuning.h"
#include "common/net/transport.h"

namespace shardmill {

// ZeroMQ's IO threads. Made in main (or by a session), outlives every transport made with it; any
// thread. ZeroMQ stays out of this header.
class ZmqContext final {
 public:
  // The IO threads run on these CPUs alone; none: wherever the kernel puts them.
  explicit ZmqContext(int io_threads, std::span<const uint32_t> io_cpus = {});
  ~ZmqContext();
  ZmqContext(const ZmqContext&) = delete;
  ZmqContext& operator=(const ZmqContext&) = delete;

 private:
  friend class ZmqTransport;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct ZmqOptions {
  uint64_t message_bytes_max = uint64_t{512} << 20;  // Payload of one multipart message.
  uint32_t frames_max = 4096;                        // Of one multipart message.
  uint32_t peers_max = 65536;                        // Remembered of those who connect to us.
  int queue_messages_max = 10000;                    // Each way, a peer.
  // Payload on its way to one peer: who does not read must not cost the sender its memory. One
  // message always has room.
  uint64_t queue_bytes_max = uint64_t{256} << 20;
  int linger_ms = 500;  // For what is queued when a socket closes.
  TcpTuning tcp = {};
};

// A file that is waited for beside the sockets.
struct WatchedFile {
  int file = -1;
  bool ready = false;  // It can be read, or its other end has gone.
};

// Frames over ZeroMQ: one ROUTER where the agent listens, one DEALER a peer that it connects to.
// Owned by one agent, on its thread. Large frames leave and arrive without a copy. A message over
// the limits comes as one without frames, so that whoever decodes it counts it; a single frame over
// them ends its connection.
class ZmqTransport final : public Transport {
 public:
  ZmqTransport(ZmqContext& context, const ZmqOptions& options);
  ~ZmqTransport() override;

  Result<std::string> Bind(const std::string& endpoint) override;
  Result<PeerId> Connect(const std::string& endpoint) override;
  void Disconnect(PeerId peer) override;
  Sent Send(PeerId peer, std::span<const Frame> frames) override;
  Result<> Poll(std::chrono::milliseconds timeout, Inbox& inbox) override;
  std::string Trouble(PeerId peer) const override;

  // Poll, which the files end too.
  Result<> PollBeside(std::span<WatchedFile> files, std::chrono::milliseconds timeout,
                      Inbox& inbox);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shardmill
