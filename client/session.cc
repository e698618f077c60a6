#include "client/session.h"

#include <algorithm>
#include <utility>

#include "client/session_impl.h"
#include "common/config/text.h"
#include "common/fresh_id.h"
#include "common/process/cpu_set.h"
#include "common/table_words.h"

namespace shardmill {
namespace {

WireLimits Limits(const SessionOptions& options) {
  WireLimits limits;
  limits.message_bytes_max = options.message_bytes;
  return limits;
}

PeerOptions TransportOptions(const SessionOptions& options) {
  PeerOptions peer;
  peer.zmq.message_bytes_max = options.message_bytes;
  // A shard holds a step's gradient where it lies, and bounds that itself; the window bounds the
  // rest.
  peer.lent_bytes_max = UINT64_MAX;
  peer.zmq.tcp.congestion_control = options.congestion_control;
  peer.zmq.tcp.send_buffer = options.send_buffer;
  peer.zmq.tcp.receive_buffer = options.receive_buffer;
  peer.shared_memory = options.shared_memory;
  peer.spin = options.spin;
  return peer;
}

// Longer than any training, and still far from the end of the clock.
constexpr std::chrono::hours kLongest{24 * 365};

bool IsWait(std::chrono::milliseconds wait) { return wait.count() > 0 && wait <= kLongest; }

Result<> CheckOptions(const SessionOptions& options) {
  const auto bad = [](const char* words) {
    return Error{ErrorCode::kBadUsage, std::string("SessionOptions::") + words};
  };
  if (options.unit_bytes < sizeof(float) || options.unit_bytes % sizeof(float) != 0) {
    return bad("unit_bytes is no multiple of 4 bytes");
  }
  if (options.unit_bytes > options.message_bytes) {
    return bad("unit_bytes is more than message_bytes: no unit would be taken");
  }
  if (options.io_threads < 1) return bad("io_threads is less than 1: nothing would ever be sent");
  SM_TRY(CheckCpus("SessionOptions::io_cpus", options.io_cpus));
  for (const auto& [wait, words] :
       {std::pair(options.open_timeout, "open_timeout is not between 1 ms and a year"),
        std::pair(options.lease, "lease is not between 1 ms and a year"),
        std::pair(options.retry_after, "retry_after is not between 1 ms and a year")}) {
    if (!IsWait(wait)) return bad(words);
  }
  return {};
}

}  // namespace

Memory::Memory(Frame frame, std::span<float> floats)
    : frame_(std::make_unique<Frame>(std::move(frame))), floats_(floats) {}
Memory::Memory(Memory&&) noexcept = default;
Memory& Memory::operator=(Memory&&) noexcept = default;
Memory::~Memory() = default;

Session::Impl::Impl(const SessionOptions& options, std::unique_ptr<KeyRing> keys)
    : options_(options),
      keys_(std::move(keys)),
      context_(options.io_threads, options.io_cpus, keys_.get()),
      frames_(FramePool::MemoryFor(options.shared_memory)),
      transport_(context_, frames_, TransportOptions(options)),
      messenger_(transport_, frames_, Limits(options)),
      timeline_(options.timeline) {}

Result<> Session::Impl::Open() {
  const bool whole = options_.coordinator.starts_with("tcp://");
  const std::string endpoint = (whole ? "" : "tcp://") + options_.coordinator;
  coordinator_ = SM_TRY(transport_.Connect(endpoint));
  PsClientOptions client;
  client.rank = WorkerId{options_.rank};
  client.any_rank = options_.any_rank;
  client.boot = BootId{FreshId()};
  client.coordinator = coordinator_;
  client.retry_after = options_.retry_after;
  client.unit_bytes = options_.unit_bytes;
  client.window_bytes = options_.window_bytes;
  client_.emplace(client, frames_);
  const TimePoint end = clock_.Now() + options_.open_timeout;
  std::string told;
  SM_TRY(MoveUntil(end, [this, &told] {
    if (options_.waits && client_->coordinator_words() != told) {
      told = client_->coordinator_words();
      options_.waits(told);
    }
    return client_->granted();
  }));
  auto transport = std::make_unique<ZmqTransport>(context_, TransportOptions(options_).zmq);
  lease_ =
      SM_TRY(LeaseThread::Start(std::move(transport), endpoint, client_->sender(),
                                client_->CoordinatorStamp(), options_.lease / 4, Limits(options_)));
  SM_TRY(MoveUntil(end, [this] { return client_->Ready(); }));
  client_->TakeRollback();  // Nobody has begun anything yet.
  return {};
}

Result<> Session::Impl::TellRollback() {
  if (!client_->rolled_back()) return {};
  const TimePoint end = clock_.Now() + std::max<Duration>(step_limit, options_.open_timeout);
  SM_TRY(MoveUntil(
      end, [this] { return client_->Ready(); }, step_limit));
  client_->TakeRollback();
  in_step = false;
  left_unfinished = false;
  ++counters.rollbacks;
  return Error{ErrorCode::kRolledBack, "a server was lost: the job goes on from step " +
                                           std::to_string(client_->step()) + ", under generation " +
                                           std::to_string(client_->generation().value)};
}

std::string Session::Impl::MisfitOf(const TableSpec& spec) const {
  const TablePlace* place = client_->FindTable(spec.name);
  return place == nullptr ? "" : ShapeDifference(place->spec, spec);
}

Result<> Session::Impl::Make(std::span<const TableSpec> specs) {
  SM_TRY(CheckOpen());
  SM_TRY(Move());  // Others may have made them.
  std::vector<const TableSpec*> waits_for;
  for (const TableSpec& spec : specs) {
    if (!MisfitOf(spec).empty()) continue;
    client_->MakeTable(clock_.Now(), spec, outbox_);
    waits_for.push_back(&spec);
  }
  return MoveUntil(clock_.Now() + options_.open_timeout, [&] {
    std::erase_if(waits_for, [&](const TableSpec* spec) {
      const TablePlace* place = client_->FindTable(spec->name);
      return place != nullptr && (place->spec == *spec || !MisfitOf(*spec).empty());
    });
    return waits_for.empty();
  });
}

Result<const TablePlace*> Session::Impl::Table(const TableSpec& spec) {
  SM_TRY(Make({&spec, 1}));
  const std::string other = MisfitOf(spec);
  if (other.empty()) return client_->FindTable(spec.name);
  return Error{ErrorCode::kBadUsage,
               "table \"" + spec.name + "\" is not what this worker wants: it has " + other};
}

Result<> Session::Impl::Close(bool done, const std::string& failure) {
  // Who was stopped still says goodbye, but does not wait long for the answer.
  constexpr std::chrono::milliseconds kStoppedWait{1000};
  const auto limit = done ? options_.open_timeout : kStoppedWait;
  if (done) {
    SM_TRY(TellRollback());
  } else {
    options_.stopped = nullptr;
  }
  client_->SayGoodbye(clock_.Now(), done, failure, outbox_);
  const TimePoint end = clock_.Now() + limit;
  Flush();
  const auto is_left = [this] { return client_->left(); };
  // The end of a job that may go back can be far: who waits for it is told that others get on.
  const Result<> left = done ? Await(end, is_left, limit) : MoveUntil(end, is_left);
  if (!left.ok() && left.error().code == ErrorCode::kRolledBack) return left;
  lease_.reset();
  return left;
}

Result<const TablePlace*> Session::Impl::Place(uint32_t table, bool sparse) const {
  for (const TablePlace& place : client_->view().tables) {
    if (place.id.value == table && place.spec.sparse() == sparse) return &place;
  }
  return Error{ErrorCode::kBadUsage, "a table that this session did not give"};
}

Result<> Session::Impl::MoveOnce(std::chrono::milliseconds timeout) {
  client_->Tick(clock_.Now(), outbox_);
  Flush();
  bad_.clear();
  SM_TRY(messenger_.Poll(timeout, messages_, bad_));
  for (const Envelope& envelope : messages_) {
    timeline_.Hears(envelope);
    client_->Handle(clock_.Now(), envelope, outbox_);
  }
  // What was read goes back before this worker says that its step is over: a shard replaces what is
  // still lent.
  messages_.clear();
  SM_TRY(AttachShards());
  Flush();
  if (client_->failure()) return *client_->failure();
  for (const BadPacket& packet : bad_) {
    if (packet.peer == coordinator_ && !client_->granted()) {
      return Error{ErrorCode::kBadUsage,
                   "what answers at " + options_.coordinator +
                       " is no coordinator of this version: " + packet.why.message};
    }
  }
  if (lease_) {
    const std::optional<Error> lost = lease_->failure();
    if (lost) return *lost;
  }
  return {};
}

// Over a network the bytes travel while the worker computes. A shard on this host finds them where
// they lie: what it can do before the step's end is no more than a look at each, and waking it for
// that takes a processor from who computes.
uint64_t Session::Impl::UnsentBytesMax() const {
  constexpr uint64_t kOverNetwork = 4096;
  constexpr uint64_t kInMemory = uint64_t{4} << 20;
  const bool in_memory = std::ranges::all_of(
      shard_peers_, [this](const auto& entry) { return transport_.IsInMemory(entry.second); });
  return in_memory ? kInMemory : kOverNetwork;
}

Result<> Session::Impl::AttachShards() {
  for (const ShardPlace& place : client_->Unattached()) {
    const auto before = shard_peers_.find(place.id);
    if (before != shard_peers_.end()) transport_.Disconnect(before->second);
    const PeerId peer = SM_TRY(transport_.Connect(place.endpoint));
    shard_peers_[place.id] = peer;
    client_->Attach(place.id, peer);
    timeline_.Attach(place.id, peer);
  }
  return {};
}

Error Session::Impl::Late(Duration waited) const {
  std::string words = "gave up after " +
                      config::FormatAbout(std::chrono::round<std::chrono::milliseconds>(waited)) +
                      " of waiting for " + client_->WaitsFor();
  std::string trouble = transport_.Trouble(coordinator_);
  for (const auto& [shard, peer] : shard_peers_) {
    if (trouble.empty()) trouble = transport_.Trouble(peer);
  }
  if (!trouble.empty()) words += " (" + trouble + ")";
  if (!client_->granted()) words += "; the coordinator is expected at " + options_.coordinator;
  return Error{ErrorCode::kUnavailable, words};
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::Open(const SessionOptions& options) {
  SM_TRY(CheckOptions(options));
  std::optional<WorkerId> rank;
  if (!options.any_rank) rank = WorkerId{options.rank};
  auto keys = SM_TRY(KeyRing::Open(options.keys, Role::kWorker, rank));
  auto impl = std::make_unique<Impl>(options, std::move(keys));
  SM_TRY(impl->Open());
  return std::unique_ptr<Session>(new Session(std::move(impl)));
}

Result<DenseTable> Session::Dense(const std::string& name, uint64_t size,
                                  const TableOptions& options) {
  const TablePlace* place = SM_TRY(impl_->Table({name, size, options.initial, 0, options.update}));
  return DenseTable{place->id.value, size};
}

Result<SparseTable> Session::Sparse(const std::string& name, uint32_t dim,
                                    const TableOptions& options) {
  const TablePlace* place = SM_TRY(impl_->Table({name, 0, options.initial, dim, options.update}));
  return SparseTable{place->id.value, dim};
}

Result<> Session::Make(std::span<const TableWish> tables) {
  std::vector<TableSpec> specs;
  for (const TableWish& table : tables) {
    specs.push_back(
        {table.name, table.size, table.options.initial, table.dim, table.options.update});
  }
  return impl_->Make(specs);
}

Result<Memory> Session::Allocate(uint64_t floats) {
  if (floats == 0) return Error{ErrorCode::kBadUsage, "memory of no floats"};
  std::span<float> writable;
  Frame frame = impl_->client().Lend(floats, writable);
  return Memory(std::move(frame), writable);
}

Result<KeySet> Session::Bind(SparseTable table, std::span<const uint64_t> keys) {
  const TablePlace* place = SM_TRY(impl_->Place(table.id, true));
  return impl_->client().Bind(*place, keys);
}

void Session::Unbind(KeySet keys) { impl_->client().Unbind(keys); }

Result<TrainingStep> Session::Begin(std::chrono::milliseconds deadline) {
  SM_TRY(impl_->CheckOpen());
  if (!IsWait(deadline)) {
    return Error{ErrorCode::kBadUsage, "the deadline of a step is not between 1 ms and a year"};
  }
  if (impl_->in_step) {
    return Error{ErrorCode::kBadUsage, "a step is under way: finish it before the next"};
  }
  if (impl_->left_unfinished && impl_->client().ending()) {
    return Error{ErrorCode::kFailed,
                 "the end of the last step is not known: close this session and open another"};
  }
  if (impl_->left_unfinished) {
    impl_->client().AbandonStep();
    impl_->left_unfinished = false;
  }
  SM_TRY(impl_->Move());
  SM_TRY(impl_->TellRollback());
  impl_->step_limit = deadline;
  impl_->deadline = impl_->Now() + deadline;
  impl_->in_step = true;
  return TrainingStep(this, ++impl_->step_serial);
}

uint64_t Session::generation() const { return impl_->client().told_generation().value; }

uint64_t Session::job() const { return impl_->client().job().value; }

uint64_t Session::next_step() const { return impl_->client().told_step(); }

void Session::Report(const Progress& progress) {
  shardmill::Report report;
  report.step = impl_->client().step() - 1;
  report.epoch = progress.epoch;
  report.samples = progress.samples;
  report.seconds = progress.seconds;
  for (const auto& [name, value] : progress.metrics) report.metrics.push_back({name, value});
  impl_->client().SendReport(std::move(report), impl_->outbox());
  impl_->Flush();
}

Result<> Session::Close(bool done) { return impl_->Close(done, ""); }

Result<> Session::Abort(const std::string& why) { return impl_->Close(false, why); }

std::chrono::milliseconds Session::coordinator_silent() const { return impl_->silent(); }

const SessionCounters& Session::counters() const {
  impl_->counters.staleness_max = impl_->client().staleness_max();
  return impl_->counters;
}

}  // namespace shardmill
