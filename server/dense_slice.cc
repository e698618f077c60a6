#include "server/dense_slice.h"

#include <algorithm>
#include <cstring>

#include "common/assert.h"

namespace shardmill {

DenseSlice::DenseSlice(uint64_t begin, uint64_t end, const Initial& initial)
    : begin_(begin), end_(end) {
  SM_ASSERT(begin <= end);
  for (uint64_t at = begin; at < end; at += kChunkFloats) {
    Buffer chunk = Buffer::OfFloats(std::min(kChunkFloats, end - at));
    FillInitial(initial, at, chunk.floats());
    chunks_.push_back(std::move(chunk).Close());
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

void DenseSlice::Apply(std::span<const ChangePart* const> parts, float learning_rate,
                       const Optimizer& optimizer) {
  // Between two neighbouring edges the same parts cover every element.
  std::vector<uint64_t> edges;
  for (const ChangePart* part : parts) {
    const uint64_t count = part->gradient.floats().size();
    SM_ASSERT(part->begin >= begin_ && Contains(part->begin, count));
    edges.push_back(part->begin);
    edges.push_back(part->begin + count);
  }
  std::ranges::sort(edges);
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());

  std::vector<const ChangePart*> covering;
  for (size_t i = 0; i + 1 < edges.size(); ++i) {
    covering.clear();
    for (const ChangePart* part : parts) {
      const uint64_t part_end = part->begin + part->gradient.floats().size();
      if (part->begin <= edges[i] && part_end >= edges[i + 1]) covering.push_back(part);
    }
    if (!covering.empty()) {
      ApplySegment(edges[i], edges[i + 1], covering, learning_rate, optimizer);
    }
  }
}

void DenseSlice::ApplySegment(uint64_t begin, uint64_t end,
                              std::span<const ChangePart* const> parts, float learning_rate,
                              const Optimizer& optimizer) {
  std::vector<WeightedGradient> gradients(parts.size());
  for (uint64_t at = begin; at < end;) {
    const uint64_t inside = (at - begin_) % kChunkFloats;
    const uint64_t size = std::min(kChunkFloats - inside, end - at);
    for (size_t i = 0; i < parts.size(); ++i) {
      gradients[i] = {parts[i]->gradient.floats().subspan(at - parts[i]->begin, size),
                      parts[i]->weight};
    }
    const std::span<float> chunk = Writable((at - begin_) / kChunkFloats);
    optimizer.Apply(gradients, learning_rate, chunk.subspan(inside, size));
    at += size;
  }
}

std::span<float> DenseSlice::Writable(size_t chunk) {
  if (!chunks_[chunk].Unique()) chunks_[chunk] = Frame::CopyOf(chunks_[chunk].bytes());
  Buffer buffer = Buffer::Reopen(std::move(chunks_[chunk]));
  const std::span<float> floats = buffer.floats();
  chunks_[chunk] = std::move(buffer).Close();
  return floats;
}

}  // namespace shardmill
