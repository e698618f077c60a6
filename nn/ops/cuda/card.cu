#include <utility>

#include "common/assert.h"
#include "nn/ops/cuda/card.cuh"

namespace shardmill::nn {
namespace {

constexpr int kMajorMin = 8;  // The oldest compute capability that this is compiled for.

// It will not be there when somebody tries again.
Error NoCard(const std::string& why) {
  return {ErrorCode::kBadUsage, "there is no card to compute on: " + why};
}

Error NotUsable(const std::string& why) {
  return {ErrorCode::kUnavailable, "the card cannot be used: " + why};
}

// "13.1", as CUDA counts its versions.
std::string VersionWords(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

Result<uint32_t> CountCards() {
  int driver = 0, count = 0;
  const cudaError_t counted = cudaGetDeviceCount(&count);
  if (counted == cudaErrorInsufficientDriver) {
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
      return NoCard("no driver of one is installed");
    }
    return NotUsable("its driver knows CUDA " + VersionWords(driver) + ", and this is built for " +
                     VersionWords(CUDART_VERSION) + ": install a newer driver");
  }
  if (counted == cudaErrorNoDevice || (counted == cudaSuccess && count < 1)) {
    return NoCard("the driver knows of none");
  }
  if (counted != cudaSuccess) return NotUsable(cudaGetErrorString(counted));
  return static_cast<uint32_t>(count);
}

}  // namespace

Result<std::unique_ptr<Card>> Card::Open(const BackendSettings& settings) {
  std::unique_ptr<Card> card(new Card());
  SM_TRY(card->Begin(settings));
  return {std::move(card)};
}

Result<> Card::Begin(const BackendSettings& settings) {
  const uint32_t count = SM_TRY(CountCards());
  const int index = static_cast<int>(settings.device % count);
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
  good = good && LendToBlas(properties.major);
  good = good && Check(cudnnCreate(&dnn_)) && Check(cudnnSetStream(dnn_, compute()));
  if (!good) return NotUsable(failure_);
  return {};
}

// As much as its manual names. Else it may take memory when a graph is recorded, each anew. Where
// there is none, it has to do so.
bool Card::LendToBlas(int major) {
  of_blas_.bytes = uint64_t{major < 9 ? 4U : 32U} << 20;
  if (cudaMalloc(&of_blas_.memory, of_blas_.bytes) != cudaSuccess) {
    of_blas_ = {};
    cudaGetLastError();
    return true;
  }
  return Check(cublasSetWorkspace(blas_, of_blas_.memory, of_blas_.bytes));
}

Card::~Card() {
  // What is under way reads memory that its owners now give back.
  cudaDeviceSynchronize();
  if (dnn_ != nullptr) cudnnDestroy(dnn_);
  if (blas_ != nullptr) cublasDestroy(blas_);
  for (const auto& [id, recorded] : recorded_) {
    if (recorded.graph != nullptr) cudaGraphExecDestroy(recorded.graph);
  }
  cudaFree(of_blas_.memory);
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
  std::string& kept = recording() ? not_recorded_ : failure_;
  if (kept.empty()) kept = words;
}

char* Card::TryScratch(Scratch which, uint64_t bytes) {
  Block& block = scratches_[static_cast<size_t>(which)];
  if (bytes <= block.bytes && block.memory != nullptr) return block.memory;
  if (recording()) {
    Fail("an operation wants more memory than it did before");
    return nullptr;
  }
  ++moves_;
  // CUDA does not promise that giving it back waits for what still uses it.
  if (block.memory != nullptr) Check(cudaDeviceSynchronize());
  cudaFree(block.memory);
  block = {};
  const cudaError_t status = cudaMalloc(&block.memory, bytes + 1);
  if (status != cudaSuccess) {
    cudaGetLastError();
    block.memory = nullptr;
    if (status != cudaErrorMemoryAllocation) Check(status);
    return nullptr;
  }
  block.bytes = bytes;
  return block.memory;
}

Event Card::Record(Stream stream) {
  SM_ASSERT(!recording());
  Line& line = streams_[static_cast<size_t>(stream)];
  if (line.events.size() < Event::kEventsMax) {
    cudaEvent_t event = nullptr;
    Check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventBlockingSync));
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

// To sleep until the card is there costs longer than what is nearly done takes, and not to sleep
// costs others the processor for all of a step.
bool Card::Synchronize(Event event) {
  constexpr int kLooks = 64;
  cudaError_t status = cudaErrorNotReady;
  for (int i = 0; i < kLooks && status == cudaErrorNotReady; ++i) {
    status = cudaEventQuery(Find(event));
    if (status == cudaErrorNotReady) cudaGetLastError();
  }
  Check(status == cudaErrorNotReady ? cudaEventSynchronize(Find(event)) : status);
  return !failed();
}

Recording Card::AddRecording() {
  recorded_[++recordings_] = {};
  return {recordings_};
}

void Card::RemoveRecording(Recording recording) {
  const auto found = recorded_.find(recording.id);
  SM_ASSERT(found != recorded_.end());
  if (found->second.graph != nullptr) {
    Check(cudaDeviceSynchronize());  // It may be under way.
    Check(cudaGraphExecDestroy(found->second.graph));
  }
  recorded_.erase(found);
}

bool Card::BeginRecording(Recording recording) {
  Recorded& recorded = recorded_.at(recording.id);
  if (failed()) return true;
  if (recorded.graph != nullptr && recorded.moves == moves_) {
    Check(cudaGraphLaunch(recorded.graph, compute()));
    return false;
  }
  if (!std::exchange(recorded.done, true) || !not_recorded_.empty()) return true;
  recording_ = &recorded;
  // What other threads do, with cards of their own, is none of its business.
  if (!Check(cudaStreamBeginCapture(compute(), cudaStreamCaptureModeThreadLocal))) {
    recording_ = nullptr;
    cudaGetLastError();
  }
  return true;
}

Asked Card::EndRecording() {
  if (!recording()) return Asked::kDone;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t made = nullptr;
  // It ends in any case, and is of use only where nothing of it failed.
  const bool good = Check(cudaStreamEndCapture(compute(), &graph)) && not_recorded_.empty() &&
                    Check(cudaGraphInstantiate(&made, graph, 0));
  if (graph != nullptr) cudaGraphDestroy(graph);
  Recorded& recorded = *std::exchange(recording_, nullptr);
  if (!good) {
    cudaGetLastError();
    return Asked::kRefused;
  }
  if (recorded.graph != nullptr) cudaGraphExecDestroy(recorded.graph);
  recorded.graph = made;
  recorded.moves = moves_;
  Check(cudaGraphLaunch(made, compute()));
  return Asked::kRecorded;
}

}  // namespace shardmill::nn
