#include <utility>

#include "common/assert.h"
#include "nn/ops/cuda/card.cuh"

namespace shardmill::nn {
namespace {

constexpr int kMajorMin = 8;  // The oldest compute capability that this is compiled for.

Error NoCard(const std::string& why) {
  return {ErrorCode::kUnavailable, "there is no card to compute on: " + why};
}

}  // namespace

Result<std::unique_ptr<Card>> Card::Open(const BackendSettings& settings) {
  std::unique_ptr<Card> card(new Card());
  SM_TRY(card->Begin(settings));
  return {std::move(card)};
}

Result<> Card::Begin(const BackendSettings& settings) {
  int count = 0;
  const cudaError_t counted = cudaGetDeviceCount(&count);
  if (counted != cudaSuccess) return NoCard(cudaGetErrorString(counted));
  if (count < 1) return NoCard("the driver knows of none");
  const int index = static_cast<int>(settings.device % static_cast<uint32_t>(count));
  cudaDeviceProp properties{};
  if (Check(cudaGetDeviceProperties(&properties, index)) && properties.major < kMajorMin) {
    return NoCard(std::string(properties.name) + " is of compute capability " +
                  std::to_string(properties.major) + "." + std::to_string(properties.minor) +
                  ", and 8.0 is the least");
  }
  name_ = "cuda:" + std::to_string(index) + " (" + properties.name + ")";
  products_ = settings.products;
  bool good = failure_.empty() && Check(cudaSetDevice(index));
  for (Line& line : streams_) {
    good = good && Check(cudaStreamCreateWithFlags(&line.stream, cudaStreamNonBlocking));
  }
  good = good && Check(cublasCreate(&blas_)) && Check(cublasSetStream(blas_, compute()));
  good = good && Check(cudnnCreate(&dnn_)) && Check(cudnnSetStream(dnn_, compute()));
  if (!good) return Error{ErrorCode::kUnavailable, "the card cannot be used: " + failure_};
  return {};
}

Card::~Card() {
  // What is under way reads memory that its owners now give back.
  cudaDeviceSynchronize();
  if (dnn_ != nullptr) cudnnDestroy(dnn_);
  if (blas_ != nullptr) cublasDestroy(blas_);
  for (const Block& block : scratches_) cudaFree(block.memory);
  for (const Line& line : streams_) {
    for (const cudaEvent_t event : line.events) cudaEventDestroy(event);
    if (line.stream != nullptr) cudaStreamDestroy(line.stream);
  }
}

bool Card::Check(cudaError_t status) {
  if (status != cudaSuccess) Fail(std::string("CUDA: ") + cudaGetErrorString(status));
  return status == cudaSuccess;
}

bool Card::Check(cublasStatus_t status) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    Fail(std::string("cuBLAS: ") + cublasGetStatusString(status));
  }
  return status == CUBLAS_STATUS_SUCCESS;
}

bool Card::Check(cudnnStatus_t status) {
  if (status != CUDNN_STATUS_SUCCESS) Fail(std::string("cuDNN: ") + cudnnGetErrorString(status));
  return status == CUDNN_STATUS_SUCCESS;
}

void Card::Fail(const std::string& words) {
  if (failure_.empty()) failure_ = words;
}

char* Card::ScratchBytes(Scratch which, uint64_t bytes) {
  Block& block = scratches_[static_cast<size_t>(which)];
  if (bytes <= block.bytes && block.memory != nullptr) return block.memory;
  // CUDA does not promise that giving it back waits for what still uses it.
  if (block.memory != nullptr) Check(cudaDeviceSynchronize());
  cudaFree(block.memory);
  block = {};
  if (!Check(cudaMalloc(&block.memory, bytes + 1))) {
    cudaGetLastError();
    block.memory = nullptr;
    return nullptr;
  }
  block.bytes = bytes;
  return block.memory;
}

Event Card::Record(Stream stream) {
  Line& line = streams_[static_cast<size_t>(stream)];
  if (line.events.size() < Event::kEventsMax) {
    cudaEvent_t event = nullptr;
    Check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    line.events.push_back(event);
  }
  const uint64_t number = line.recorded++;
  Check(cudaEventRecord(line.events[number % Event::kEventsMax], line.stream));
  return {number * streams_.size() + static_cast<uint64_t>(stream)};
}

cudaEvent_t Card::Find(Event event) const {
  const Line& line = streams_[event.id % streams_.size()];
  const uint64_t number = event.id / streams_.size();
  SM_ASSERT(number < line.recorded && line.recorded - number <= Event::kEventsMax);
  return line.events[number % Event::kEventsMax];
}

void Card::Wait(Stream stream, Event event) {
  Check(cudaStreamWaitEvent(this->stream(stream), Find(event), 0));
}

bool Card::Synchronize(Event event) {
  Check(cudaEventSynchronize(Find(event)));
  return !failed();
}

}  // namespace shardmill::nn
