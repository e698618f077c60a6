#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "common/keys/key_ring.h"
#include "common/net/stranger.h"
#include "common/net/tcp_tuning.h"
#include "common/net/transport.h"

namespace shardmill {

// ZeroMQ's IO threads. Made in main (or by a session), outlives every transport made with it; any
// thread. ZeroMQ stays out of this header.
//
// With keys, every connection is encrypted, and both sides prove who they are; who listens lets in
// whom the list of its keys names, and tells the observer of all others. Without an observer nobody
// listens. Both outlive the context.
class ZmqContext final {
 public:
  // The IO threads run on these CPUs alone; none: wherever the kernel puts them.
  explicit ZmqContext(int io_threads, std::span<const uint32_t> io_cpus = {},
                      KeyRing* keys = nullptr, GateObserver* observer = nullptr);
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
  int linger_ms = 500;        // For what is queued when a socket closes.
  int handshake_ms = 10'000;  // For who connects to us to prove who it is.
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
// them ends its connection. With keys, messages say who sent them, and the connection of a key that
// was taken off the list ends when the next message comes; nothing is sent to it.
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
  Reach reach() const override;

  // Poll in two parts, of which the files end the second too. The identities of messages that
  // came before are there until the first.
  void TakeList();
  Result<> PollBeside(std::span<WatchedFile> files, std::chrono::milliseconds timeout,
                      Inbox& inbox);

  // None of this where there are no keys. The key that a peer has proved to have; who has that key,
  // null where it is not let in.
  bool has_keys() const;
  const KeyPair& own() const;
  std::optional<Key> KeyOf(PeerId peer) const;
  const Identity* Find(const Key& key) const;
  void Tell(const Stranger& stranger) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shardmill
