#include "client/session.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "client/lease_thread.h"
#include "client/ps_client.h"
#include "client/session_timeline.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/config/text.h"
#include "common/frame_pool.h"
#include "common/fresh_id.h"
#include "common/keys/key_ring.h"
#include "common/net/messenger.h"
#include "common/net/peer_transport.h"
#include "common/net/zmq_transport.h"
#include "common/process/cpu_set.h"

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

// All that a session is: the client core, the transport under it, and the loop that moves both.
class Session::Impl final {
 public:
  Impl(const SessionOptions& options, std::unique_ptr<KeyRing> keys)
      : options_(options),
        keys_(std::move(keys)),
        context_(options.io_threads, options.io_cpus, keys_.get()),
        frames_(FramePool::MemoryFor(options.shared_memory)),
        transport_(context_, frames_, TransportOptions(options)),
        messenger_(transport_, frames_, Limits(options)),
        timeline_(options.timeline) {}

  Result<> Open();
  Result<const TablePlace*> Table(const TableSpec& spec);
  Result<> Close(bool done, const std::string& failure);

  // Moves IO until `done()`, a failure, or the deadline. While those who are waited for get on, it
  // is put off by `put_off`.
  template <class DoneFn>
  Result<> MoveUntil(TimePoint deadline, DoneFn done, Duration put_off = Duration{0});
  Result<> CheckOpen() const {
    if (lease_) return {};
    return Error{ErrorCode::kBadUsage, "this session is closed; open another"};
  }
  // Moves what is there, without waiting.
  Result<> Move() { return MoveOnce(std::chrono::milliseconds(0)); }
  void Flush() {
    timeline_.Sends(outbox_, client_->view());
    messenger_.Send(outbox_);
  }
  // MoveUntil in the step under way, to whose end `wait` belongs.
  template <class DoneFn>
  Result<> AwaitInStep(const char* wait, DoneFn done);
  // Nobody waits for a push before the step's end: a small one leaves with what comes next.
  void FlushUnlessSmall(uint64_t bytes) {
    constexpr uint64_t kSmallBytes = 4096;
    if (bytes > kSmallBytes) Flush();
  }

  TimelineLane* lane() const { return timeline_.lane(); }
  PsClient& client() { return *client_; }
  const PsClient& client() const { return *client_; }
  Result<const TablePlace*> Place(uint32_t table, bool sparse) const;
  const SessionOptions& options() const { return options_; }
  TimePoint Now() const { return clock_.Now(); }
  std::chrono::milliseconds silent() const {
    return lease_ ? lease_->silent() : std::chrono::milliseconds(0);
  }
  Outbox& outbox() { return outbox_; }

  // Of the step under way.
  Duration step_limit{};
  TimePoint deadline{};
  uint64_t step_serial = 0;
  bool in_step = false;
  bool left_unfinished = false;
  SessionCounters counters;

 private:
  Result<> MoveOnce(std::chrono::milliseconds timeout);
  Result<> AttachShards();
  Error Late(Duration waited) const;

  SessionOptions options_;
  SteadyClock clock_;
  std::unique_ptr<KeyRing> keys_;
  ZmqContext context_;
  FramePool frames_;
  PeerTransport transport_;
  Messenger messenger_;
  SessionTimeline timeline_;
  std::optional<PsClient> client_;
  std::unique_ptr<LeaseThread> lease_;
  PeerId coordinator_;
  std::map<ShardId, PeerId> shard_peers_;
  Outbox outbox_;
  std::vector<Envelope> messages_;
  std::vector<BadPacket> bad_;
};

Result<> Session::Impl::Open() {
  const bool whole = options_.coordinator.starts_with("tcp://");
  const std::string endpoint = (whole ? "" : "tcp://") + options_.coordinator;
  coordinator_ = SM_TRY(transport_.Connect(endpoint));
  PsClientOptions client;
  client.rank = WorkerId{options_.rank};
  client.boot = BootId{FreshId()};
  client.coordinator = coordinator_;
  client.retry_after = options_.retry_after;
  client.unit_bytes = options_.unit_bytes;
  client.window_bytes = options_.window_bytes;
  client_.emplace(client, frames_);
  const TimePoint end = clock_.Now() + options_.open_timeout;
  SM_TRY(MoveUntil(end, [this] { return client_->granted(); }));
  auto transport = std::make_unique<ZmqTransport>(context_, TransportOptions(options_).zmq);
  lease_ =
      SM_TRY(LeaseThread::Start(std::move(transport), endpoint, client_->sender(),
                                client_->CoordinatorStamp(), options_.lease / 4, Limits(options_)));
  return MoveUntil(end, [this] { return client_->Ready(); });
}

