#include "common/net/zmq_link_watch.h"

namespace shardmill {
namespace {

constexpr int kEvents = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED |
                        ZMQ_EVENT_CONNECT_DELAYED | ZMQ_EVENT_CONNECT_RETRIED |
                        ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                        ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

}  // namespace

LinkWatch::LinkWatch(zmq::context_t& context, zmq::socket_t& watched, const TcpTuning& tuning)
    : monitor_(context, watched, kEvents), tuning_(tuning) {}

void LinkWatch::Drain() {
  monitor_.Drain([this](uint16_t event, uint32_t value) { Take(event, static_cast<int>(value)); });
}

void LinkWatch::Take(uint16_t event, int value) {
  if (event == ZMQ_EVENT_CONNECT_RETRIED) {
    ++retries_;
    return;
  }
  retries_ = 0;
  switch (event) {
    case ZMQ_EVENT_CONNECTED:
      SetCongestionControl(value, tuning_);
      accepted_ = true;
      break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      connected_ = true;
      foreign_ = false;
      refused_ = false;
      given_up_.reset();
      break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      refused_ = true;
      [[fallthrough]];
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      given_up_ = std::chrono::steady_clock::now();
      [[fallthrough]];
    case ZMQ_EVENT_DISCONNECTED:
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
      foreign_ = foreign_ || (accepted_ && !connected_);
      connected_ = false;
      accepted_ = false;
      break;
    case ZMQ_EVENT_CLOSED:  // No TCP connection came about.
      foreign_ = false;
      connected_ = false;
      accepted_ = false;
      break;
    default:
      break;
  }
}

bool LinkWatch::TimeToTryAgain() {
  constexpr std::chrono::seconds kPause{1};
  if (!given_up_ || std::chrono::steady_clock::now() - *given_up_ < kPause) return false;
  given_up_.reset();
  return true;
}

std::string LinkWatch::Words(const std::string& endpoint) const {
  if (connected_) return "";
  // A connection is tried before it is tried again, unless its host has no address.
  if (retries_ >= 2) return "the host in " + endpoint + " cannot be found";
  if (refused_) return endpoint + " does not let this process's key in";
  if (foreign_) return "something answers at " + endpoint + " that does not speak this protocol";
  if (accepted_) return "something accepts connections at " + endpoint + " and says nothing";
  return "nothing answers at " + endpoint;
}

}  // namespace shardmill
