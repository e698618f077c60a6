#include "common/net/peer_transport.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <utility>

#include "common/fresh_id.h"
#include "common/net/endpoint.h"
#include "common/net/local_socket.h"

namespace shardmill {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Numbers of peers in shared memory; ZeroMQ's count from 1.
constexpr uint64_t kLinkBit = uint64_t{1} << 63;
// While the rings are busy, or nobody waits, the sockets have their turn so often: looking at them
// costs system calls, and a ring does not.
constexpr microseconds kLookEvery{100};
// Looks at the rings between two at the clock.
constexpr int kSpinsOfLook = 32;
// Between two tries where the system has no more files for those who connect.
constexpr std::chrono::seconds kAcceptsAgain{1};
constexpr int kAcceptMax = 64;
// How long those who connect have to show a ticket, where there are keys, and to greet.
constexpr std::chrono::seconds kGreetingWait{2};
// Those without a ticket; tickets that nobody has used.
constexpr size_t kCallersMax = 64;
constexpr size_t kTicketsMax = 4096;

// What transports say to each other about tickets: one frame, which is no packet of the wire's.
constexpr std::string_view kAsk = "shardmill-local?";
constexpr std::string_view kGiven = "shardmill-local!";
constexpr size_t kWordBytes = kAsk.size();
constexpr size_t kTicketBytes = sizeof(uint64_t) + sizeof(uint32_t);

Frame FrameOf(std::string_view word, const std::optional<LocalTicket>& ticket) {
  std::array<std::byte, kWordBytes + kTicketBytes> bytes{};
  std::memcpy(bytes.data(), word.data(), kWordBytes);
  if (!ticket) return Frame::CopyOf(std::span(bytes).first(kWordBytes));
  std::memcpy(bytes.data() + kWordBytes, &ticket->value, sizeof(ticket->value));
  std::memcpy(bytes.data() + kWordBytes + sizeof(ticket->value), &ticket->number,
              sizeof(ticket->number));
  return Frame::CopyOf(bytes);
}

bool BeginsWith(std::span<const std::byte> bytes, std::string_view word) {
  return bytes.size() >= word.size() && std::memcmp(bytes.data(), word.data(), word.size()) == 0;
}

std::string Hexadecimal(uint64_t number) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text += kDigits[(number >> shift) & 15];
  return text;
}

}  // namespace

PeerTransport::PeerTransport(ZmqContext& context, FramePool& pool, const PeerOptions& options)
    : zmq_(context, options.zmq), pool_(pool), options_(options) {
  link_options_.message_bytes_max = options.zmq.message_bytes_max;
  link_options_.frames_max = options.zmq.frames_max;
  link_options_.lent_bytes_max = options.lent_bytes_max;
  link_options_.ring_bytes = options.ring_bytes;
}

PeerTransport::~PeerTransport() = default;

Result<std::string> PeerTransport::Bind(const std::string& endpoint) {
  Endpoint bound{SM_TRY(zmq_.Bind(endpoint)), ""};
  if (options_.shared_memory) {
    const std::string token = Hexadecimal(FreshId());
    listener_ = ListenLocal(token);
    if (listener_.valid()) bound.local = token;
  }
  if (zmq_.has_keys()) bound.key = HexadecimalOf(zmq_.own().certificate.key);
  return bound.Text();
}

Result<PeerId> PeerTransport::Connect(const std::string& endpoint) {
  Endpoint to = Endpoint::Parse(endpoint);
  if (zmq_.has_keys()) return ConnectWithKeys(to);
  std::unique_ptr<ShmLink> link;
  if (options_.shared_memory && !to.local.empty()) {
    link = ShmLink::Connect(to.local, pool_, link_options_);
  }
  if (link == nullptr) return zmq_.Connect(to.tcp);
  return Add(std::move(to.tcp), std::move(link));
}

