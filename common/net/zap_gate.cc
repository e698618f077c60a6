#include "common/net/zap_gate.h"

#include <chrono>
#include <cstring>
#include <utility>

namespace shardmill {
namespace {

// Also the longest wait for the end, and for a change of the list to be seen.
constexpr std::chrono::milliseconds kPoll{50};
constexpr size_t kPartsMax = 16;

// Of a question: version, number, domain, address, routing id, mechanism, and the key.
constexpr size_t kParts = 7;
constexpr const char* kVersion = "1.0";

}  // namespace

ZapGate::ZapGate(zmq::context_t& context, KeyRing& keys, GateObserver& observer)
    : keys_(keys), observer_(observer), socket_(context, zmq::socket_type::rep) {
  socket_.set(zmq::sockopt::linger, 0);
  socket_.bind("inproc://zeromq.zap.01");
  thread_ = std::thread([this] { Run(); });
}

ZapGate::~ZapGate() {
  stop_.store(true, std::memory_order_relaxed);
  thread_.join();
}

void ZapGate::Run() {
  while (!stop_.load(std::memory_order_relaxed)) {
    try {
      zmq::pollitem_t item{socket_.handle(), 0, ZMQ_POLLIN, 0};
      zmq::poll(&item, 1, kPoll);
      if ((item.revents & ZMQ_POLLIN) != 0) Answer();
      Refresh();
    } catch (const zmq::error_t& error) {
      if (error.num() == EINTR) continue;
      // Without a gate nobody comes in.
      observer_.Trouble(std::string("the gate is broken: ") + error.what());
      return;
    }
  }
}

bool ZapGate::Refresh() {
  std::vector<Error> troubles;
  const bool readable = keys_.Refresh(troubles);
  for (const Error& trouble : troubles) observer_.Trouble(trouble.message);
  return readable;
}

void ZapGate::Answer() {
  std::vector<std::string> question;
  zmq::message_t part;
  bool more = true;
  while (more) {
    if (!socket_.recv(part)) return;
    more = part.more();
    if (question.size() < kPartsMax) question.push_back(part.to_string());
  }
  const Verdict verdict = Judge(question);
  const std::string number = question.size() > 1 ? question[1] : "";
  const std::string answer[] = {
      kVersion,     number, verdict.in ? "200" : "400", verdict.in ? "OK" : "not let in",
      verdict.user, ""};
  for (size_t i = 0; i < std::size(answer); ++i) {
    const bool last = i + 1 == std::size(answer);
    socket_.send(zmq::buffer(answer[i]), last ? zmq::send_flags::none : zmq::send_flags::sndmore);
  }
}

ZapGate::Verdict ZapGate::Judge(const std::vector<std::string>& question) {
  const auto no = [&](const std::string& words) {
    observer_.Refused({Stranger::Why::kKey, question.size() > 3 ? question[3] : "", words});
    return Verdict{};
  };
  if (question.size() != kParts || question[0] != kVersion || question[2] != kZapDomain ||
      question[5] != "CURVE" || question[6].size() != Key().size()) {
    return no("a handshake without a key");
  }
  Key key{};
  std::memcpy(key.data(), question[6].data(), key.size());
  const std::string text = HexadecimalOf(key);
  if (!Refresh()) return no("the list of keys cannot be read, so the key " + text + " waits");
  // A key of a worker or an operator has no business in its own role's socket, but may ask: what it
  // may say is the core's to judge.
  if (keys_.allowed()->Find(key) == nullptr) {
    return no("the key " + text + " is not on the list of those who are let in");
  }
  return {true, text};
}

}  // namespace shardmill
