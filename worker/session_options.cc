#include "worker/session_options.h"

#include <string>

#include "common/job/address.h"

namespace shardmill {

SessionOptions SessionOptionsOf(const JobOptions& job, uint32_t rank) {
  const Address coordinator = *ParseAddress(job.cluster.coordinator);
  const NetworkOptions& network = job.network;
  SessionOptions options;
  options.coordinator = coordinator.host + ":" + std::to_string(coordinator.port);
  options.rank = rank;
  options.open_timeout = job.cluster.start_timeout;
  options.lease = job.cluster.lease;
  options.retry_after = network.retry_after;
  options.unit_bytes = network.unit_bytes;
  options.window_bytes = network.window_bytes;
  options.message_bytes = network.message_bytes;
  options.io_threads = static_cast<int>(network.io_threads);
  options.io_cpus = network.IoCpus();
  options.congestion_control = network.congestion_control;
  options.send_buffer = network.send_buffer;
  options.receive_buffer = network.receive_buffer;
  options.shared_memory = network.shared_memory;
  options.spin = network.spin;
  options.keys = job.security.keys;
  return options;
}

}  // namespace shardmill