Result<PeerId> PeerTransport::ConnectWithKeys(const Endpoint& to) {
  const std::string over = Endpoint{to.tcp, "", to.key}.Text();
  const PeerId behind = SM_TRY(zmq_.Connect(over));
  if (!options_.shared_memory || to.local.empty()) return behind;
  const PeerId peer = Add(over, nullptr);
  Peer& added = peers_.at(peer);
  added.behind = behind;
  added.local = to.local;
  added.key = zmq_.KeyOf(behind);
  in_front_[behind] = peer;
  zmq_.Send(behind, std::array{FrameOf(kAsk, std::nullopt)});
  return peer;
}

bool PeerTransport::TakeTicketTalk(const Received& received) {
  if (received.frames.size() != 1) return false;
  const std::span<const std::byte> bytes = received.frames.front().bytes();
  if (BeginsWith(bytes, kAsk) && bytes.size() == kWordBytes) {
    GiveTicket(received.peer);
    return true;
  }
  if (!BeginsWith(bytes, kGiven) || bytes.size() != kWordBytes + kTicketBytes) return false;
  LocalTicket ticket;
  std::memcpy(&ticket.value, bytes.data() + kWordBytes, sizeof(ticket.value));
  std::memcpy(&ticket.number, bytes.data() + kWordBytes + sizeof(ticket.value),
              sizeof(ticket.number));
  UseTicket(received.peer, ticket);
  return true;
}

void PeerTransport::GiveTicket(PeerId asker) {
  const std::optional<Key> key = zmq_.KeyOf(asker);
  if (!listener_.valid() || !key) return;
  const LocalTicket ticket{FreshId(), static_cast<uint32_t>(FreshId())};
  tickets_.push_back({ticket, *key});
  if (tickets_.size() > kTicketsMax) tickets_.pop_front();
  zmq_.Send(asker, std::array{FrameOf(kGiven, ticket)});
}

void PeerTransport::UseTicket(PeerId giver, const LocalTicket& ticket) {
  const auto known = in_front_.find(giver);
  if (known == in_front_.end()) return;
  Peer& peer = peers_.at(known->second);
  if (peer.link != nullptr || peer.local.empty()) return;
  peer.link = ShmLink::Connect(peer.local, pool_, link_options_, ticket);
  peer.local.clear();  // Once: a link that ends is not made again.
}

PeerId PeerTransport::Add(std::string endpoint, std::unique_ptr<ShmLink> link) {
  const PeerId peer{kLinkBit | ++next_peer_};
  peers_.emplace(peer, Peer{std::move(endpoint), std::move(link), std::nullopt, ++heard_});
  return peer;
}

void PeerTransport::Disconnect(PeerId peer) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return zmq_.Disconnect(peer);
  if (found->second.behind) {
    zmq_.Disconnect(*found->second.behind);
    in_front_.erase(*found->second.behind);
  }
  if (found->second.link != nullptr) LetGo(std::move(found->second.link));
  peers_.erase(found);
}

Sent PeerTransport::Send(PeerId peer, std::span<const Frame> frames) {
  if (frames.empty()) return Sent::kSent;
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return zmq_.Send(peer, frames);
  Peer& to = found->second;
  if (to.key && zmq_.Find(*to.key) == nullptr) return Sent::kUnknown;
  if (to.link != nullptr && !to.link->ended()) return to.link->Send(frames);
  if (to.endpoint.empty()) return Sent::kUnknown;
  if (!to.behind) {
    const Result<PeerId> behind = zmq_.Connect(to.endpoint);
    if (!behind.ok()) return Sent::kUnknown;
    to.behind = behind.value();
    in_front_[*to.behind] = peer;
  }
  return zmq_.Send(*to.behind, frames);
}

Result<> PeerTransport::Poll(milliseconds timeout, Inbox& inbox) {
  zmq_.TakeList();
  for (auto& [peer, at] : peers_) {
    if (at.link != nullptr) at.link->Flush();
  }
  const size_t before = inbox.size();
  bool came = ReceiveFromLinks(inbox);
  const bool linked = CountLinks() > 0;
  const Time begin = steady_clock::now();
  Time now = begin;
  while (!came && linked && now - begin < std::min<microseconds>(options_.spin, timeout)) {
    for (int i = 0; i < kSpinsOfLook && !came; ++i) {
      __builtin_ia32_pause();
      came = ReceiveFromLinks(inbox);
    }
    now = steady_clock::now();
    if (!came && now - looked_ >= kLookEvery) SM_TRY(Look(milliseconds(0), inbox));
    came = inbox.size() > before;
  }
  timeout -= std::min(timeout, std::chrono::floor<milliseconds>(now - begin));
  if (came) timeout = milliseconds(0);
  if (timeout.count() == 0 && linked && now - looked_ < kLookEvery) return {};
  return Look(timeout, inbox);
}

