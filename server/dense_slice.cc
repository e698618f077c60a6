#include "server/dense_slice.h"

#include <algorithm>
#include <array>
#include <vector>

#include "common/assert.h"
#include "common/crc32c.h"
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
                       uint32_t slots, Begins how)
    : frames_(&frames),
      begin_(begin),
      end_(end),
      slots_(slots),
      chunk_floats_(end - begin <= kOneChunkFloats ? kOneChunkFloats : kChunkFloats),
      initial_(initial) {
  SM_ASSERT(begin <= end);
  if (begin < end) updates_.push_back({begin, end, 0});
  chunks_.resize((end - begin + chunk_floats_ - 1) / chunk_floats_);
  if (slots > 0) states_.resize(chunks_.size());
  if (how == Begins::kMade) MakeRest();
}

void DenseSlice::MakeRest() {
  for (size_t i = 0; i < chunks_.size(); ++i) {
    if (chunks_[i].size() == 0) MakeChunk(i);
    if (slots_ > 0 && states_[i].size() == 0) MakeState(i);
  }
}

void DenseSlice::MakeChunk(size_t chunk) {
  Buffer made = frames_->OfFloats(ChunkFloats(chunk));
  FillInitial(initial_, begin_ + chunk * chunk_floats_, made.floats());
  chunks_[chunk] = std::move(made).Close();
}

void DenseSlice::MakeState(size_t chunk) {
  Buffer made = frames_->OfFloats(ChunkFloats(chunk) * slots_);
  std::ranges::fill(made.floats(), 0.0F);
  states_[chunk] = std::move(made).Close();
}

FrameList DenseSlice::Read(uint64_t begin, uint64_t count) const {
  SM_ASSERT(Contains(begin, count));
  FrameList frames;
  uint64_t at = begin - begin_;
  const uint64_t end = at + count;
  while (at < end) {
    const uint64_t inside = at % chunk_floats_;
    const uint64_t size = std::min(chunk_floats_ - inside, end - at);
    frames.push_back(
        chunks_[at / chunk_floats_].Slice(inside * sizeof(float), size * sizeof(float)));
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
    const size_t which = (at - begin_) / chunk_floats_;
    const std::span<float> chunk = Writable(*frames_, chunks_[which]);
    UpdateState state;
    if (slots_ > 0) state = {Writable(*frames_, states_[which]).data(), chunk.size()};
    const uint64_t chunk_begin = begin_ + which * chunk_floats_;
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
      if (optimizer.combine() == Combine::kWeightedSum && !part.combined) {
        alone.scale = part.weight;
      }
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

uint32_t DenseSlice::Checksum(uint64_t begin, uint64_t count) const {
  uint32_t crc = 0;
  for (const Frame& frame : Read(begin, count)) crc = Crc32c(frame.bytes(), crc);
  for (size_t i = 0; i < states_.size(); ++i) {
    const uint64_t at = begin_ + i * kChunkFloats;
    if (at >= begin && at < begin + count) crc = Crc32c(states_[i].bytes(), crc);
  }
  return crc;
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
    const size_t which = at / chunk_floats_;
    const uint64_t inside = at % chunk_floats_;
    const uint64_t size = std::min(ChunkFloats(which) - inside, floats.size() - done);
    const std::span<float> to = ToRestore(which, piece.slot, inside, size);
    std::ranges::copy(floats.subspan(done, size), to.begin());
    done += size;
  }
  return {};
}

std::span<float> DenseSlice::ToRestore(size_t chunk, uint32_t slot, uint64_t inside,
                                       uint64_t size) {
  const uint64_t floats = ChunkFloats(chunk);
  if (slot > 0) {
    if (states_[chunk].size() == 0) MakeState(chunk);
    return Writable(*frames_, states_[chunk]).subspan((slot - 1) * floats + inside, size);
  }
  // What is wholly overwritten needs no values before.
  if (chunks_[chunk].size() == 0 && size == floats) {
    chunks_[chunk] = frames_->OfFloats(floats).Close();
  } else if (chunks_[chunk].size() == 0) {
    MakeChunk(chunk);
  }
  return Writable(*frames_, chunks_[chunk]).subspan(inside, size);
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
