// The one file that sees the HTTP library, for server and client alike: it is slow to compile.
#include <httplib.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "common/http/http_client.h"
#include "common/http/http_server.h"

namespace shardmill {
namespace {

// Threads behind a bounded queue, made when all others are busy and up to a limit. When the queue
// is full the thread that accepts waits, and with it the peers in the kernel's backlog. Owned by
// the library's server, whose one thread calls it. The mutex guards all fields but the threads.
class BoundedPool final : public httplib::TaskQueue {
 public:
  BoundedPool() = default;
  ~BoundedPool() override { shutdown(); }

  void enqueue(std::function<void()> task) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return tasks_.size() < kHttpWaitingMax; });
    tasks_.push_back(std::move(task));
    if (tasks_.size() > idle_ && threads_.size() < kHttpThreads) Grow();
    changed_.notify_all();
  }

  void shutdown() override {
    {
      const std::scoped_lock lock(mutex_);
      ending_ = true;
      changed_.notify_all();
    }
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  void Grow() try {
    threads_.emplace_back([this] { Run(); });
  } catch (const std::system_error&) {
    // The machine has no more threads: those that there are serve all, or the next task tries anew.
  }

  void Run() {
    std::unique_lock lock(mutex_);
    while (true) {
      ++idle_;
      changed_.wait(lock, [this] { return ending_ || !tasks_.empty(); });
      --idle_;
      if (tasks_.empty()) return;
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      changed_.notify_all();
      lock.unlock();
      task();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  size_t idle_ = 0;  // Threads that wait for a task.
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

void Answer(const HttpHandler& handler, const httplib::Request& from, httplib::Response& to) {
  HttpRequest request;
  request.path = from.path;
  for (const auto& [name, value] : from.params) request.parameters.push_back(name);
  HttpResponse response = handler(request);
  to.status = response.status;
  to.set_content(response.body, response.content_type);
}

std::string Bare(const std::string& host) {  // Without the brackets of an IPv6 address.
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return bracketed ? host.substr(1, host.size() - 2) : host;
}

void Limit(httplib::Server* server, socket_t* listening) {
  server->new_task_queue = [] { return std::make_unique<BoundedPool>().release(); };
  server->set_keep_alive_max_count(1);
  server->set_keep_alive_timeout(kHttpIdleMax.count());
  server->set_read_timeout(kHttpWaitMax);
  server->set_write_timeout(kHttpWaitMax);
  server->set_payload_max_length(kHttpPayloadBytesMax);
  // The library's own choice would let two servers share one port in silence.
  server->set_socket_options([listening](socket_t socket) {
    *listening = socket;
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  server->set_pre_routing_handler([](const httplib::Request& request, httplib::Response& response) {
    if (request.method == "GET" || request.method == "HEAD") {
      return httplib::Server::HandlerResponse::Unhandled;
    }
    response.status = 405;
    response.set_header("Allow", "GET, HEAD");
    response.set_content("only GET and HEAD are answered here\n", "text/plain; charset=utf-8");
    return httplib::Server::HandlerResponse::Handled;
  });
}

Error CannotListen(const HttpServerOptions& options, int why) {
  std::string words = "cannot serve HTTP at " + options.host + ":" + std::to_string(options.port);
  if (why == EADDRINUSE) {
    words += ": the port is in use; set http.port = 0 to take any free one";
  } else {
    words += why == 0 ? ": no such host; set http.bind to an address of this machine"
                      : ": " + std::generic_category().message(why) + "; see http.bind, http.port";
  }
  return {ErrorCode::kBadUsage, std::move(words)};
}

}  // namespace

bool HttpRequest::Has(const std::string& parameter) const {
  return std::find(parameters.begin(), parameters.end(), parameter) != parameters.end();
}

struct HttpServer::Impl {
  std::vector<HttpRoute> routes;
  socket_t listening = -1;  // The server's, while it binds.
  httplib::Server server;
  std::thread thread;
  std::atomic<bool> ended{false};  // Set by the thread that accepts, read by the destructor.
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl, std::string address)
    : impl_(std::move(impl)), address_(std::move(address)) {}

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options,
                                                      std::vector<HttpRoute> routes) try {
  auto impl = std::make_unique<Impl>();
  impl->routes = std::move(routes);
  Limit(&impl->server, &impl->listening);
  for (const HttpRoute& route : impl->routes) {
    // The library takes regular expressions; a path of ours is literal.
    SM_ASSERT(route.path.find_first_of(".*+?()[]{}|^$\\") == std::string::npos);
    impl->server.Get(route.path, [&route](const httplib::Request& from, httplib::Response& to) {
      Answer(route.handler, from, to);
    });
  }
  errno = 0;
  const std::string host = Bare(options.host);
  int port = options.port;
  if (port == 0) {
    port = impl->server.bind_to_any_port(host);
  } else if (!impl->server.bind_to_port(host, port)) {
    port = -1;
  }
  if (port <= 0) return CannotListen(options, errno);
  // The library's own backlog is 5: the sixth of a burst of connections would wait for a second.
  if (listen(impl->listening, kHttpBacklog) != 0) return CannotListen(options, errno);
  impl->thread = std::thread([impl = impl.get()] {
    impl->server.listen_after_bind();
    impl->ended = true;
  });
  return std::make_unique<HttpServer>(std::move(impl), options.host + ":" + std::to_string(port));
} catch (const std::exception& failure) {
  return Error{ErrorCode::kFailed, std::string("cannot serve HTTP: ") + failure.what()};
}

HttpServer::~HttpServer() {
  // The library forgets a stop that comes before it has begun to accept.
  while (!impl_->server.is_running() && !impl_->ended) std::this_thread::yield();
  impl_->server.stop();
  impl_->thread.join();
}

Result<HttpResponse> HttpGet(const std::string& address, const std::string& path,
                             std::chrono::milliseconds timeout) try {
  const size_t colon = address.rfind(':');
  uint16_t port = 0;
  if (colon != std::string::npos) {
    const char* end = address.data() + address.size();
    const auto parsed = std::from_chars(address.data() + colon + 1, end, port);
    if (parsed.ec != std::errc() || parsed.ptr != end) port = 0;
  }
  if (port == 0 || colon == 0) {
    return Error{ErrorCode::kBadUsage, "\"" + address + "\" is no HOST:PORT"};
  }
  httplib::Client client(Bare(address.substr(0, colon)), port);
  client.set_connection_timeout(timeout);
  client.set_read_timeout(timeout);
  client.set_write_timeout(timeout);
  HttpResponse response;
  bool too_long = false;
  const httplib::Result result = client.Get(path, [&](const char* data, size_t size) {
    too_long = response.body.size() + size > kHttpBodyBytesMax;
    if (!too_long) response.body.append(data, size);
    return !too_long;
  });
  if (too_long) return Error{ErrorCode::kBadInput, address + path + " answers without an end"};
  if (!result) {
    return Error{ErrorCode::kUnavailable, "nobody answers at http://" + address + path + " (" +
                                              httplib::to_string(result.error()) + ")"};
  }
  response.status = result->status;
  response.content_type = result->get_header_value("Content-Type");
  return response;
} catch (const std::exception& failure) {
  return Error{ErrorCode::kFailed, "http://" + address + path + ": " + failure.what()};
}

Result<std::string> HttpGetBody(const std::string& address, const std::string& path,
                                std::chrono::milliseconds timeout) {
  HttpResponse response = SM_TRY(HttpGet(address, path, timeout));
  if (response.status == 200) return std::move(response.body);
  constexpr size_t kShownMax = 200;
  return Error{ErrorCode::kFailed, "http://" + address + path + " answers with status " +
                                       std::to_string(response.status) + ": " +
                                       response.body.substr(0, kShownMax)};
}

}  // namespace shardmill
