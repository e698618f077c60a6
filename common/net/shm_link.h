#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/frame.h"
#include "common/frame_pool.h"
#include "common/net/borrowed_frames.h"
#include "common/net/shm_memory.h"
#include "common/net/shm_ring.h"
#include "common/net/transport.h"
#include "common/process/file_descriptor.h"

namespace shardmill {

struct Packet;

// Lets one connection to a local socket in, once. A number that nobody guesses.
struct LocalTicket {
  uint64_t value = 0;
  uint32_t number = 0;

  bool operator==(const LocalTicket&) const = default;
};

// The packet that shows it.
inline constexpr uint32_t kTicketPacket = 4;

struct ShmLinkOptions {
  uint64_t message_bytes_max = uint64_t{512} << 20;  // Payload of one message.
  uint32_t frames_max = 4096;                        // Of one message.
  uint64_t lent_bytes_max = uint64_t{256} << 20;     // To the peer; one message has room.
  uint64_t ring_bytes = uint64_t{1} << 20;           // Each way; the connecting side decides.
  BorrowLimits borrow = {};
};

// The connection to one peer on this host. A message is a record in a ring: small frames inline,
// large ones as places in memory that the peer maps. Those are lent: referenced until the peer says
// in its ring that it has done with them, or has gone. Frames that do not lie in the pool are
// copied into it. Owned by a transport, on its thread; the frames that come may go on any thread.
// Whatever a peer does, the worst that happens is that the link ends
// (docs/decisions/0009-data-path.md).
class ShmLink final {
 public:
  // Connects to who listens under the token, and shows the ticket first where one is asked for.
  // Null where nobody does, or memory cannot be shared.
  static std::unique_ptr<ShmLink> Connect(const std::string& token, FramePool& pool,
                                          const ShmLinkOptions& options,
                                          const std::optional<LocalTicket>& ticket = {});
  // Takes a connection that was accepted, and whose ticket was taken where one is asked for. The
  // link is open once its greeting has come.
  ShmLink(FileDescriptor socket, FramePool& pool, const ShmLinkOptions& options);

  Sent Send(std::span<const Frame> frames);

  // Says which loans have come to their end.
  void Flush();

  // Appends messages that have come, a bounded number at once. One that cannot be read comes
  // without frames, and ends the link.
  void Receive(PeerId peer, Inbox& inbox);
  // Whether Receive has something to look at.
  bool Ready() const;

  // Before and after a wait: the peer wakes a sleeper through the socket. False: do not wait.
  bool FallAsleep();
  void WakeUp();

  // The socket, and what to do when it can be read.
  int file() const { return socket_.get(); }
  void HandleSocket();

  // Ends the link from this side. It stays until it is over: the peer may be reading what is lent.
  void Leave();

  // Greeted, and not ended.
  bool open() const { return rings_.has_value() && !ended_; }
  // No message comes or goes any more, but for those that lie in the ring.
  bool ended() const { return ended_; }
  // Neither side reads the other's memory any more.
  bool over() const { return over_; }
  uint64_t lent_bytes() const { return lent_bytes_; }

 private:
  // Where a frame of a message is.
  struct Place {
    uint32_t segment = 0;  // Or kInline: behind the places, padded to eight bytes.
    uint32_t loan = 0;
    uint64_t offset = 0;
    uint64_t bytes = 0;
  };

  bool Open(RingMemory out, RingMemory in);
  // The peer breaks the rules: nothing is owed to it.
  void Break();
  // The system gives no more files or memory. The peer may still read what is lent.
  void GiveUp();
  void GoneOver();
  void WakePeer();
  void HandlePacket(const Packet& packet, FileDescriptor file);

  // What goes inline and what is lent. Returns the bytes of the body.
  uint64_t Plan(std::span<const Frame> frames);
  // Finds or makes the lent frames' bytes in the pool, and sees that the peer has their segments.
  Sent Lend(std::span<const Frame> frames);
  Sent Announce(uint32_t segment);
  uint32_t AddLoan(Frame frame);
  bool EndLoan(uint32_t loan);

  bool TakeMessage(Inbox& inbox);
  bool TakeReturns();
  bool TakeInline(const Place& place, bool wanted, Inbox& inbox);
  // `copies`: a header, which is looked at more than once.
  bool TakeLent(const Place& place, bool wanted, bool copies, Inbox& inbox);

  FramePool& pool_;
  ShmLinkOptions options_;
  FileDescriptor socket_;
  std::optional<RingPair> rings_;
  RingWriter writer_;
  RingReader reader_;
  bool ended_ = false;
  bool over_ = false;
  bool leaving_ = false;
  bool wants_room_ = false;  // A message did not fit since the last loan came back.

  std::vector<Frame> loans_;  // By number.
  std::vector<uint32_t> loans_free_;
  uint64_t lent_bytes_ = 0;
  std::vector<bool> announced_;  // Segments that the peer has.

  std::unique_ptr<BorrowedFrames> borrowed_;
  std::vector<uint32_t> returns_;  // Not written to the ring yet.

  std::vector<Place> places_;   // Of the message in hand.
  std::vector<Frame> lending_;  // Its lent frames.
};

}  // namespace shardmill
