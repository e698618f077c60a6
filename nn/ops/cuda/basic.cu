#include <utility>

#include "common/assert.h"
#include "nn/ops/bf16.h"
#include "nn/ops/cuda/backend.h"
#include "nn/ops/cuda/kernels.cuh"

namespace shardmill::nn {
namespace {

// Bytes for so many floats, at least a cache line; 0 where nobody has so many.
uint64_t BytesOf(uint64_t floats) {
  constexpr uint64_t kLineFloats = 64 / sizeof(float);
  const bool countable = floats <= UINT64_MAX / sizeof(float) / 2;
  return countable ? std::max(floats, kLineFloats) * sizeof(float) : 0;
}

}  // namespace

const char* CudaBackend::name() const { return card_->name(); }

// That there is no room is an answer here, and no failure of the card.
float* CudaBackend::Allocate(uint64_t floats) {
  float* memory = nullptr;
  const uint64_t bytes = BytesOf(floats);
  if (bytes > 0 && cudaMalloc(&memory, bytes) == cudaSuccess) return memory;
  cudaGetLastError();
  return nullptr;
}

// CUDA does not promise that giving memory back waits for what still uses it.
void CudaBackend::Release(float* memory) {
  card_->Check(cudaDeviceSynchronize());
  card_->Check(cudaFree(memory));
}

float* CudaBackend::AllocateHost(uint64_t floats) {
  float* memory = nullptr;
  const uint64_t bytes = BytesOf(floats);
  if (bytes > 0 && cudaMallocHost(&memory, bytes) == cudaSuccess) return memory;
  cudaGetLastError();
  return nullptr;
}

void CudaBackend::ReleaseHost(float* memory) {
  card_->Check(cudaDeviceSynchronize());
  card_->Check(cudaFreeHost(memory));
}

std::optional<uint64_t> CudaBackend::FreeBytes() const {
  size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) == cudaSuccess) return free;
  cudaGetLastError();
  return std::nullopt;
}

void CudaBackend::CopyIn(std::span<const float> host, Tensor to) {
  SM_ASSERT(host.size() == to.size());
  card_->Check(cudaMemcpyAsync(to.data(), host.data(), host.size_bytes(), cudaMemcpyHostToDevice,
                               card_->stream(Stream::kCopyIn)));
}

void CudaBackend::CopyOut(ConstTensor from, std::span<float> host) {
  SM_ASSERT(host.size() == from.size());
  card_->Check(cudaMemcpyAsync(host.data(), from.data(), host.size_bytes(), cudaMemcpyDeviceToHost,
                               card_->stream(Stream::kCopyOut)));
}

Event CudaBackend::Record(Stream stream) { return card_->Record(stream); }
void CudaBackend::Wait(Stream stream, Event event) { card_->Wait(stream, event); }
bool CudaBackend::Synchronize(Event event) { return card_->Synchronize(event); }
Recording CudaBackend::AddRecording() { return card_->AddRecording(); }
void CudaBackend::RemoveRecording(Recording recording) { card_->RemoveRecording(recording); }
bool CudaBackend::BeginRecording(Recording recording) { return card_->BeginRecording(recording); }
Asked CudaBackend::EndRecording() { return card_->EndRecording(); }
const char* CudaBackend::not_recorded() const { return card_->not_recorded(); }
const char* CudaBackend::failure() const { return card_->failure(); }

void CudaBackend::Fill(float value, Tensor out) {
  float* const to = out.data();
  ForEach(*card_, out.size(), [=] __device__(uint64_t i) { to[i] = value; });
}

void CudaBackend::Copy(ConstMatrix from, Matrix to) {
  SM_ASSERT(from.rows() == to.rows() && from.columns() == to.columns());
  if (from.empty()) return;
  const uint64_t columns = from.columns();
  if (from.stride() == columns && to.stride() == columns) {
    card_->Check(cudaMemcpyAsync(to.data(), from.data(), from.rows() * columns * sizeof(float),
                                 cudaMemcpyDeviceToDevice, card_->compute()));
    return;
  }
  // CUDA's own of lines may be 2 GiB apart at most.
  const Cells<const float> in = CellsOf(from);
  const Cells<float> out = CellsOf(to);
  ForEachCell(*card_, from.rows(), columns, [=] __device__(uint64_t row, uint64_t column) {
    out(row, column) = in(row, column);
  });
}

void CudaBackend::Add(ConstTensor from, Tensor sum) {
  SM_ASSERT(from.size() == sum.size());
  const float* const in = from.data();
  float* const out = sum.data();
  ForEach(*card_, sum.size(), [=] __device__(uint64_t i) { out[i] += in[i]; });
}

void CudaBackend::Multiply(ConstTensor left, ConstTensor right, Tensor out) {
  SM_ASSERT(left.size() == out.size() && right.size() == out.size());
  const float* const a = left.data();
  const float* const b = right.data();
  float* const product = out.data();
  ForEach(*card_, out.size(), [=] __device__(uint64_t i) { product[i] = a[i] * b[i]; });
}

void CudaBackend::Halve(ConstTensor in, Tensor out) {
  SM_ASSERT(out.size() == (in.size() + 1) / 2);
  const uint64_t size = in.size();
  const float* const from = in.data();
  float* const to = out.data();
  ForEach(*card_, out.size(), [=] __device__(uint64_t i) {
    to[i] = PairOfBf16(from[2 * i], 2 * i + 1 < size ? from[2 * i + 1] : 0.0F);
  });
}

void CudaBackend::Regularize(float l1, float l2, ConstTensor weight, Tensor gradient,
                             Tensor penalty) {
  SM_ASSERT(weight.size() == gradient.size() && penalty.size() == 1);
  const float* const from = weight.data();
  float* const to = gradient.data();
  float* const all = penalty.data();
  SumAll(
      *card_, weight.size(),
      [=] __device__(uint64_t i) {
        const float value = from[i];
        const float sign = value > 0 ? 1.0F : value < 0 ? -1.0F : 0.0F;
        to[i] += l1 * sign + l2 * value;
        const double wide = value;
        return l1 * fabs(wide) + l2 / 2.0 * wide * wide;
      },
      [=] __device__(double lost) { *all = static_cast<float>(lost); });
}

}  // namespace shardmill::nn
