#include "tests/system/faults/message_proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <list>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>
#include <vector>

#include "common/process/file_descriptor.h"
#include "common/rng.h"
#include "tests/system/faults/message_stream.h"

namespace shardmill::chaos {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kHost = "127.0.0.1:";
constexpr size_t kPortDigits = 5;
// What waits for a cut to end is looked at so often.
constexpr std::chrono::milliseconds kCutLook{5};
constexpr int kConnectionsMax = 128;
// Who does not read is not read for.
constexpr size_t kLeavingMax = size_t{64} << 20;
// A process is known soon after it was started, or is none that the proxy is told of.
constexpr uint32_t kLooksMax = 100;

sockaddr_in AddressOf(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

uint16_t PortOf(std::string_view address) {
  uint16_t port = 0;
  const std::string_view digits = address.substr(address.rfind(':') + 1);
  std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return port;
}

// Of the near end, or of the far one.
uint16_t PortOf(int socket, bool far) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  auto* to = reinterpret_cast<sockaddr*>(&address);
  const int got = far ? getpeername(socket, to, &size) : getsockname(socket, to, &size);
  return got == 0 ? ntohs(address.sin_port) : 0;
}

// The system's number of the socket whose own port is the one and whose peer's is the other.
std::string InodeOf(uint16_t own, uint16_t peer) {
  std::ifstream table("/proc/net/tcp");
  std::string line;
  const auto port = [](const std::string& field) {
    uint32_t number = 0;
    const size_t colon = field.find(':');
    if (colon == std::string::npos) return number;
    std::from_chars(field.data() + colon + 1, field.data() + field.size(), number, 16);
    return number;
  };
  while (std::getline(table, line)) {
    std::istringstream fields(line);
    std::array<std::string, 10> field;  // The last is the number.
    for (std::string& one : field) fields >> one;
    if (port(field[1]) == own && port(field[2]) == peer) return field[9];
  }
  return "";
}

bool Holds(int process, const std::string& inode) {
  std::error_code error;
  const std::string folder = "/proc/" + std::to_string(process) + "/fd";
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry->path(), gone) == "socket:[" + inode + "]") return true;
  }
  return false;
}

// One way of a connection.
struct Half {
  MessageStream stream = {};
  std::string leaving = {};
  uint64_t waiting = 0;  // Units that come later.
  bool at_end = false;   // No more comes from where it comes from.
};

struct Connection {
  uint64_t number = 0;
  Route route = {};
  bool finds_more = false;
  FileDescriptor caller = {};
  FileDescriptor called = {};
  std::array<Half, 2> halves = {};  // There, back.
  bool over = false;
  uint32_t looks = 0;  // For who it is.

  int From(bool back) const { return back ? called.get() : caller.get(); }
  int To(bool back) const { return back ? caller.get() : called.get(); }
  Half& half(bool back) { return halves[back ? 1 : 0]; }
};

struct Listener {
  FileDescriptor socket = {};
  std::string address = {};
  std::string to = {};
  bool finds_more = false;
};

struct Waiting {
  uint64_t connection = 0;
  bool back = false;
  MessageStream::Unit unit = {};
  bool held = false;  // By a cut: it is asked again whether that is over.
};

}  // namespace

// The mutex guards all fields but the thread; the thread lets go of it while it waits.
struct MessageProxy::Impl {
  explicit Impl(uint64_t seed) : rng(Mix(seed) ^ 0x9a0c1), wake(eventfd(0, EFD_NONBLOCK)) {}

  void Run();
  std::vector<pollfd> Files(std::vector<std::pair<Connection*, int>>& which);
  Result<std::string> Open(const std::string& to, bool finds_more);
  void Accept(Listener& listener);
  void Read(Connection& connection, bool back);
  void Write(Connection& connection, bool back);
  void Handle(Connection& connection, bool back, MessageStream::Unit unit);
  void Deliver(Clock::time_point now);
  void FindMore(std::string& message);
  void Remove();
  void Wake() const { eventfd_write(wake.get(), 1); }
  int ProcessWith(uint16_t own, uint16_t peer) const;
  Weather WeatherFor(Connection& connection, bool back);
  int WaitMs() const;
  Connection* Find(uint64_t number);

  std::mutex mutex;
  Rng rng;
  FileDescriptor wake;
  bool ending = false;
  Forecast forecast;
  std::vector<int> processes;
  std::list<Listener> listeners;
  std::list<Connection> connections;
  uint64_t connected = 0;
  std::multimap<Clock::time_point, Waiting> waiting;
  Counts counts;
  std::thread thread;
};

MessageProxy::MessageProxy(uint64_t seed) : impl_(std::make_unique<Impl>(seed)) {
  impl_->thread = std::thread([this] { impl_->Run(); });
}

