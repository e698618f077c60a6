#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cudnn.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"
#include "nn/backend.h"
#include "nn/backend_plugin.h"

namespace shardmill::nn {

// What an operation may want memory of its own for. One block each, so that two that are in use
// together do not lie over each other.
enum class Scratch : uint8_t { kSums, kColumns, kWeights, kWorkspace, kSort };
constexpr size_t kScratches = 5;

// A card with its streams, the libraries that work on it, and what has gone wrong on it. Owned by
// its backend, on the thread that opened it. Whatever is asked after a failure does nothing that
// counts: the first failure is kept in words and told when somebody waits. One in what is recorded
// is none of the card's, as nothing of it is done.
class Card final {
 public:
  // Fails in words where there is no card, or none that this was compiled for.
  static Result<std::unique_ptr<Card>> Open(const BackendSettings& settings);
  ~Card();
  Card(const Card&) = delete;
  Card& operator=(const Card&) = delete;

  const char* name() const { return name_.c_str(); }
  Products products() const { return products_; }
  cudaStream_t stream(Stream stream) const { return streams_[static_cast<size_t>(stream)].stream; }
  cudaStream_t compute() const { return stream(Stream::kCompute); }
  cublasHandle_t blas() const { return blas_; }
  cudnnHandle_t dnn() const { return dnn_; }

  // Whether all is well; keeps the words otherwise.
  bool Check(cudaError_t status);
  bool Check(cublasStatus_t status);
  bool Check(cudnnStatus_t status);
  void Fail(const std::string& words);
  const char* failure() const { return failure_.c_str(); }
  bool failed() const { return !failure_.empty() || (recording() && !not_recorded_.empty()); }

  // That block, with room for so many bytes, and whatever was in it. Null where there is no room.
  char* TryScratch(Scratch which, uint64_t bytes);
  // So many numbers of it; that there is no room is a failure.
  template <class T>
  T* ScratchOf(Scratch which, uint64_t count) {
    char* const memory = TryScratch(which, count * sizeof(T));
    if (memory == nullptr) Check(cudaErrorMemoryAllocation);
    return reinterpret_cast<T*>(memory);
  }

  Event Record(Stream stream);
  void Wait(Stream stream, Event event);
  bool Synchronize(Event event);

  // As Backend says, by CUDA graphs.
  Recording AddRecording();
  void RemoveRecording(Recording recording);
  bool BeginRecording(Recording recording);
  Asked EndRecording();
  bool recording() const { return recording_ != nullptr; }
  const char* not_recorded() const { return not_recorded_.c_str(); }

 private:
  struct Line {
    cudaStream_t stream = nullptr;
    std::vector<cudaEvent_t> events = {};  // A ring, once it is full.
    uint64_t recorded = 0;
  };
  struct Block {
    char* memory = nullptr;
    uint64_t bytes = 0;
  };
  struct Recorded {
    bool done = false;  // Once, so that all that its operations take is there.
    cudaGraphExec_t graph = nullptr;
    uint64_t moves = 0;  // How many there had been.
  };

  Card() = default;
  Result<> Begin(const BackendSettings& settings);
  bool LendToBlas(int major);
  cudaEvent_t Find(Event event) const;

  std::string name_;
  std::string failure_;
  Products products_ = Products::kFloat;
  std::array<Line, 3> streams_;
  std::array<Block, kScratches> scratches_;
  uint64_t moves_ = 0;  // Of scratches, whose places graphs hold.
  Block of_blas_;
  std::map<uint64_t, Recorded> recorded_;
  uint64_t recordings_ = 0;
  Recorded* recording_ = nullptr;  // What is being recorded.
  std::string not_recorded_;
  cublasHandle_t blas_ = nullptr;
  cudnnHandle_t dnn_ = nullptr;
};

}  // namespace shardmill::nn
