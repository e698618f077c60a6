#include "common/net/zmq_transport.h"

#include <poll.h>

#include <cerrno>
#include <cstring>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "common/assert.h"
#include "common/net/endpoint.h"
#include "common/net/handshake_watch.h"
#include "common/net/zap_gate.h"
#include "common/net/zmq_frames.h"
#include "common/net/zmq_keys.h"
#include "common/net/zmq_link_watch.h"
#include "common/net/zmq_socket.h"

namespace shardmill {
namespace {

// Messages taken from one socket before the others have their turn.
constexpr int kDrainMax = 256;
// By themselves systems wait for minutes: two for an answer to a connection, fifteen for one to
// what was sent. A peer may have begun anew at another address long before.
constexpr int kConnectMs = 2'000;
constexpr int kUnansweredMs = 30'000;
// Between two looks at what has become of connections.
constexpr std::chrono::milliseconds kLookEvery{1};

void SetCommon(zmq::socket_t& socket, const ZmqOptions& options) {
  socket.set(zmq::sockopt::linger, options.linger_ms);
  socket.set(zmq::sockopt::sndhwm, options.queue_messages_max);
  socket.set(zmq::sockopt::rcvhwm, options.queue_messages_max);
  // Of any one frame: a header may be longer than the payload is allowed to be.
  socket.set(zmq::sockopt::maxmsgsize,
             static_cast<int64_t>(options.message_bytes_max + kHeaderBytesMax + kCipherBytes));
  socket.set(zmq::sockopt::reconnect_ivl, 50);
  socket.set(zmq::sockopt::reconnect_ivl_max, 1000);
  socket.set(zmq::sockopt::connect_timeout, kConnectMs);
  socket.set(zmq::sockopt::tcp_maxrt, kUnansweredMs);
  socket.set(zmq::sockopt::tcp_keepalive, 1);
  socket.set(zmq::sockopt::tcp_keepalive_idle, 30);
  if (options.tcp.send_buffer > 0) {
    socket.set(zmq::sockopt::sndbuf, static_cast<int>(options.tcp.send_buffer));
  }
  if (options.tcp.receive_buffer > 0) {
    socket.set(zmq::sockopt::rcvbuf, static_cast<int>(options.tcp.receive_buffer));
  }
}

// What ZeroMQ's refusal of an endpoint means, and how to mend it.
Error EndpointError(const std::string& doing, const zmq::error_t& error) {
  std::string why = error.what();
  switch (error.num()) {
    case EADDRINUSE:
      why = "the port is in use; end the program that has it or choose another port";
      break;
    case EINVAL:
    case EPROTONOSUPPORT:
    case ENOCOMPATPROTO:
      why = "it is no address; write tcp://HOST:PORT";
      break;
    case ENODEV:
    case EADDRNOTAVAIL:
      why = "this machine has no such address";
      break;
    case EACCES:
      why = "this user may not have the port; choose one above 1023";
      break;
    default:
      break;
  }
  return {ErrorCode::kBadUsage, doing + ": " + why};
}

struct Dealer {
  std::string endpoint;
  ZmqSocket socket;
  std::unique_ptr<LinkWatch> watch;
  std::optional<Key> key;  // Which the other end must have.
  std::shared_ptr<Leaving> leaving = std::make_shared<Leaving>(0);
  const Identity* identity = nullptr;
};

// One who connected to us.
struct Caller {
  PeerId peer;
  std::string routing_id;
  std::optional<Key> key;
  std::shared_ptr<Leaving> leaving = std::make_shared<Leaving>(0);
  const Identity* identity = nullptr;
  int file = -1;  // The connection by which it was last heard.
};

}  // namespace

struct ZmqContext::Impl {
  Impl(int io_threads, KeyRing* with_keys, GateObserver* with_observer)
      : keys(with_keys), observer(with_observer), context(io_threads) {}