MessageProxy::~MessageProxy() {
  {
    const std::scoped_lock lock(impl_->mutex);
    impl_->ending = true;
  }
  impl_->Wake();
  impl_->thread.join();
}

Result<std::string> MessageProxy::Open(const std::string& to, bool finds_more) {
  const std::scoped_lock lock(impl_->mutex);
  impl_->Wake();
  return impl_->Open(to, finds_more);
}

void MessageProxy::Know(int process) {
  const std::scoped_lock lock(impl_->mutex);
  impl_->processes.push_back(process);
}

void MessageProxy::Set(Forecast forecast) {
  const std::scoped_lock lock(impl_->mutex);
  impl_->forecast = std::move(forecast);
  impl_->Wake();
}

void MessageProxy::Reset(const std::function<bool(const Route& route)>& which) {
  const std::scoped_lock lock(impl_->mutex);
  for (Connection& connection : impl_->connections) {
    impl_->WeatherFor(connection, false);  // It may not be known yet who has connected.
    if (!which(connection.route)) continue;
    const linger hard{1, 0};
    for (const int socket : {connection.caller.get(), connection.called.get()}) {
      setsockopt(socket, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
    connection.over = true;
    ++impl_->counts.reset;
  }
  impl_->Wake();
}

MessageProxy::Counts MessageProxy::counts() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->counts;
}

Result<std::string> MessageProxy::Impl::Open(const std::string& to, bool finds_more) {
  for (const Listener& listener : listeners) {
    if (listener.to == to || listener.address == to) return listener.address;
  }
  Listener listener;
  listener.socket = FileDescriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_in any = AddressOf(0);
  if (bind(listener.socket.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0 ||
      listen(listener.socket.get(), kConnectionsMax) != 0) {
    return Error{ErrorCode::kFailed, "the proxy cannot listen"};
  }
  listener.address = std::string(kHost) + std::to_string(PortOf(listener.socket.get(), false));
  listener.to = to;
  listener.finds_more = finds_more;
  listeners.push_back(std::move(listener));
  return listeners.back().address;
}

void MessageProxy::Impl::Run() {
  std::unique_lock lock(mutex);
  while (!ending) {
    std::vector<std::pair<Connection*, int>> which;
    std::vector<pollfd> files = Files(which);
    const int wait_ms = WaitMs();
    lock.unlock();
    poll(files.data(), files.size(), wait_ms);
    lock.lock();
    eventfd_t woken = 0;
    eventfd_read(wake.get(), &woken);
    for (size_t i = 0; i < which.size(); ++i) {
      auto& [connection, back] = which[i];
      if (connection->over || files[i].revents == 0) continue;
      if ((files[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) Read(*connection, back != 0);
      if ((files[i].revents & POLLOUT) != 0) Write(*connection, back == 0);
    }
    // Not by what was polled: while nobody had the lock, there may have come another.
    for (Listener& listener : listeners) Accept(listener);
    Deliver(Clock::now());
    Remove();
  }
}

// Both ends of each connection, in the order of `which`; then the listeners.
std::vector<pollfd> MessageProxy::Impl::Files(std::vector<std::pair<Connection*, int>>& which) {
  std::vector<pollfd> files;
  for (Connection& connection : connections) {
    for (const bool back : {false, true}) {
      const Half& half = connection.half(back);
      short events = 0;
      if (half.leaving.size() < kLeavingMax) events |= POLLIN;
      if (!connection.half(!back).leaving.empty()) events |= POLLOUT;
      files.push_back({half.at_end ? -1 : connection.From(back), events, 0});
      which.emplace_back(&connection, back ? 1 : 0);
    }
  }
  for (const Listener& listener : listeners) files.push_back({listener.socket.get(), POLLIN, 0});
  files.push_back({wake.get(), POLLIN, 0});
  return files;
}

int MessageProxy::Impl::WaitMs() const {
  if (waiting.empty()) return -1;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(waiting.begin()->first - Clock::now());
  return static_cast<int>(std::max<int64_t>(left.count(), 0));
}

void MessageProxy::Impl::Accept(Listener& listener) {
  while (true) {
    FileDescriptor caller(
        accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!caller.valid()) return;
    FileDescriptor called(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in to = AddressOf(PortOf(listener.to));
    if (connect(called.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) continue;
    fcntl(called.get(), F_SETFL, O_NONBLOCK);
    Connection& connection = connections.emplace_back();
    connection.number = ++connected;
    connection.finds_more = listener.finds_more;
    connection.caller = std::move(caller);
    connection.called = std::move(called);
  }
}

int MessageProxy::Impl::ProcessWith(uint16_t own, uint16_t peer) const {
  const std::string inode = InodeOf(own, peer);
  if (inode.empty()) return 0;
  const auto found =
      std::ranges::find_if(processes, [&inode](int process) { return Holds(process, inode); });
  return found == processes.end() ? 0 : *found;
}

Weather MessageProxy::Impl::WeatherFor(Connection& connection, bool back) {
  Route& route = connection.route;
  const bool known = route.caller != 0 && route.called != 0;
  if (!known && !processes.empty() && connection.looks++ < kLooksMax) {
    const int socket = connection.caller.get();
    route.caller = ProcessWith(PortOf(socket, true), PortOf(socket, false));
    route.called = ProcessWith(PortOf(connection.called.get(), true), 0);  // It listens there.
  }
  if (!forecast) return {};
  route.back = back;
  return forecast(route);
}

void MessageProxy::Impl::Read(Connection& connection, bool back) {
  Half& half = connection.half(back);
  char bytes[65536];
  const ssize_t count = recv(connection.From(back), bytes, sizeof bytes, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    half.at_end = true;
    if (count < 0) connection.over = true;
    return;
  }
  half.stream.Add({bytes, static_cast<size_t>(count)});
  while (std::optional<MessageStream::Unit> unit = half.stream.Next()) {
    Handle(connection, back, std::move(*unit));
  }
  Write(connection, back);
}

void MessageProxy::Impl::Handle(Connection& connection, bool back, MessageStream::Unit unit) {
  const Weather weather = WeatherFor(connection, back);
  Half& half = connection.half(back);
  if (!unit.message) {
    // Behind what waits already, for these are in order.
    if (!weather.cut && half.waiting == 0) {
      half.leaving += unit.bytes;
      return;
    }
    ++half.waiting;
    waiting.emplace(Clock::now() + kCutLook, Waiting{connection.number, back, unit, true});
    return;
  }
  if (connection.finds_more && !back) FindMore(unit.bytes);
  if (weather.cut || rng.Chance(weather.dropped)) {
    ++counts.dropped;
    return;
  }
  const int times = rng.Chance(weather.doubled) ? 2 : 1;
  counts.doubled += times - 1;
  for (int i = 0; i < times; ++i) {
    ++counts.passed;
    if (!rng.Chance(weather.delayed)) {
      half.leaving += unit.bytes;
      continue;
    }
    ++counts.delayed;
    ++half.waiting;
    const std::chrono::microseconds delay(
        rng.Below(static_cast<uint64_t>(weather.delay_max.count()) * 1000 + 1));
    waiting.emplace(Clock::now() + delay, Waiting{connection.number, back, unit, false});
  }
}

void MessageProxy::Impl::Write(Connection& connection, bool back) {
  std::string& bytes = connection.half(back).leaving;
  if (bytes.empty()) return;
  const ssize_t count = send(connection.To(back), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (count > 0) bytes.erase(0, static_cast<size_t>(count));
  if (count < 0 && errno != EAGAIN && errno != EINTR) connection.over = true;
}

void MessageProxy::Impl::Deliver(Clock::time_point now) {
  while (!waiting.empty() && waiting.begin()->first <= now) {
    Waiting one = std::move(waiting.begin()->second);
    waiting.erase(waiting.begin());
    Connection* connection = Find(one.connection);
    if (connection == nullptr) continue;
    if (one.held && WeatherFor(*connection, one.back).cut) {
      waiting.emplace(now + kCutLook, std::move(one));
      continue;
    }
    Half& half = connection->half(one.back);
    --half.waiting;
    half.leaving += one.unit.bytes;
    Write(*connection, one.back);
  }
}

Connection* MessageProxy::Impl::Find(uint64_t number) {
  const auto found = std::ranges::find(connections, number, &Connection::number);
  return found == connections.end() || found->over ? nullptr : &*found;
}

void MessageProxy::Impl::FindMore(std::string& message) {
  const std::string begin = "tcp://" + std::string(kHost);
  for (size_t at = 0; (at = message.find(begin, at)) != std::string::npos; at += begin.size()) {
    const std::string port = message.substr(at + begin.size(), kPortDigits);
    const bool digits =
        port.size() == kPortDigits && std::ranges::all_of(port, [](char c) { return isdigit(c); });
    if (!digits) continue;
    const Result<std::string> ours = Open(std::string(kHost) + port, false);
    // So the message stays as long as it was.
    if (!ours.ok() || ours.value().size() != kHost.size() + kPortDigits) continue;
    message.replace(at + begin.size(), kPortDigits, ours.value().substr(kHost.size()));
  }
}

// Whose one end has closed is closed at the other when that has what was sent before, and hears of
// it.
void MessageProxy::Impl::Remove() {
  const auto ends = [this](Connection& connection, bool back) {
    const Half& half = connection.half(back);
    return half.at_end && half.leaving.empty() && half.waiting == 0 &&
           !WeatherFor(connection, back).cut;
  };
  connections.remove_if([&](Connection& connection) {
    return connection.over || ends(connection, false) || ends(connection, true);
  });
}

}  // namespace shardmill::chaos