Result<const TablePlace*> Session::Impl::Table(const TableSpec& spec) {
  SM_TRY(CheckOpen());
  const TimePoint end = clock_.Now() + options_.open_timeout;
  client_->MakeTable(clock_.Now(), spec, outbox_);
  SM_TRY(MoveUntil(end, [&] { return client_->FindTable(spec.name) != nullptr; }));
  const TablePlace* place = client_->FindTable(spec.name);
  if (place->spec == spec) return place;
  return Error{ErrorCode::kBadUsage, "table \"" + spec.name +
                                         "\" is not what this worker wants: it has another size, "
                                         "first values or update"};
}

Result<> Session::Impl::Close(bool done, const std::string& failure) {
  // Who was stopped still says goodbye, but does not wait long for the answer.
  constexpr std::chrono::milliseconds kStoppedWait{1000};
  const auto limit = done ? options_.open_timeout : kStoppedWait;
  options_.stopped = nullptr;
  client_->SayGoodbye(clock_.Now(), done, failure, outbox_);
  const TimePoint end = clock_.Now() + limit;
  const Result<> left = MoveUntil(end, [this] { return client_->left(); });
  lease_.reset();
  return left;
}

Result<const TablePlace*> Session::Impl::Place(uint32_t table, bool sparse) const {
  for (const TablePlace& place : client_->view().tables) {
    if (place.id.value == table && place.spec.sparse() == sparse) return &place;
  }
  return Error{ErrorCode::kBadUsage, "a table that this session did not give"};
}

template <class DoneFn>
Result<> Session::Impl::MoveUntil(TimePoint deadline_at, DoneFn done, Duration put_off) {
  constexpr std::chrono::milliseconds kPollMax{20};
  const TimePoint begin = clock_.Now();
  uint64_t progress = client_->progress();
  while (!done()) {
    if (options_.stopped && options_.stopped()) {
      return Error{ErrorCode::kStopped, "stopped while waiting for " + client_->WaitsFor()};
    }
    if (client_->progress() != progress) {
      progress = client_->progress();
      deadline_at = std::max(deadline_at, clock_.Now() + put_off);
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_at - clock_.Now());
    const bool late = left.count() <= 0;
    SM_TRY(MoveOnce(late ? std::chrono::milliseconds(0) : std::min(left, kPollMax)));
    if (late && !done()) return Late(clock_.Now() - begin);
  }
  return {};
}

template <class DoneFn>
Result<> Session::Impl::AwaitInStep(const char* wait, DoneFn done) {
  if (done()) return {};
  TimelineSpan span(timeline_.lane(), wait, "step", client_->step());
  timeline_.BeginWait();
  const Result<> waited = MoveUntil(deadline, done, step_limit);
  timeline_.TellOfWait(span);
  return waited;
}

