#include "server/dense_slice.h"

#include <algorithm>
#include <array>
#include <vector>

#include "common/assert.h"
#include "common/mutation.h"

namespace shardmill {
namespace {

// The floats of a frame, to be written: the frame itself if nobody else reads it, or else a copy
// that takes its place.
std::span<float> Writable(FramePool& frames, Frame& frame) {
  if (!frame.Unique() && !Mutated(Mutation::kWriteWhatIsRead)) frame = frames.CopyOf(frame.bytes());
  if (!frame.Unique()) {
    const std::span<const float> floats = frame.floats();
    return {const_cast<float*>(floats.data()), floats.size()};
  }
  Buffer buffer = Buffer::Reopen(std::move(frame));
  const std::span<float> floats = buffer.floats();
  frame = std::move(buffer).Close();
  return floats;
}

}  // namespace

DenseSlice::DenseSlice(FramePool& frames, uint64_t begin, uint64_t end, const Initial& initial,
                       uint32_t slots)
    : frames_(&frames), begin_(begin), end_(end), slots_(slots) {
  SM_ASSERT(begin <= end);
  if (begin < end) updates_.push_back({begin, end, 0});
  for (uint64_t at = begin; at < end; at += kChunkFloats) {
    const uint64_t size = std::min(kChunkFloats, end - at);
    Buffer chunk = frames.OfFloats(size);
    FillInitial(initial, at, chunk.floats());
    chunks_.push_back(std::move(chunk).Close());
    if (slots == 0) continue;
    Buffer state = frames.OfFloats(size * slots);
    std::ranges::fill(state.floats(), 0.0F);
    states_.push_back(std::move(state).Close());
  }
}

FrameList DenseSlice::Read(uint64_t begin, uint64_t count) const {
  SM_ASSERT(Contains(begin, count));
  FrameList frames;
  uint64_t at = begin - begin_;
  const uint64_t end = at + count;
  while (at < end) {
    const uint64_t inside = at % kChunkFloats;
    const uint64_t size = std::min(kChunkFloats - inside, end - at);
    frames.push_back(
        chunks_[at / kChunkFloats].Slice(inside * sizeof(float), size * sizeof(float)));
    at += size;
  }
  return frames;
}

void DenseSlice::Apply(std::span<const ChangePart> parts, float rate, const Optimizer& optimizer) {
  // From left to right: between two neighbouring edges the same parts cover every element.
  edges_.clear();
  for (size_t i = 0; i < parts.size(); ++i) {
    const uint64_t count = parts[i].gradient.floats().size();
    SM_ASSERT(Contains(parts[i].begin, count));
    if (count == 0) continue;
    edges_.push_back({parts[i].begin, i, true});
    edges_.push_back({parts[i].begin + count, i, false});
  }
  if (edges_.empty()) return;
  std::ranges::sort(edges_, {}, &Edge::at);

  for (UpdateRun& run : updates_) ++run.updates;
  covering_.clear();
  for (size_t i = 0; i < edges_.size();) {
    const uint64_t at = edges_[i].at;
    for (; i < edges_.size() && edges_[i].at == at; ++i) {
      const auto place = std::ranges::lower_bound(covering_, edges_[i].part);
      if (edges_[i].begins) {
        covering_.insert(place, edges_[i].part);
      } else {
        covering_.erase(place);
      }
    }
    if (covering_.empty()) continue;
    UpdateTime time{rate, 0, 0};
    for (const size_t part : covering_) time.weight += parts[part].weight;
    for (const UpdateRun& run : updates_) {
      const uint64_t begin = std::max(at, run.begin);
      const uint64_t end = std::min(edges_[i].at, run.end);
      time.count = run.updates;
      if (begin < end) ApplySegment(begin, end, parts, time, optimizer);
    }
  }
}

// A block at a time, so that what is combined stays in the cache.
void DenseSlice::ApplySegment(uint64_t begin, uint64_t end, std::span<const ChangePart> parts,
                              const UpdateTime& time, const Optimizer& optimizer) {
  std::array<float, 1024> block;
  for (uint64_t at = begin; at < end;) {
    const size_t which = (at - begin_) / kChunkFloats;
    const std::span<float> chunk = Writable(*frames_, chunks_[which]);
    UpdateState state;
    if (slots_ > 0) state = {Writable(*frames_, states_[which]).data(), chunk.size()};
    const uint64_t chunk_begin = begin_ + which * kChunkFloats;
    const uint64_t chunk_end = std::min(end, chunk_begin + chunk.size());
    const auto step = [&](const UpdateTime& when, std::span<const float> change) {
      const uint64_t inside = at - chunk_begin;
      optimizer.Step(when, change, chunk.subspan(inside, change.size()),
                     slots_ > 0 ? state.From(inside) : UpdateState{});
      at += change.size();
    };
    if (covering_.size() == 1) {
      // What one part brings is used where it lies.
      const ChangePart& part = parts[covering_.front()];
      UpdateTime alone = time;
      if (optimizer.combine() == Combine::kWeightedSum) alone.scale = part.weight;
      step(alone, part.gradient.floats().subspan(at - part.begin, chunk_end - at));
    }
    while (at < chunk_end) {
      const std::span<float> change =
          std::span(block).first(std::min<uint64_t>(block.size(), chunk_end - at));
      bool first = true;
      for (const size_t which_part : covering_) {
        const ChangePart& part = parts[which_part];
        CombineInto(optimizer.combine(), first, part.weight,
                    part.gradient.floats().subspan(at - part.begin, change.size()), change);
        first = false;
      }
      step(time, change);
    }
  }
}

DenseImage DenseSlice::Image(const Optimizer& optimizer) const {
  DenseImage image{{begin_, end_, slots_, {}}, chunks_, states_};
  if (optimizer.counts()) image.head.updates = updates_;
  return image;
}

Result<> DenseSlice::Restore(const DensePiece& piece) {
  const std::span<const float> floats = piece.floats.floats();
  if (piece.slot > slots_ || !Contains(piece.begin, floats.size())) {
    return Error{ErrorCode::kBadInput,
                 "a snapshot has floats of a table for which there is no room"};
  }
  if (piece.slot > 0 && Mutated(Mutation::kForgetSlots)) return {};
  for (uint64_t done = 0; done < floats.size();) {
    const uint64_t at = piece.begin - begin_ + done;
    const size_t which = at / kChunkFloats;
    const uint64_t inside = at % kChunkFloats;
    const uint64_t chunk = chunks_[which].floats().size();
    const uint64_t size = std::min(chunk - inside, floats.size() - done);
    const std::span<float> to =
        piece.slot == 0
            ? Writable(*frames_, chunks_[which]).subspan(inside, size)
            : Writable(*frames_, states_[which]).subspan((piece.slot - 1) * chunk + inside, size);
    std::ranges::copy(floats.subspan(done, size), to.begin());
    done += size;
  }
  return {};
}

Result<> DenseSlice::Restore(const UpdateRuns& runs) {
  uint64_t at = begin_;
  for (const UpdateRun& run : runs) {
    if (run.begin != at || run.end <= at) break;
    at = run.end;
  }
  if (at != end_ || runs.empty()) {
    return Error{ErrorCode::kBadInput,
                 "a snapshot has counts of updates that do not cover a table"};
  }
  updates_ = runs;
  return {};
}

}  // namespace shardmill