bool PeerTransport::ReceiveFromLinks(Inbox& inbox) {
  const size_t before = inbox.size();
  for (auto at = peers_.begin(); at != peers_.end();) {
    const PeerId peer = at->first;
    Peer& from = (at++)->second;
    if (from.link == nullptr || !from.link->Ready()) continue;
    const size_t first = inbox.size();
    from.link->Receive(peer, inbox);
    from.heard = ++heard_;
    if (from.key && !Sign(from, first, inbox)) Disconnect(peer);
  }
  return inbox.size() > before;
}

bool PeerTransport::Sign(const Peer& from, size_t first, Inbox& inbox) const {
  const Identity* identity = zmq_.Find(*from.key);
  for (size_t i = first; i < inbox.size(); ++i) inbox.Sign(i, identity);
  if (identity != nullptr) return true;
  while (inbox.size() > first) inbox.Erase(inbox.size() - 1);
  zmq_.Tell({Stranger::Why::kRevoked, "this host",
             "the key " + HexadecimalOf(*from.key) + " was taken off the list; its link ends"});
  return false;
}

Result<> PeerTransport::Look(milliseconds timeout, Inbox& inbox) {
  const size_t before = inbox.size();
  SM_TRY(Wait(timeout, inbox));
  looked_ = steady_clock::now();
  for (size_t i = before; i < inbox.size();) {
    if (zmq_.has_keys() && TakeTicketTalk(inbox[i])) {
      inbox.Erase(i);
      continue;
    }
    const auto known = in_front_.find(inbox[i].peer);
    if (known != in_front_.end()) inbox.Rename(i, known->second);
    ++i;
  }
  HandleSockets();
  ReceiveFromLinks(inbox);
  ForgetEnded();
  return {};
}

Result<> PeerTransport::Wait(milliseconds timeout, Inbox& inbox) {
  const bool sleeps = timeout.count() > 0;
  if (sleeps && !FallAsleep()) timeout = milliseconds(0);
  files_.clear();
  const bool accepts = listener_.valid() && steady_clock::now() >= accepts_again_;
  files_.push_back({accepts ? listener_.get() : -1});
  for (const auto& [peer, at] : peers_) files_.push_back({at.link ? at.link->file() : -1});
  for (const auto& link : leaving_) files_.push_back({link->file()});
  for (const Caller& caller : callers_) files_.push_back({caller.socket.get()});
  files_.push_back({options_.wake_file});
  const Result<> polled = zmq_.PollBeside(files_, timeout, inbox);
  for (auto& [peer, at] : peers_) {
    if (sleeps && at.link != nullptr) at.link->WakeUp();
  }
  return polled;
}

bool PeerTransport::FallAsleep() {
  return std::ranges::all_of(peers_, [](auto& entry) {
    return entry.second.link == nullptr || entry.second.link->FallAsleep();
  });
}

void PeerTransport::HandleSockets() {
  size_t i = 1;
  for (auto& [peer, at] : peers_) {
    if (files_[i++].ready && at.link != nullptr) at.link->HandleSocket();
  }
  for (const auto& link : leaving_) {
    if (files_[i++].ready) link->HandleSocket();
  }
  TakeTickets(i);
  if (files_.front().ready) Accept();
}

