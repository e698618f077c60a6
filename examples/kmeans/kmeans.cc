// k-means on the client API: the parameter server as a place where workers add up what they have
// counted. Nothing is optimized; the tables merge. `examples/kmeans/run` starts a whole job:
//
//   kmeans HOST:PORT RANK WORKERS
//
// Each process draws its own points around the same hidden centres. In the first step they find the
// box that all points lie in, by the least and the greatest of each coordinate. In each step that
// follows they add, for each centre, the points that are nearest to it; the sum over all workers
// says where it moves. Where that ends depends on where it starts, so it is done from many starts
// at once, and the one with the smallest error wins.

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "client/session.h"
#include "common/rng.h"

namespace {

using shardmill::DenseTable;
using shardmill::Error;
using shardmill::ErrorCode;
using shardmill::Initial;
using shardmill::Result;
using shardmill::Rng;
using shardmill::Session;
using shardmill::Ticket;
using shardmill::TrainingStep;
using shardmill::UpdateRule;

constexpr size_t kDims = 3;
constexpr size_t kCentres = 5;
constexpr size_t kStarts = 32;
constexpr uint64_t kRounds = 12;
constexpr size_t kPoints = 5000;  // Of each worker.
constexpr float kTolerance = 0.15F;
constexpr uint64_t kSeed = 1;
constexpr std::chrono::seconds kStepLimit{30};

using Point = std::array<float, kDims>;
using Centres = std::array<Point, kCentres>;

// What a round adds up, for each start: for each centre the sum and the number of its points, and
// last the squares of all distances.
constexpr size_t kOfCentre = kDims + 1;
constexpr size_t kOfStart = kCentres * kOfCentre + 1;
constexpr size_t kOfRound = kStarts * kOfStart;
using Sums = std::array<float, kOfRound>;

float SquaredDistance(const Point& a, const Point& b) {
  float sum = 0;
  for (size_t i = 0; i < kDims; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

// The centre nearest to a point: its place in `centres`.
size_t Nearest(const Centres& centres, const Point& point) {
  const auto found = std::ranges::min_element(
      centres, {}, [&](const Point& centre) { return SquaredDistance(centre, point); });
  return static_cast<size_t>(found - centres.begin());
}

// What is to be found: centres that stand well apart.
Centres Hidden() {
  constexpr double kSide = 20;
  constexpr float kApart = 6;
  Rng chance(kSeed);
  Centres hidden;
  for (size_t i = 0; i < kCentres;) {
    for (float& x : hidden[i]) x = static_cast<float>(kSide * (chance.Uniform() - 0.5));
    const auto near = [&](const Point& other) {
      return SquaredDistance(hidden[i], other) < kApart * kApart;
    };
    if (std::none_of(hidden.begin(), hidden.begin() + i, near)) ++i;
  }
  return hidden;
}

// A worker's own points: as many around each hidden centre, with a deviation of 1.
std::vector<Point> Draw(uint32_t rank) {
  const Centres hidden = Hidden();
  std::mt19937 chance(rank);
  std::normal_distribution<float> normal;
  std::vector<Point> points(kPoints);
  for (size_t i = 0; i < kPoints; ++i) {
    for (size_t dim = 0; dim < kDims; ++dim) {
      points[i][dim] = hidden[i % kCentres][dim] + normal(chance);
    }
  }
  return points;
}

// Where to start from: places in the box, the same for every worker.
std::vector<Centres> Scatter(const Point& low, const Point& high) {
  Rng chance(kSeed + 1);
  std::vector<Centres> starts(kStarts);
  for (Centres& centres : starts) {
    for (Point& centre : centres) {
      for (size_t dim = 0; dim < kDims; ++dim) {
        centre[dim] = low[dim] + static_cast<float>(chance.Uniform()) * (high[dim] - low[dim]);
      }
    }
  }
  return starts;
}

Sums AddUp(std::span<const Point> points, std::span<const Centres> starts) {
  Sums sums{};
  for (size_t start = 0; start < kStarts; ++start) {
    const std::span<float> of_start = std::span(sums).subspan(start * kOfStart, kOfStart);
    for (const Point& point : points) {
      const size_t nearest = Nearest(starts[start], point);
      const std::span<float> of_centre = of_start.subspan(nearest * kOfCentre, kOfCentre);
      for (size_t dim = 0; dim < kDims; ++dim) of_centre[dim] += point[dim];
      of_centre[kDims] += 1;
      of_start.back() += SquaredDistance(starts[start][nearest], point);
    }
  }
  return sums;
}

// Moves each centre to the middle of its points; one that has none stays. Returns the start with
// the smallest error.
size_t Move(std::span<const float> sums, std::span<Centres> starts) {
  size_t best = 0;
  for (size_t start = 0; start < kStarts; ++start) {
    const std::span<const float> of_start = sums.subspan(start * kOfStart, kOfStart);
    for (size_t i = 0; i < kCentres; ++i) {
      const std::span<const float> of_centre = of_start.subspan(i * kOfCentre, kOfCentre);
      if (of_centre[kDims] == 0) continue;
      for (size_t dim = 0; dim < kDims; ++dim) {
        starts[start][i][dim] = of_centre[dim] / of_centre[kDims];
      }
    }
    if (of_start.back() < sums[best * kOfStart + kOfStart - 1]) best = start;
  }
  return best;
}

// The tables. Each round adds to a part of `sums` of its own, so that a part never changes again
// once its round is closed, and a process that takes over a rank can read all that went before.
struct Tables {
  DenseTable low;
  DenseTable high;
  DenseTable sums;
};

Result<DenseTable> Merging(Session& session, const std::string& name, uint64_t size,
                           UpdateRule rule, float first) {
  shardmill::TableOptions options;
  options.initial = Initial::Constant(first);
  options.update.emplace();
  options.update->rule = rule;
  return session.Dense(name, size, options);
}

Result<Tables> MakeTables(Session& session) {
  constexpr float kMax = std::numeric_limits<float>::max();
  Tables tables;
  tables.low = SM_TRY(Merging(session, "low", kDims, UpdateRule::kMin, kMax));
  tables.high = SM_TRY(Merging(session, "high", kDims, UpdateRule::kMax, -kMax));
  tables.sums = SM_TRY(Merging(session, "sums", kRounds * kOfRound, UpdateRule::kAdd, 0));
  return tables;
}

// The first step: each worker's own box, of which the tables make one for all.
Result<> PushBox(Session& session, const Tables& tables, std::span<const Point> points) {
  Point low = points[0];
  Point high = points[0];
  for (const Point& point : points) {
    for (size_t dim = 0; dim < kDims; ++dim) {
      low[dim] = std::min(low[dim], point[dim]);
      high[dim] = std::max(high[dim], point[dim]);
    }
  }
  TrainingStep step = SM_TRY(session.Begin(kStepLimit));
  SM_TRY(step.Push(tables.low, 0, low));
  SM_TRY(step.Push(tables.high, 0, high));
  SM_TRY(step.Finish(kPoints));
  return {};
}

Result<std::vector<Centres>> PullBox(TrainingStep& step, const Tables& tables) {
  Point low;
  Point high;
  const Ticket low_pull = SM_TRY(step.Pull(tables.low, 0, low, {.closed_min = 1}));
  const Ticket high_pull = SM_TRY(step.Pull(tables.high, 0, high, {.closed_min = 1}));
  SM_TRY(step.Wait(low_pull));
  SM_TRY(step.Wait(high_pull));
  return Scatter(low, high);
}

// Round r, counted from 1, is step r + 1: the box was the first. A round's sums are whole when all
// workers have finished that step, whatever the job's policy allows.
Result<Centres> Find(Session& session, const Tables& tables, std::span<const Point> points) {
  if (session.next_step() == 1) SM_TRY(PushBox(session, tables, points));
  std::vector<Centres> starts;
  Sums sums;
  for (uint64_t round = 1; true; ++round) {
    TrainingStep step = SM_TRY(session.Begin(kStepLimit));
    if (round == 1) {
      starts = SM_TRY(PullBox(step, tables));
    } else {
      const uint64_t begin = (round - 2) * kOfRound;
      const Ticket pull = SM_TRY(step.Pull(tables.sums, begin, sums, {.closed_min = round}));
      SM_TRY(step.Wait(pull));
      const size_t best = Move(sums, starts);
      if (round > kRounds) return starts[best];
    }
    // Who took over this rank reads the rounds that the last process has made, and adds none.
    if (step.number() > round + 1) continue;
    SM_TRY(step.Push(tables.sums, (round - 1) * kOfRound, AddUp(points, starts)));
    SM_TRY(step.Finish(kPoints));
  }
}

Result<> Train(const std::string& coordinator, uint32_t rank, uint32_t workers) {
  shardmill::SessionOptions options;
  options.coordinator = coordinator;
  options.rank = rank;
  const auto session = SM_TRY(Session::Open(options));
  const Tables tables = SM_TRY(MakeTables(*session));
  const Centres found = SM_TRY(Find(*session, tables, Draw(rank)));
  float worst = 0;
  for (const Point& hidden : Hidden()) {
    worst = std::max(worst, std::sqrt(SquaredDistance(hidden, found[Nearest(found, hidden)])));
  }
  std::printf("rank %u of %u: %zu centres, the farthest off by %.4f\n", rank, workers, kCentres,
              static_cast<double>(worst));
  SM_TRY(session->Close(true));
  if (worst < kTolerance) return {};
  return Error{ErrorCode::kFailed, "the centres were not found"};
}

std::optional<uint32_t> Number(std::string_view text) {
  uint32_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

}  // namespace

int main(int argc, char** argv) {
  const auto rank = argc == 4 ? Number(argv[2]) : std::nullopt;
  const auto workers = argc == 4 ? Number(argv[3]) : std::nullopt;
  if (!rank || !workers || *rank >= *workers) {
    std::fprintf(stderr, "usage: kmeans HOST:PORT RANK WORKERS\n");
    return 2;
  }
  const Result<> trained = Train(argv[1], *rank, *workers);
  if (trained.ok()) return 0;
  std::fprintf(stderr, "kmeans: %s\n", trained.error().message.c_str());
  // Exit code 3 tells whoever restarts processes that another one holds this rank.
  return trained.error().code == ErrorCode::kFenced ? 3 : 1;
}