  KeyRing* keys;
  GateObserver* observer;
  zmq::context_t context;
  std::optional<ZapGate> gate;
};

ZmqContext::ZmqContext(int io_threads, std::span<const uint32_t> io_cpus, KeyRing* keys,
                       GateObserver* observer)
    : impl_(std::make_unique<Impl>(io_threads, keys, observer)) {
  for (const uint32_t cpu : io_cpus) {
    zmq_ctx_set(impl_->context.handle(), ZMQ_THREAD_AFFINITY_CPU_ADD, static_cast<int>(cpu));
  }
  // Its socket is the first: the IO threads begin, where they were told to.
  if (keys != nullptr && observer != nullptr) {
    impl_->gate.emplace(impl_->context, *keys, *observer);
  }
}
ZmqContext::~ZmqContext() = default;

struct ZmqTransport::Impl {
  Impl(ZmqContext::Impl& zmq, const ZmqOptions& zmq_options)
      : context(zmq.context), keys(zmq.keys), observer(zmq.observer), options(zmq_options) {}

  Sent SendOn(ZmqSocket& socket, const std::string* routing_id,
              const std::shared_ptr<Leaving>& leaving, std::span<const Frame> frames);
  void Drain(ZmqSocket& socket, std::optional<PeerId> peer, Inbox& inbox);
  // Takes what there is from sockets that are not known to be empty.
  void DrainAll(Inbox& inbox);
  // One message; false where there is none. Over the limits it comes without frames.
  bool ReceiveOne(ZmqSocket& socket, std::optional<PeerId> peer, Inbox& inbox);
  // Takes in what has become of connections, from time to time: it costs a look at each.
  void LookAtConnections(Inbox& inbox);
  void TakeAccepted(Inbox& inbox);
  void Hear(Caller& caller, int file, Inbox& inbox);
  // A caller, who is the last to be forgotten from now on.
  Caller& CallerOf(const zmq::message_t& routing_id, std::optional<Key> key);
  void Forget(std::list<Caller>::iterator caller);
  void TakeNewerList();
  const Identity* Find(const std::optional<Key>& key) const {
    return key && list != nullptr ? list->Find(*key) : nullptr;
  }