void PeerTransport::TakeTickets(size_t first_file) {
  const Time now = steady_clock::now();
  std::vector<Caller> waiting;
  for (size_t i = 0; i < callers_.size(); ++i) {
    Caller& caller = callers_[i];
    Packet packet;
    FileDescriptor none;
    const bool ready = files_[first_file + i].ready;
    const Passed passed = ready ? ReceivePacket(caller.socket.get(), packet, none) : Passed::kAgain;
    if (passed == Passed::kAgain && now - caller.came < kGreetingWait) {
      waiting.push_back(std::move(caller));
      continue;
    }
    const LocalTicket shown{packet.value, packet.number};
    const auto found = std::ranges::find(tickets_, shown, &Ticket::ticket);
    if (passed != Passed::kDone || packet.kind != kTicketPacket || found == tickets_.end()) {
      zmq_.Tell({Stranger::Why::kLocal, "this host", "a process came without a ticket"});
      continue;
    }
    const PeerId peer =
        Add("", std::make_unique<ShmLink>(std::move(caller.socket), pool_, link_options_));
    peers_.at(peer).key = found->key;
    tickets_.erase(found);
    ForgetSilent();
  }
  callers_ = std::move(waiting);
}

void PeerTransport::Accept() {
  for (int i = 0; i < kAcceptMax; ++i) {
    FileDescriptor socket;
    switch (AcceptLocal(listener_.get(), socket)) {
      case Passed::kAgain:
        return;
      case Passed::kGone:
        if (!socket.valid()) accepts_again_ = steady_clock::now() + kAcceptsAgain;
        break;
      case Passed::kDone:
        if (zmq_.has_keys()) {
          callers_.push_back({std::move(socket), steady_clock::now()});
          if (callers_.size() > kCallersMax) callers_.erase(callers_.begin());
          break;
        }
        Add("", std::make_unique<ShmLink>(std::move(socket), pool_, link_options_));
        ForgetSilent();
        break;
    }
  }
}

void PeerTransport::ForgetEnded() {
  const auto is_over = [&](const Peer& peer) {
    if (peer.link == nullptr || peer.link->open()) return false;
    // What a peer sent before it went is still taken.
    if (peer.link->ended()) return !peer.link->Ready();
    return looked_ - peer.came > kGreetingWait;
  };
  for (auto at = peers_.begin(); at != peers_.end();) {
    Peer& peer = at->second;
    const bool ended = is_over(peer);
    if (ended) LetGo(std::move(peer.link));
    at = ended && peer.endpoint.empty() ? peers_.erase(at) : std::next(at);
  }
  std::erase_if(leaving_, [](const auto& link) { return link->over(); });
}

void PeerTransport::LetGo(std::unique_ptr<ShmLink> link) {
  link->Leave();
  if (link->over()) return;
  // Whoever does not let go of what was lent does not keep us from bounding how many there are.
  if (leaving_.size() >= options_.zmq.peers_max) leaving_.erase(leaving_.begin());
  leaving_.push_back(std::move(link));
}

void PeerTransport::ForgetSilent() {
  const auto called = [](const auto& entry) { return entry.second.endpoint.empty(); };
  if (std::ranges::count_if(peers_, called) <= options_.zmq.peers_max) return;
  const auto silent = std::ranges::min_element(peers_, {}, [&](const auto& entry) {
    return called(entry) ? entry.second.heard : UINT64_MAX;
  });
  Disconnect(silent->first);
}

std::string PeerTransport::Trouble(PeerId peer) const {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return zmq_.Trouble(peer);
  return found->second.behind ? zmq_.Trouble(*found->second.behind) : "";
}

Reach PeerTransport::reach() const {
  const size_t links = CountLinks();
  // With keys each link has the connection beside it that its ticket came by.
  const size_t tcp = zmq_.reach().tcp;
  return {links, tcp - (zmq_.has_keys() ? std::min(tcp, links) : 0)};
}

bool PeerTransport::IsInMemory(PeerId peer) const {
  const auto found = peers_.find(peer);
  return found != peers_.end() && found->second.link != nullptr && found->second.link->open();
}

size_t PeerTransport::CountLinks() const {
  return std::ranges::count_if(peers_, [](const auto& entry) {
    return entry.second.link != nullptr && entry.second.link->open();
  });
}

}  // namespace shardmill
