#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/frame_pool.h"
#include "common/net/endpoint.h"
#include "common/net/shm_link.h"
#include "common/net/zmq_transport.h"

namespace shardmill {

struct PeerOptions {
  ZmqOptions zmq = {};                // Messages and peers have these bounds in shared memory too.
  bool shared_memory = true;          // With peers on this host that want it as well.
  std::chrono::microseconds spin{0};  // Looked for messages without sleeping, in each wait.
  // Lent to one peer, until it has done with them; one message always has room.
  uint64_t lent_bytes_max = uint64_t{256} << 20;
  uint64_t ring_bytes = uint64_t{1} << 20;  // See ShmLinkOptions.
  int wake_file = -1;                       // Ends a wait when it can be read; or none.
};

// Frames to peers wherever they are: through shared memory on this host, and else over ZeroMQ.
// Bind's endpoint names both ways; who connects to it takes the first that it can. When a link in
// shared memory ends, messages to a peer that we connected to go over ZeroMQ, under the same
// number; one who connected to us has gone. Owned by one agent, on its thread; the pool outlives
// it, and should be of shared memory.
class PeerTransport final : public Transport {
 public:
  PeerTransport(ZmqContext& context, FramePool& pool, const PeerOptions& options);
  ~PeerTransport() override;

  Result<std::string> Bind(const std::string& endpoint) override;
  Result<PeerId> Connect(const std::string& endpoint) override;
  void Disconnect(PeerId peer) override;
  Sent Send(PeerId peer, std::span<const Frame> frames) override;
  Result<> Poll(std::chrono::milliseconds timeout, Inbox& inbox) override;
  std::string Trouble(PeerId peer) const override;
  Reach reach() const override;

  // Whether messages to this peer go through memory now.
  bool IsInMemory(PeerId peer) const;

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Peer {
    std::string endpoint;               // Over ZeroMQ; empty: it connected to us.
    std::unique_ptr<ShmLink> link;      // None: it ended.
    std::optional<PeerId> behind = {};  // Its number in zmq_, once that is needed.
    uint64_t heard = 0;                 // Grows with time.
    Time came = std::chrono::steady_clock::now();
    std::string local = {};       // The token of its socket, for when a ticket comes.
    std::optional<Key> key = {};  // That it has proved to have, where there are keys.
  };
  // Who came to the local socket and has not shown a ticket yet.
  struct Caller {
    FileDescriptor socket;
    std::chrono::steady_clock::time_point came;
  };
  struct Ticket {
    LocalTicket ticket;
    Key key = {};
  };

  PeerId Add(std::string endpoint, std::unique_ptr<ShmLink> link);
  Result<PeerId> ConnectWithKeys(const Endpoint& to);
  // Whether it was about tickets, which is between transports.
  bool TakeTicketTalk(const Received& received);
  void GiveTicket(PeerId asker);
  void UseTicket(PeerId giver, const LocalTicket& ticket);
  void TakeTickets(size_t first_file);
  // Says who sent the messages from `first` on; false, and they are gone, where its key is let in
  // no more.
  bool Sign(const Peer& from, size_t first, Inbox& inbox) const;
  // Appends what the rings have; true where there was anything.
  bool ReceiveFromLinks(Inbox& inbox);
  // Waits at the sockets, and takes what has come to them and to the rings.
  Result<> Look(std::chrono::milliseconds timeout, Inbox& inbox);
  Result<> Wait(std::chrono::milliseconds timeout, Inbox& inbox);
  // False: one of them has something to read.
  bool FallAsleep();
  void Accept();
  void HandleSockets();
  void ForgetEnded();
  // Keeps what is lent through a link until its peer has done with it.
  void LetGo(std::unique_ptr<ShmLink> link);
  void ForgetSilent();
  // Those through which messages can go.
  size_t CountLinks() const;

  ZmqTransport zmq_;
  FramePool& pool_;
  PeerOptions options_;
  ShmLinkOptions link_options_;
  FileDescriptor listener_;
  Time accepts_again_{};  // After there were no more files to be had.
  Time looked_{};         // At the sockets.
  uint64_t next_peer_ = 0;
  uint64_t heard_ = 0;
  std::map<PeerId, Peer> peers_;
  std::map<PeerId, PeerId> in_front_;  // By the number in zmq_.
  std::vector<std::unique_ptr<ShmLink>> leaving_;
  std::vector<Caller> callers_;
  std::deque<Ticket> tickets_;  // Not used yet.
  std::vector<WatchedFile>
      files_;  // The listener, the peers', the leaving's, the callers', the wake.
};

}  // namespace shardmill