  zmq::context_t& context;
  KeyRing* keys;
  GateObserver* observer;
  // Shared: a ring may have another while messages still name what this one has.
  std::shared_ptr<const AllowList> list;
  uint64_t list_version = 0;
  std::vector<std::shared_ptr<const AllowList>> retired;  // Of this poll: messages may name them.
  std::optional<HandshakeWatch> handshakes;               // Of the router.
  ZmqOptions options;
  uint64_t next_peer = 1;
  std::optional<ZmqSocket> router;
  std::unique_ptr<ZmqMonitor> accepted;  // Of the router.
  std::set<int> connections;             // To the router, by their files.
  std::list<Caller> callers;             // Who has been silent longest stands first.
  std::map<std::string, std::list<Caller>::iterator> by_routing_id;
  std::map<PeerId, std::list<Caller>::iterator> by_peer;
  std::map<PeerId, Dealer> dealers;
  ZmqStorage::Home storages = std::make_shared<Recycler<ZmqStorage>>();
  LentFrame::Home lent = std::make_shared<Recycler<LentFrame>>();
  std::vector<pollfd> polled;                      // Of the poll under way.
  std::chrono::steady_clock::time_point looked{};  // At connections.
};

ZmqTransport::ZmqTransport(ZmqContext& context, const ZmqOptions& options)
    : impl_(std::make_unique<Impl>(*context.impl_, options)) {
  TakeList();
}
ZmqTransport::~ZmqTransport() = default;

Result<std::string> ZmqTransport::Bind(const std::string& endpoint) {
  SM_TRY(CheckTuning(impl_->options.tcp));
  try {
    zmq::socket_t socket(impl_->context, zmq::socket_type::router);
    SetCommon(socket, impl_->options);
    socket.set(zmq::sockopt::router_mandatory, 1);
    int events = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED;
    if (impl_->keys != nullptr) {
      SM_ASSERT(impl_->observer != nullptr);
      ListenWithKey(socket, impl_->keys->own(), impl_->options.handshake_ms);
      impl_->handshakes.emplace(*impl_->observer);
      events |= HandshakeWatch::kEvents;
    }
    auto accepted = std::make_unique<ZmqMonitor>(impl_->context, socket, events);
    socket.bind(endpoint);
    std::string bound = socket.get(zmq::sockopt::last_endpoint);
    impl_->router.emplace(std::move(socket));
    impl_->accepted = std::move(accepted);
    return bound;
  } catch (const zmq::error_t& error) {
    return EndpointError("cannot listen at " + endpoint, error);
  }
}

Result<PeerId> ZmqTransport::Connect(const std::string& endpoint) {
  SM_TRY(CheckTuning(impl_->options.tcp));
  try {
    zmq::socket_t socket(impl_->context, zmq::socket_type::dealer);
    SetCommon(socket, impl_->options);
    auto watch = std::make_unique<LinkWatch>(impl_->context, socket, impl_->options.tcp);
    const Endpoint to = Endpoint::Parse(endpoint);
    std::optional<Key> key;
    if (impl_->keys != nullptr) {
      key = SM_TRY(ExpectedKey(to, *impl_->list));
      ConnectWithKey(socket, impl_->keys->own(), *key);
    }
    socket.connect(to.tcp);
    const PeerId peer{impl_->next_peer++};
    Dealer dealer{to.tcp, ZmqSocket(std::move(socket)), std::move(watch), key};
    dealer.identity = impl_->Find(key);
    impl_->dealers.emplace(peer, std::move(dealer));
    return peer;
  } catch (const zmq::error_t& error) {
    return EndpointError("cannot connect to " + endpoint, error);
  }
}

void ZmqTransport::Disconnect(PeerId peer) { impl_->dealers.erase(peer); }

Sent ZmqTransport::Send(PeerId peer, std::span<const Frame> frames) {
  if (frames.empty()) return Sent::kSent;
  const auto dealer = impl_->dealers.find(peer);
  if (dealer != impl_->dealers.end()) {
    return impl_->SendOn(dealer->second.socket, nullptr, dealer->second.leaving, frames);
  }
  const auto caller = impl_->by_peer.find(peer);
  if (caller == impl_->by_peer.end() || !impl_->router) return Sent::kUnknown;
  if (impl_->keys != nullptr && caller->second->identity == nullptr) return Sent::kUnknown;
  const Sent sent =
      impl_->SendOn(*impl_->router, &caller->second->routing_id, caller->second->leaving, frames);
  if (sent == Sent::kUnknown) impl_->Forget(caller->second);
  return sent;
}

// The first part decides: once ZeroMQ has taken it, it takes the rest, unless the connection ends
// between two parts. Then the rest is still handed over, for ZeroMQ to drop up to the last part.
Sent ZmqTransport::Impl::SendOn(ZmqSocket& socket, const std::string* routing_id,
                                const std::shared_ptr<Leaving>& leaving,
                                std::span<const Frame> frames) {
  const uint64_t before = leaving->load(std::memory_order_relaxed);
  uint64_t bytes = before;
  for (const Frame& frame : frames) bytes += frame.size();
  if (before > 0 && bytes > options.queue_bytes_max) return Sent::kFull;
  try {
    bool begun = routing_id != nullptr;
    if (begun && !socket.Send(zmq::message_t(*routing_id), true)) return Sent::kFull;
    Sent sent = Sent::kSent;
    for (size_t i = 0; i < frames.size(); ++i) {
      if (socket.Send(MessageOf(frames[i], leaving, lent), i + 1 < frames.size())) {
        begun = true;
        continue;
      }
      if (!begun) return Sent::kFull;
      sent = Sent::kUnknown;
    }
    return sent;
  } catch (const zmq::error_t&) {
    return Sent::kUnknown;  // EHOSTUNREACH: the peer has gone.
  }
}

Result<> ZmqTransport::Poll(std::chrono::milliseconds timeout, Inbox& inbox) {
  TakeList();
  return PollBeside({}, timeout, inbox);
}

void ZmqTransport::TakeList() {
  impl_->retired.clear();
  impl_->TakeNewerList();
}

void ZmqTransport::Impl::TakeNewerList() {
  if (keys == nullptr || list_version == keys->version()) return;
  list_version = keys->version();
  retired.push_back(std::exchange(list, keys->allowed()));
  for (Caller& caller : callers) caller.identity = Find(caller.key);
  for (auto& [peer, dealer] : dealers) dealer.identity = Find(dealer.key);
}

Result<> ZmqTransport::PollBeside(std::span<WatchedFile> files, std::chrono::milliseconds timeout,
                                  Inbox& inbox) {
  Impl& impl = *impl_;
  std::vector<pollfd>& polled = impl.polled;
  try {
    const size_t before = inbox.size();
    impl.DrainAll(inbox);
    if (inbox.size() > before) timeout = std::chrono::milliseconds(0);
    polled.clear();
    for (const WatchedFile& file : files) polled.push_back({file.file, POLLIN, 0});
    if (impl.router) polled.push_back({impl.router->file(), POLLIN, 0});
    // Who comes is asked for its address at once, before it may be gone.
    if (impl.handshakes) polled.push_back({impl.accepted->file(), POLLIN, 0});
    for (auto& [peer, dealer] : impl.dealers) polled.push_back({dealer.socket.file(), POLLIN, 0});
    const bool any = poll(polled.data(), polled.size(), static_cast<int>(timeout.count())) > 0;
    size_t i = 0;
    const auto ready = [&] { return polled[i++].revents != 0 && any; };
    for (WatchedFile& file : files) file.ready = ready();
    if (impl.router && ready()) impl.Drain(*impl.router, std::nullopt, inbox);
    if (impl.handshakes && ready()) impl.TakeAccepted(inbox);
    for (auto& [peer, dealer] : impl.dealers) {
      if (ready()) impl.Drain(dealer.socket, peer, inbox);
    }
    impl.LookAtConnections(inbox);
    return {};
  } catch (const zmq::error_t& error) {
    if (error.num() == EINTR) return {};
    return Error{ErrorCode::kFailed, std::string("polling the network failed: ") + error.what()};
  }
}

void ZmqTransport::Impl::DrainAll(Inbox& inbox) {
  if (router && !router->empty()) Drain(*router, std::nullopt, inbox);
  for (auto& [peer, dealer] : dealers) {
    if (!dealer.socket.empty()) Drain(dealer.socket, peer, inbox);
  }
}

std::string ZmqTransport::Trouble(PeerId peer) const {
  const auto found = impl_->dealers.find(peer);
  return found == impl_->dealers.end() ? "" : found->second.watch->Words(found->second.endpoint);
}

Reach ZmqTransport::reach() const {
  size_t tcp = impl_->connections.size();
  for (const auto& [peer, dealer] : impl_->dealers) tcp += dealer.watch->connected() ? 1 : 0;
  return {0, tcp};
}

void ZmqTransport::Impl::Drain(ZmqSocket& socket, std::optional<PeerId> peer, Inbox& inbox) {
  for (int i = 0; i < kDrainMax && ReceiveOne(socket, peer, inbox); ++i) {
  }
}

void ZmqTransport::Impl::LookAtConnections(Inbox& inbox) {
  const auto now = std::chrono::steady_clock::now();
  if (now - looked < kLookEvery) return;
  looked = now;
  if (accepted != nullptr) TakeAccepted(inbox);
  for (auto& [peer, dealer] : dealers) {
    dealer.watch->Drain();
    if (dealer.watch->TimeToTryAgain()) dealer.socket.ConnectAgain(dealer.endpoint);
  }
}

void ZmqTransport::Impl::TakeAccepted(Inbox& inbox) {
  accepted->Drain([&](uint16_t event, uint32_t value) {
    const int file = static_cast<int>(value);
    if (event == ZMQ_EVENT_DISCONNECTED) {
      connections.erase(file);
      for (const Caller& caller : callers) {
        if (caller.file == file) inbox.Gone(caller.peer);
      }
    }
    if (event == ZMQ_EVENT_ACCEPTED) {
      connections.insert(file);
      SetCongestionControl(file, options.tcp);
    }
    if (handshakes) handshakes->Take(event, file);
  });
}

// The last messages of a connection may come when it has ended already.
void ZmqTransport::Impl::Hear(Caller& caller, int file, Inbox& inbox) {
  if (caller.file == file) return;
  caller.file = file;
  TakeAccepted(inbox);
  if (!connections.contains(file)) inbox.Gone(caller.peer);
}

bool ZmqTransport::Impl::ReceiveOne(ZmqSocket& socket, std::optional<PeerId> peer, Inbox& inbox) {
  zmq::message_t part;
  if (!socket.Receive(part)) return false;
  TakeNewerList();  // The gate may have let the sender in by another than we have.
  bool more = part.more();
  bool welcome = true;
  if (peer) {
    const Identity* identity = dealers.at(*peer).identity;
    welcome = keys == nullptr || identity != nullptr;
    if (welcome) inbox.Begin(*peer, identity);
  } else {  // A ROUTER puts the routing id in front, which ZeroMQ does not sign.
    const zmq::message_t routing_id = std::move(part);
    if (more && !socket.Receive(part)) return false;
    Caller& caller = CallerOf(routing_id, more && keys != nullptr ? UserOf(part) : std::nullopt);
    if (more) Hear(caller, zmq_msg_get(part.handle(), ZMQ_SRCFD), inbox);
    welcome = keys == nullptr || caller.identity != nullptr;
    if (welcome) inbox.Begin(caller.peer, caller.identity);
    if (!more) return true;
    more = part.more();
    if (!welcome) CutOff(part, *observer);
  }
  uint64_t bytes = 0;
  uint64_t frames = 0;
  while (true) {
    bytes += part.size();
    const bool over =
        ++frames > options.frames_max || bytes > options.message_bytes_max + kHeaderBytesMax;
    if (over && welcome) inbox.DropFrames();
    if (!over && welcome) inbox.Add(ZmqStorage::Open(storages, std::move(part)));
    if (!more) return true;
    if (!socket.Receive(part)) return false;
    more = part.more();
  }
}

Caller& ZmqTransport::Impl::CallerOf(const zmq::message_t& routing_id, std::optional<Key> key) {
  const std::string id = routing_id.to_string();
  const auto before = by_routing_id.find(id);
  // Callers name themselves: the name of one who has gone does not make another the same.
  if (before != by_routing_id.end() && before->second->key != key) Forget(before->second);
  const auto [known, is_new] = by_routing_id.try_emplace(id);
  if (!is_new) {
    callers.splice(callers.end(), callers, known->second);
    return *known->second;
  }
  const PeerId peer{next_peer++};
  known->second = callers.insert(callers.end(), Caller{peer, id, key});
  known->second->identity = Find(key);
  by_peer[peer] = known->second;
  if (callers.size() > options.peers_max) Forget(callers.begin());
  return callers.back();
}

void ZmqTransport::Impl::Forget(std::list<Caller>::iterator caller) {
  by_peer.erase(caller->peer);
  by_routing_id.erase(caller->routing_id);
  callers.erase(caller);
}

bool ZmqTransport::has_keys() const { return impl_->keys != nullptr; }
const KeyPair& ZmqTransport::own() const { return impl_->keys->own(); }
const Identity* ZmqTransport::Find(const Key& key) const { return impl_->Find(key); }

std::optional<Key> ZmqTransport::KeyOf(PeerId peer) const {
  const auto dealer = impl_->dealers.find(peer);
  if (dealer != impl_->dealers.end()) return dealer->second.key;
  const auto caller = impl_->by_peer.find(peer);
  return caller == impl_->by_peer.end() ? std::nullopt : caller->second->key;
}

void ZmqTransport::Tell(const Stranger& stranger) const {
  if (impl_->observer != nullptr) impl_->observer->Refused(stranger);
}

}  // namespace shardmill
