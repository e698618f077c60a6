#include "common/net/shm_link.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/assert.h"
#include "common/net/local_socket.h"

namespace shardmill {
namespace {

// "shardmil", and what the rings and packets look like.
constexpr uint64_t kMagic = 0x6c696d6472616873;
constexpr uint32_t kVersion = 1;

// Kinds of packets and of records.
constexpr uint32_t kHello = 1;
constexpr uint32_t kSegment = 2;
constexpr uint32_t kWake = 3;
constexpr uint32_t kBye = 5;  // After kTicketPacket.
constexpr uint32_t kMessage = 1;
constexpr uint32_t kReturns = 2;

constexpr uint32_t kInline = UINT32_MAX;
// Below this a copy costs less than a loan.
constexpr uint64_t kInlineBytesMax = 1024;
// The first frame is copied in any case: it is a header.
constexpr uint64_t kFirstInlineBytesMax = uint64_t{16} << 10;
// Messages and packets taken before others have their turn.
constexpr int kDrainMax = 256;
constexpr int kPacketsMax = 512;
constexpr uint64_t kReturnsMax = 4096;  // In one record.

uint64_t Padding(uint64_t bytes) { return (8 - bytes % 8) % 8; }

// What stands before the places of a message, and before the loans that come back.
struct ListHead {
  uint32_t count = 0;
  uint32_t zero = 0;
};

template <class T>
std::span<const std::byte> BytesOf(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

template <class T>
std::span<std::byte> WritableBytesOf(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

}  // namespace

std::unique_ptr<ShmLink> ShmLink::Connect(const std::string& token, FramePool& pool,
                                          const ShmLinkOptions& options,
                                          const std::optional<LocalTicket>& ticket) {
  FileDescriptor socket = ConnectLocal(token);
  if (!socket.valid()) return nullptr;
  if (ticket &&
      SendPacket(socket.get(), {kTicketPacket, ticket->number, ticket->value}) != Passed::kDone) {
    return nullptr;
  }
  auto link = std::make_unique<ShmLink>(std::move(socket), pool, options);
  link->rings_ = RingPair::Make(options.ring_bytes);
  if (!link->rings_ ||
      SendPacket(link->file(), {kHello, kVersion, kMagic}, link->rings_->file()) != Passed::kDone ||
      !link->Open(link->rings_->written_by_maker(), link->rings_->written_by_taker())) {
    return nullptr;
  }
  return link;
}

ShmLink::ShmLink(FileDescriptor socket, FramePool& pool, const ShmLinkOptions& options)
    : pool_(pool), options_(options), socket_(std::move(socket)) {
  // A message of many frames must fit, or it would never leave.
  SM_ASSERT(sizeof(ListHead) + options.frames_max * sizeof(Place) <=
            RingWriter::BodyMax(options.ring_bytes) / 2);
}

bool ShmLink::Open(RingMemory out, RingMemory in) {
  FileDescriptor end(fcntl(socket_.get(), F_DUPFD_CLOEXEC, 0));
  if (!end.valid()) return false;
  borrowed_ = std::make_unique<BorrowedFrames>(std::move(end), options_.borrow);
  writer_ = RingWriter(out);
  reader_ = RingReader(in);
  return true;
}

void ShmLink::Break() {
  GoneOver();
  shutdown(socket_.get(), SHUT_RDWR);
  borrowed_.reset();
}

void ShmLink::GiveUp() {
  if (SendPacket(socket_.get(), {kBye, 0, 0}) != Passed::kDone) return Break();
  ended_ = true;
  borrowed_.reset();
}

void ShmLink::GoneOver() {
  ended_ = true;
  over_ = true;
}

void ShmLink::Leave() {
  leaving_ = true;
  borrowed_.reset();
  if (!rings_) GoneOver();
}

Sent ShmLink::Send(std::span<const Frame> frames) {
  if (ended_ || leaving_ || !rings_) return Sent::kUnknown;
  Flush();
  if (ended_) return Sent::kUnknown;
  // It arrives as a message without frames, which its receiver counts.
  if (frames.size() > options_.frames_max) frames = {};
  const uint64_t body = Plan(frames);
  bool sane = true;
  const uint64_t room = writer_.Room(sane);
  if (!sane) {
    Break();
    return Sent::kUnknown;
  }
  if (body > RingWriter::BodyMax(rings_->ring_bytes())) {  // There would never be room.
    GiveUp();
    return Sent::kUnknown;
  }
  uint64_t lent = 0;
  for (const Place& place : places_) lent += place.segment == kInline ? 0 : place.bytes;
  if (body > room ||
      (lent_bytes_ > 0 &&
       lent > options_.lent_bytes_max - std::min(lent_bytes_, options_.lent_bytes_max))) {
    wants_room_ = true;
    return Sent::kFull;
  }
  lending_.clear();
  if (const Sent able = Lend(frames); able != Sent::kSent) {
    lending_.clear();
    return able;
  }
  writer_.Begin(kMessage, body);
  writer_.Put(BytesOf(ListHead{static_cast<uint32_t>(places_.size()), 0}));
  writer_.Put(std::as_bytes(std::span(places_)));
  for (size_t i = 0; i < frames.size(); ++i) {
    if (places_[i].segment != kInline) continue;
    writer_.Put(frames[i].bytes());
    writer_.PutZeros(Padding(frames[i].size()));
  }
  writer_.End();
  if (writer_.Publish(Sleep::kUntilMessage)) WakePeer();
  return Sent::kSent;
}

uint64_t ShmLink::Plan(std::span<const Frame> frames) {
  const uint64_t inline_max = rings_->ring_bytes() / 4;  // Of one message.
  uint64_t inline_bytes = 0;
  places_.clear();
  for (const Frame& frame : frames) {
    const uint64_t size = frame.size();
    const uint64_t most = places_.empty() ? kFirstInlineBytesMax : kInlineBytesMax;
    const uint64_t padded = size + Padding(size);
    const bool fits = size == 0 || (size <= most && inline_bytes + padded <= inline_max);
    if (fits) inline_bytes += padded;
    places_.push_back({fits ? kInline : 0, 0, 0, size});
  }
  return sizeof(ListHead) + places_.size() * sizeof(Place) + inline_bytes;
}

Sent ShmLink::Lend(std::span<const Frame> frames) {
  for (size_t i = 0; i < frames.size(); ++i) {
    if (places_[i].segment == kInline) continue;
    Frame frame = frames[i];
    auto found = pool_.Find(frame.bytes());
    if (!found) {
      frame = pool_.CopyOf(frame.bytes());
      found = pool_.Find(frame.bytes());
    }
    if (!found) {
      GiveUp();
      return Sent::kUnknown;
    }
    if (const Sent announced = Announce(found->segment); announced != Sent::kSent) {
      return announced;
    }
    places_[i].segment = found->segment;
    places_[i].offset = found->offset;
    lending_.push_back(std::move(frame));
  }
  size_t next = 0;
  for (Place& place : places_) {
    if (place.segment != kInline) place.loan = AddLoan(std::move(lending_[next++]));
  }
  return Sent::kSent;
}

Sent ShmLink::Announce(uint32_t segment) {
  if (segment < announced_.size() && announced_[segment]) return Sent::kSent;
  const FramePool::SegmentFile file = pool_.FileOf(segment);
  switch (SendPacket(socket_.get(), {kSegment, segment, file.bytes}, file.file)) {
    case Passed::kAgain:
      wants_room_ = true;
      return Sent::kFull;
    case Passed::kGone:
      Break();
      return Sent::kUnknown;
    case Passed::kDone:
      break;
  }
  if (segment >= announced_.size()) announced_.resize(segment + 1);
  announced_[segment] = true;
  return Sent::kSent;
}

uint32_t ShmLink::AddLoan(Frame frame) {
  lent_bytes_ += frame.size();
  if (loans_free_.empty()) {
    loans_.emplace_back();
    loans_free_.reserve(loans_.capacity());
    loans_free_.push_back(static_cast<uint32_t>(loans_.size() - 1));
  }
  const uint32_t loan = loans_free_.back();
  loans_free_.pop_back();
  loans_[loan] = std::move(frame);
  return loan;
}

bool ShmLink::EndLoan(uint32_t loan) {
  // Nothing empty is ever lent.
  if (loan >= loans_.size() || loans_[loan].size() == 0) return false;
  lent_bytes_ -= loans_[loan].size();
  loans_[loan] = Frame();
  loans_free_.push_back(loan);
  wants_room_ = false;
  return true;
}

void ShmLink::WakePeer() {
  // Where the socket is full of packets the peer has a reason to wake.
  if (SendPacket(socket_.get(), {kWake, 0, 0}) == Passed::kGone) GoneOver();
}

void ShmLink::Flush() {
  if (!borrowed_ || ended_) return;
  borrowed_->TakeReturned(returns_);
  if (returns_.empty()) return;
  size_t done = 0;
  while (done < returns_.size()) {
    bool sane = true;
    const uint64_t room = writer_.Room(sane);
    if (!sane) return Break();
    if (room < sizeof(ListHead) + 2 * sizeof(uint32_t)) break;
    const uint64_t fit = (room - sizeof(ListHead)) / 8 * 8 / sizeof(uint32_t);
    const uint64_t count = std::min<uint64_t>({returns_.size() - done, fit, kReturnsMax});
    const auto loans = std::as_bytes(std::span(returns_).subspan(done, count));
    writer_.Begin(kReturns, sizeof(ListHead) + loans.size() + Padding(loans.size()));
    writer_.Put(BytesOf(ListHead{static_cast<uint32_t>(count), 0}));
    writer_.Put(loans);
    writer_.PutZeros(Padding(loans.size()));
    writer_.End();
    done += count;
  }
  returns_.erase(returns_.begin(), returns_.begin() + static_cast<ptrdiff_t>(done));
  if (done > 0 && writer_.Publish(Sleep::kUntilAnything)) WakePeer();
}

bool ShmLink::Ready() const { return borrowed_ && reader_.Ready(); }

void ShmLink::Receive(PeerId peer, Inbox& inbox) {
  for (int i = 0; i < kDrainMax && borrowed_; ++i) {
    uint32_t kind = 0;
    const RingReader::Found found = reader_.Next(kind);
    if (found == RingReader::Found::kNothing) return;
    bool good = found == RingReader::Found::kRecord;
    if (good && kind == kMessage) {
      inbox.Begin(peer);
      good = TakeMessage(inbox);
      if (!good) inbox.DropFrames();
    } else {
      good = good && kind == kReturns && TakeReturns();
    }
    if (!good) {
      if (borrowed_) Break();  // Else it was given up meanwhile.
      return;
    }
    reader_.Finish();
  }
}

bool ShmLink::TakeMessage(Inbox& inbox) {
  ListHead head;
  if (!reader_.Take(WritableBytesOf(head)) || head.count > options_.frames_max ||
      head.count > reader_.left() / sizeof(Place)) {
    return false;
  }
  places_.resize(head.count);
  if (!reader_.Take(std::as_writable_bytes(std::span(places_)))) return false;
  const uint64_t most = options_.message_bytes_max + kHeaderBytesMax;
  uint64_t bytes = 0;
  bool wanted = true;
  for (const Place& place : places_) {
    wanted = wanted && place.bytes <= most - bytes;
    if (wanted) bytes += place.bytes;
  }
  return std::ranges::all_of(places_, [&](const Place& place) {
    const bool header = &place == places_.data();
    return place.segment == kInline ? TakeInline(place, wanted, inbox)
                                    : TakeLent(place, wanted, header, inbox);
  });
}

bool ShmLink::TakeInline(const Place& place, bool wanted, Inbox& inbox) {
  if (place.bytes > reader_.left()) return false;
  if (!wanted) return reader_.Skip(place.bytes) && reader_.Skip(Padding(place.bytes));
  Frame frame;
  if (place.bytes > 0) {
    Buffer buffer = pool_.OfBytes(place.bytes);
    if (!reader_.Take(buffer.bytes())) return false;
    frame = std::move(buffer).Close();
  }
  inbox.Add(std::move(frame));
  return reader_.Skip(Padding(place.bytes));
}

bool ShmLink::TakeLent(const Place& place, bool wanted, bool copies, Inbox& inbox) {
  // It was sent before the record was shown, but not looked at yet.
  if (!borrowed_->HasSegment(place.segment)) HandleSocket();
  if (!borrowed_ || place.bytes == 0) return false;
  auto frame = borrowed_->Borrow(place.loan, place.segment, place.offset, place.bytes);
  if (!frame) return false;
  if (!wanted) return true;
  if (copies) frame = pool_.CopyOf(frame->bytes());
  inbox.Add(std::move(*frame));
  return true;
}

bool ShmLink::TakeReturns() {
  ListHead head;
  if (!reader_.Take(WritableBytesOf(head))) return false;
  std::array<uint32_t, 64> some{};
  for (uint64_t left = head.count; left > 0;) {
    const auto loans = std::span(some).first(std::min<uint64_t>(left, some.size()));
    if (!reader_.Take(std::as_writable_bytes(loans))) return false;
    for (const uint32_t loan : loans) {
      if (!EndLoan(loan)) return false;
    }
    left -= loans.size();
  }
  return true;
}

bool ShmLink::FallAsleep() {
  if (!borrowed_) return true;
  return reader_.FallAsleep(wants_room_ ? Sleep::kUntilAnything : Sleep::kUntilMessage);
}

void ShmLink::WakeUp() {
  if (borrowed_) reader_.WakeUp();
}

void ShmLink::HandleSocket() {
  for (int i = 0; i < kPacketsMax && !over_; ++i) {
    Packet packet;
    FileDescriptor file;
    switch (ReceivePacket(socket_.get(), packet, file)) {
      case Passed::kAgain:
        return;
      case Passed::kGone:
        GoneOver();
        return;
      case Passed::kDone:
        HandlePacket(packet, std::move(file));
        break;
    }
  }
}

void ShmLink::HandlePacket(const Packet& packet, FileDescriptor file) {
  if (leaving_ || ended_) return;
  if (!rings_) {
    if (packet.kind == kHello && packet.number == kVersion && packet.value == kMagic) {
      rings_ = RingPair::Take(std::move(file));
    }
    if (!rings_ || !Open(rings_->written_by_taker(), rings_->written_by_maker())) Break();
    return;
  }
  if (packet.kind == kBye) {
    ended_ = true;
    return;
  }
  if (packet.kind == kSegment) {
    if (!borrowed_->AddSegment(packet.number, packet.value, file)) GiveUp();
  } else if (packet.kind != kWake) {
    Break();
  }
}

}  // namespace shardmill