Result<> Session::Impl::MoveOnce(std::chrono::milliseconds timeout) {
  client_->Tick(clock_.Now(), outbox_);
  Flush();
  messages_.clear();
  bad_.clear();
  SM_TRY(messenger_.Poll(timeout, messages_, bad_));
  for (const Envelope& envelope : messages_) {
    timeline_.Hears(envelope);
    client_->Handle(clock_.Now(), envelope, outbox_);
  }
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

Result<> Session::Impl::AttachShards() {
  for (const ShardPlace& place : client_->Unattached()) {
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
  auto keys = SM_TRY(KeyRing::Open(options.keys, Role::kWorker, WorkerId{options.rank}));
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
  impl_->step_limit = deadline;
  impl_->deadline = impl_->Now() + deadline;
  impl_->in_step = true;
  return TrainingStep(this, ++impl_->step_serial);
}

uint64_t Session::next_step() const { return impl_->client().step(); }

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

TrainingStep::TrainingStep(TrainingStep&& other) noexcept
    : session_(std::exchange(other.session_, nullptr)), serial_(other.serial_) {}

TrainingStep::~TrainingStep() {
  if (session_ == nullptr) return;
  Session::Impl& impl = *session_->impl_;
  if (!impl.in_step || impl.step_serial != serial_) return;
  impl.in_step = false;
  impl.left_unfinished = true;
  // What was lent for pulls goes back to the caller now.
  impl.client().ForgetPulls();
}

Result<> TrainingStep::CheckOpen() const {
  const Session::Impl& impl = *session_->impl_;
  if (impl.in_step && impl.step_serial == serial_ && !impl.client().ending()) return {};
  return Error{ErrorCode::kBadUsage, "this step is over, or Finish has been called for it"};
}

uint64_t TrainingStep::number() const { return session_->impl_->client().step(); }

Result<Ticket> TrainingStep::Pull(DenseTable table, uint64_t begin, std::span<float> into,
                                  const PullOptions& options) {
  SM_TRY(CheckOpen());
  Session::Impl& impl = *session_->impl_;
  const TablePlace* place = SM_TRY(impl.Place(table.id, false));
  TimelineSpan span(impl.lane(), "ask for pull", "table", place->spec.name);
  const Ticket ticket =
      SM_TRY(impl.client().Pull(impl.Now(), *place, begin, into, options, impl.outbox()));
  impl.Flush();
  return ticket;
}

Result<Ticket> TrainingStep::Read(DenseTable table, uint64_t begin, uint64_t count,
                                  const PullOptions& options) {
  SM_TRY(CheckOpen());
  Session::Impl& impl = *session_->impl_;
  const TablePlace* place = SM_TRY(impl.Place(table.id, false));
  TimelineSpan span(impl.lane(), "ask for pull", "table", place->spec.name);
  const Ticket ticket =
      SM_TRY(impl.client().Read(impl.Now(), *place, begin, count, options, impl.outbox()));
  impl.Flush();
  return ticket;
}

std::span<const ReadPiece> TrainingStep::Pieces(Ticket ticket) const {
  return session_->impl_->client().Pieces(ticket);
}

Result<Ticket> TrainingStep::Push(DenseTable table, uint64_t begin,
                                  std::span<const float> gradient) {
  SM_TRY(CheckOpen());
  Session::Impl& impl = *session_->impl_;
  const TablePlace* place = SM_TRY(impl.Place(table.id, false));
  TimelineSpan span(impl.lane(), "push", "table", place->spec.name);
  span.Say("bytes", gradient.size_bytes());
  const Ticket ticket =
      SM_TRY(impl.client().Push(impl.Now(), *place, begin, gradient, impl.outbox()));
  impl.FlushUnlessSmall(gradient.size_bytes());
  return ticket;
}

Result<Ticket> TrainingStep::Pull(KeySet keys, std::span<float> into, const PullOptions& options) {
  SM_TRY(CheckOpen());
  Session::Impl& impl = *session_->impl_;
  TimelineSpan span(impl.lane(), "ask for pull", "rows", keys.count);
  const Ticket ticket = SM_TRY(impl.client().Pull(impl.Now(), keys, into, options, impl.outbox()));
  impl.Flush();
  return ticket;
}

Result<Ticket> TrainingStep::Push(KeySet keys, std::span<const float> gradient) {
  SM_TRY(CheckOpen());
  Session::Impl& impl = *session_->impl_;
  TimelineSpan span(impl.lane(), "push", "bytes", gradient.size_bytes());
  const Ticket ticket = SM_TRY(impl.client().Push(impl.Now(), keys, gradient, impl.outbox()));
  impl.FlushUnlessSmall(gradient.size_bytes());
  return ticket;
}

bool TrainingStep::Done(Ticket ticket) {
  Session::Impl& impl = *session_->impl_;
  // A failure stays and is told by the Wait that follows.
  return CheckOpen().ok() && impl.Move().ok() && impl.client().Done(ticket);
}

Result<Served> TrainingStep::Wait(Ticket ticket) {
  SM_TRY(CheckOpen());
  Session::Impl& impl = *session_->impl_;
  if (impl.client().IsForNextStep(ticket)) {
    return Error{ErrorCode::kBadUsage, "this was asked for the next step: wait for it there"};
  }
  const Result<> waited =
      impl.AwaitInStep("wait for pull", [&] { return impl.client().Done(ticket); });
  if (!waited.ok()) {
    impl.client().ForgetPulls();
    return waited.error();
  }
  return impl.client().Take(ticket);
}

Result<Finished> TrainingStep::Finish(double samples) {
  SM_TRY(CheckOpen());
  if (!std::isfinite(samples) || samples < 0) {
    return Error{ErrorCode::kBadUsage, "a step of " + config::FormatReal(samples) +
                                           " samples; Finish takes a number that is not negative"};
  }
  Session::Impl& impl = *session_->impl_;
  {
    TimelineSpan span(impl.lane(), "end of step", "step", number());
    impl.client().EndStep(impl.Now(), samples, impl.outbox());
    impl.Flush();
  }
  const Result<> ended =
      impl.AwaitInStep("wait for end of step", [&] { return impl.client().Ended(); });
  if (!ended.ok()) {
    impl.client().ForgetPulls();
    return ended.error();
  }
  const Finished finished = impl.client().finished();
  impl.client().NextStep();
  impl.in_step = false;
  ++impl.counters.steps;
  if (!finished.counted) ++impl.counters.discarded;
  if (finished.skipped) ++impl.counters.skipped;
  return finished;
}

}  // namespace shardmill
