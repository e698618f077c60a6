#include "server/dense_slice.h"

#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include "common/assert.h"
#include "common/mutation.h"

namespace shardmill {
namespace {

// The floats of a frame, to be written: the frame itself if nobody else reads it, or else a copy
// that takes its place.
std::span<float> Writable(Frame& frame) {
  if (!frame.Unique() && !Mutated(Mutation::kWriteWhatIsRead)) frame = Frame::CopyOf(frame.bytes());
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

DenseSlice::DenseSlice(uint64_t begin, uint64_t end, const Initial& initial, uint32_t slots)
    : begin_(begin), end_(end), slots_(slots) {
  SM_ASSERT(begin <= end);
  for (uint64_t at = begin; at < end; at += kChunkFloats) {
    const uint64_t size = std::min(kChunkFloats, end - at);
    Buffer chunk = Buffer::OfFloats(size);
    FillInitial(initial, at, chunk.floats());
    chunks_.push_back(std::move(chunk).Close());
    if (slots == 0) continue;
    Buffer state = Buffer::OfFloats(size * slots);
    std::ranges::fill(state.floats(), 0.0F);
    states_.push_back(std::move(state).Close());
  }
}

std::vector<Frame> DenseSlice::Read(uint64_t begin, uint64_t count) const {
  SM_ASSERT(Contains(begin, count));
  std::vector<Frame> frames;
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
  struct Edge {
    uint64_t at;
    size_t part;
    bool begins;
  };
  std::vector<Edge> edges;
  for (size_t i = 0; i < parts.size(); ++i) {
    const uint64_t count = parts[i].gradient.floats().size();
    SM_ASSERT(Contains(parts[i].begin, count));
    if (count == 0) continue;
    edges.push_back({parts[i].begin, i, true});
    edges.push_back({parts[i].begin + count, i, false});
  }
  std::ranges::sort(edges, {}, &Edge::at);

  if (edges.empty()) return;
  ++updates_;
  std::set<size_t> covering;  // In the order of the parts.
  std::vector<const ChangePart*> now;
  for (size_t i = 0; i < edges.size();) {
    const uint64_t at = edges[i].at;
    for (; i < edges.size() && edges[i].at == at; ++i) {
      if (edges[i].begins) {
        covering.insert(edges[i].part);
      } else {
        covering.erase(edges[i].part);
      }
    }
    if (covering.empty()) continue;
    UpdateTime time{rate, updates_, 0};
    now.clear();
    for (const size_t part : covering) {
      now.push_back(&parts[part]);
      time.weight += parts[part].weight;
    }
    ApplySegment(at, edges[i].at, now, time, optimizer);
  }
}

// A block at a time, so that what is combined stays in the cache.
void DenseSlice::ApplySegment(uint64_t begin, uint64_t end,
                              std::span<const ChangePart* const> parts, const UpdateTime& time,
                              const Optimizer& optimizer) {
  std::array<float, 1024> block;
  for (uint64_t at = begin; at < end;) {
    const size_t which = (at - begin_) / kChunkFloats;
    const std::span<float> chunk = Writable(chunks_[which]);
    UpdateState state;
    if (slots_ > 0) state = {Writable(states_[which]).data(), chunk.size()};
    const uint64_t chunk_begin = begin_ + which * kChunkFloats;
    const uint64_t chunk_end = std::min(end, chunk_begin + chunk.size());
    for (; at < chunk_end; at += std::min<uint64_t>(block.size(), chunk_end - at)) {
      const uint64_t size = std::min<uint64_t>(block.size(), chunk_end - at);
      const std::span<float> change = std::span(block).first(size);
      for (size_t i = 0; i < parts.size(); ++i) {
        CombineInto(optimizer.combine(), i == 0, parts[i]->weight,
                    parts[i]->gradient.floats().subspan(at - parts[i]->begin, size), change);
      }
      const uint64_t inside = at - chunk_begin;
      optimizer.Step(time, change, chunk.subspan(inside, size),
                     slots_ > 0 ? state.From(inside) : UpdateState{});
    }
  }
}

}  // namespace shardmill
