#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "common/assert.h"
#include "nn/ops/bf16.h"
#include "nn/ops/cpu/backend.h"

namespace shardmill::nn {
namespace {

constexpr uint64_t kLineFloats = 64 / sizeof(float);

}  // namespace

const char* CpuBackend::name() const { return "cpu"; }

float* CpuBackend::Allocate(uint64_t floats) {
  const uint64_t rounded = (floats + kLineFloats - 1) / kLineFloats * kLineFloats;
  if (rounded < floats || rounded > UINT64_MAX / sizeof(float)) return nullptr;
  return static_cast<float*>(
      std::aligned_alloc(64, std::max(rounded, kLineFloats) * sizeof(float)));
}

void CpuBackend::Release(float* memory) { std::free(memory); }
float* CpuBackend::AllocateHost(uint64_t floats) { return Allocate(floats); }
void CpuBackend::ReleaseHost(float* memory) { Release(memory); }
std::optional<uint64_t> CpuBackend::FreeBytes() const { return std::nullopt; }

void CpuBackend::CopyIn(std::span<const float> host, Tensor to) {
  SM_ASSERT(host.size() == to.size());
  std::copy_n(host.data(), host.size(), to.data());
}

void CpuBackend::CopyOut(ConstTensor from, std::span<float> host) {
  SM_ASSERT(host.size() == from.size());
  std::copy_n(from.data(), from.size(), host.data());
}

// All work is done before a call returns: there is nothing to wait for.
Event CpuBackend::Record(Stream) { return {}; }
void CpuBackend::Wait(Stream, Event) {}
bool CpuBackend::Synchronize(Event) { return true; }
const char* CpuBackend::failure() const { return ""; }

void CpuBackend::Fill(float value, Tensor out) { std::fill_n(out.data(), out.size(), value); }

void CpuBackend::Copy(ConstMatrix from, Matrix to) {
  SM_ASSERT(from.rows() == to.rows() && from.columns() == to.columns());
  for (uint64_t row = 0; row < from.rows(); ++row) {
    std::copy_n(from.row(row), from.columns(), to.row(row));
  }
}

void CpuBackend::Add(ConstTensor from, Tensor sum) {
  SM_ASSERT(from.size() == sum.size());
  const float* const in = from.data();
  float* const out = sum.data();
  for (uint64_t i = 0; i < sum.size(); ++i) out[i] += in[i];
}

void CpuBackend::Multiply(ConstTensor left, ConstTensor right, Tensor out) {
  SM_ASSERT(left.size() == out.size() && right.size() == out.size());
  const float* const a = left.data();
  const float* const b = right.data();
  float* const product = out.data();
  for (uint64_t i = 0; i < out.size(); ++i) product[i] = a[i] * b[i];
}

void CpuBackend::Halve(ConstTensor in, Tensor out) {
  SM_ASSERT(out.size() == (in.size() + 1) / 2);
  const float* const from = in.data();
  float* const to = out.data();
  for (uint64_t i = 0; i < in.size() / 2; ++i) to[i] = PairOfBf16(from[2 * i], from[2 * i + 1]);
  if (in.size() % 2 > 0) to[out.size() - 1] = PairOfBf16(from[in.size() - 1], 0.0F);
}

void CpuBackend::Regularize(float l1, float l2, ConstTensor weight, Tensor gradient,
                            Tensor penalty) {
  SM_ASSERT(weight.size() == gradient.size() && penalty.size() == 1);
  double absolute = 0, squares = 0;
  for (uint64_t i = 0; i < weight.size(); ++i) {
    const float value = weight.data()[i];
    const float sign = value > 0 ? 1.0F : value < 0 ? -1.0F : 0.0F;
    gradient.data()[i] += l1 * sign + l2 * value;
    absolute += std::abs(static_cast<double>(value));
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  penalty.data()[0] = static_cast<float>(static_cast<double>(l1) * absolute +
                                         static_cast<double>(l2) / 2 * squares);
}

}  // namespace shardmill::nn
