// CUDA's functions.
#include <cuda_runtime.h>
#include <sys/mman.h>

#include <cstring>
#include <span>
#include <utility>

#include "tests/nn/soft_card/machine.h"

using shardmill::soft::Die;
using shardmill::soft::Machine;
using shardmill::soft::Memory;
using shardmill::soft::Streams;
using shardmill::soft::Threads;

namespace {

// A call that may fail, and then with that error.
template <class Call>
cudaError_t Try(cudaError_t error, Call call) {
  Machine& machine = Machine::Get();
  if (machine.lost()) return machine.Keep(cudaErrorIllegalAddress);
  return machine.Keep(machine.Fails() ? error : call(machine));
}

// One that waits, takes memory or gives it back, and so is not for what is recorded, of this
// thread.
bool Spoils(Machine& machine) {
  if (!machine.streams().Spoil()) return false;
  machine.Keep(cudaErrorStreamCaptureUnsupported);
  return true;
}

// One that cannot but be told of what failed before.
cudaError_t Now(Machine& machine) {
  return machine.lost() ? machine.Keep(cudaErrorIllegalAddress) : cudaSuccess;
}

cudaError_t Take(Machine& machine, Memory& memory, void** taken, size_t bytes) {
  if (Spoils(machine)) return cudaErrorStreamCaptureUnsupported;
  *taken = memory.Take(bytes);
  return *taken == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}

// Of memory that the host has lent, which it may have taken back.
void CheckLent(const void* place, size_t bytes) {
  const Memory& host = Machine::Get().host();
  if (host.Owns(place) && !host.Holds(place, bytes)) {
    Die("a copy reads or writes memory of the host that was given back");
  }
}

bool MayBeAPlace(uint64_t word) { return word >= uint64_t{1} << 44 && word < uint64_t{1} << 47; }

// Words that lead to memory which only the host has, or to none that is in use.
void CheckWords(std::span<const uint64_t> words) {
  const Memory& device = Machine::Get().device();
  for (const uint64_t word : words) {
    if (!MayBeAPlace(word)) continue;
    const auto* const place = reinterpret_cast<const void*>(word);
    if (device.Owns(place)) {
      if (!device.Holds(place, 0)) Die("a kernel is lent memory that was given back");
      continue;
    }
    unsigned char known = 0;
    constexpr uint64_t kPage = 4096;
    if (mincore(reinterpret_cast<void*>(word / kPage * kPage), 1, &known) == 0) {
      Die("a kernel is lent memory of the host");
    }
  }
}

bool Fits(const dim3& grid, const dim3& block) {
  constexpr unsigned kBlocksMax = 65535;
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  return grid.x > 0 && grid.x < 1U << 31 && grid.y > 0 && grid.y <= kBlocksMax && grid.z > 0 &&
         grid.z <= kBlocksMax && threads > 0 && threads <= Threads::kThreadsMax;
}

}  // namespace

namespace shardmill::soft {

cudaError_t Launch(const cudaLaunchConfig_t& how, const std::vector<uint64_t>& words,
                   std::function<void()> kernel) {
  return Try(cudaErrorLaunchOutOfResources, [&](Machine& machine) {
    if (!Fits(how.gridDim, how.blockDim)) return cudaErrorInvalidConfiguration;
    CheckWords(words);
    return machine.Enqueue(how.stream, [&machine, how, kernel = std::move(kernel)] {
      machine.threads().Run(how.gridDim, how.blockDim, kernel);
    });
  });
}

uint64_t Exchange(uint64_t mine, unsigned apart) {
  return Machine::Get().threads().Exchange(mine, apart);
}

}  // namespace shardmill::soft

void __syncthreads() { Machine::Get().threads().Synchronize(); }

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorOperatingSystem:
      return "OS call failed or operation not supported on this OS";
    case cudaErrorInvalidResourceHandle:
      return "invalid resource handle";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorIllegalAddress:
      return "an illegal memory access was encountered";
    case cudaErrorLaunchOutOfResources:
      return "too many resources requested for launch";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
    case cudaErrorStreamCaptureIsolation:
      return "dependency created on uncaptured work in another stream";
    case cudaErrorCapturedEvent:
      return "operation not permitted on an event last recorded in a capturing stream";
  }
  return "unrecognized error code";
}

cudaError_t cudaGetLastError() { return Machine::Get().TakeLast(); }

cudaError_t cudaDriverGetVersion(int* version) {
  return Try(cudaErrorOperatingSystem, [version](Machine& machine) {
    *version = machine.settings().driver;
    return cudaSuccess;
  });
}

cudaError_t cudaGetDeviceCount(int* count) {
  return Try(cudaErrorOperatingSystem, [count](Machine& machine) {
    const shardmill::soft::Settings& settings = machine.settings();
    if (settings.driver < CUDART_VERSION) return cudaErrorInsufficientDriver;
    if (settings.cards == 0) return cudaErrorNoDevice;
    *count = settings.cards;
    return cudaSuccess;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return Try(cudaErrorInvalidDevice, [properties, device](Machine& machine) {
    if (device >= machine.settings().cards) return cudaErrorInvalidDevice;
    *properties = {.name = "soft card", .major = 9, .minor = 0};
    return cudaSuccess;
  });
}

cudaError_t cudaSetDevice(int device) {
  return Try(cudaErrorInvalidDevice, [device](Machine& machine) {
    return device < machine.settings().cards ? cudaSuccess : cudaErrorInvalidDevice;
  });
}

cudaError_t cudaDeviceSynchronize() {
  Machine& machine = Machine::Get();
  if (Spoils(machine)) return cudaErrorStreamCaptureUnsupported;
  machine.Finish();
  return Now(machine);
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return Try(cudaErrorOperatingSystem, [free, total](Machine& machine) {
    *free = machine.device().bytes_free();
    *total = machine.settings().memory_bytes;
    return cudaSuccess;
  });
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  return Try(cudaErrorMemoryAllocation,
             [=](Machine& machine) { return Take(machine, machine.device(), memory, bytes); });
}

// CUDA's may wait for what still uses the memory, and so need not.
cudaError_t cudaFree(void* memory) {
  Machine& machine = Machine::Get();
  if (memory != nullptr && Spoils(machine)) return cudaErrorStreamCaptureUnsupported;
  if (memory != nullptr) machine.device().Give(static_cast<char*>(memory));
  return Now(machine);
}

cudaError_t cudaMallocHost(void** memory, size_t bytes) {
  return Try(cudaErrorMemoryAllocation,
             [=](Machine& machine) { return Take(machine, machine.host(), memory, bytes); });
}

// Nobody promises that it waits for copies, and so it does not.
cudaError_t cudaFreeHost(void* memory) {
  Machine& machine = Machine::Get();
  if (memory != nullptr && Spoils(machine)) return cudaErrorStreamCaptureUnsupported;
  if (memory != nullptr) machine.host().Give(static_cast<char*>(memory));
  return Now(machine);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return Try(cudaErrorMemoryAllocation, [stream](Machine& machine) {
    machine.Make(stream);
    machine.streams().Add(*stream);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  Machine& machine = Machine::Get();
  machine.RunUntil([stream] { return stream->tasks.empty(); });
  machine.streams().Remove(stream);
  machine.Drop(stream);
  return Now(machine);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return Try(cudaErrorOperatingSystem, [stream, event](Machine&) {
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    if (event->captured == stream) return cudaSuccess;  // It comes after it in any case.
    if (event->captured != nullptr) Die("a stream waits for one that is recorded");
    if (stream->capture) {
      stream->capture->spoiled = true;
      return cudaErrorStreamCaptureIsolation;
    }
    Streams::Wait(*stream, *event);
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return Try(cudaErrorMemoryAllocation, [event](Machine& machine) {
    machine.Make(event);
    return cudaSuccess;
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  Machine& machine = Machine::Get();
  if (event == nullptr) return cudaErrorInvalidResourceHandle;
  machine.Drop(event);
  return Now(machine);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return Try(cudaErrorOperatingSystem, [stream, event](Machine&) {
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    event->captured = stream->capture ? stream : nullptr;
    if (!stream->capture) Streams::Record(*event, *stream);
    return cudaSuccess;
  });
}

// Who only looks sees nothing done by that.
cudaError_t cudaEventQuery(cudaEvent_t event) {
  Machine& machine = Machine::Get();
  if (Spoils(machine)) return cudaErrorStreamCaptureUnsupported;
  if (event == nullptr) return machine.Keep(cudaErrorInvalidResourceHandle);
  if (event->captured != nullptr) return machine.Keep(cudaErrorCapturedEvent);
  const bool ready = event->marks->reached == event->marks->recorded;
  return ready || machine.lost() ? Now(machine) : machine.Keep(cudaErrorNotReady);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return Try(cudaErrorOperatingSystem, [event](Machine& machine) {
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    if (Spoils(machine)) return cudaErrorStreamCaptureUnsupported;
    if (event->captured != nullptr) return cudaErrorCapturedEvent;
    machine.RunUntil([marks = event->marks, number = event->marks->recorded] {
      return marks->reached >= number;
    });
    return Now(machine);
  });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  return Try(cudaErrorOperatingSystem, [stream](Machine&) {
    if (stream->capture) return cudaErrorInvalidValue;
    stream->capture.emplace();
    return cudaSuccess;
  });
}

// It ends even where it fails.
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  Machine& machine = Machine::Get();
  *graph = nullptr;
  if (!stream->capture) return machine.Keep(cudaErrorInvalidValue);
  const shardmill::soft::Capture capture = *std::exchange(stream->capture, std::nullopt);
  return Try(cudaErrorStreamCaptureInvalidated, [&](Machine&) {
    if (capture.spoiled) return cudaErrorStreamCaptureInvalidated;
    machine.Make(graph);
    (*graph)->works = capture.works;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long) {
  return Try(cudaErrorMemoryAllocation, [made, graph](Machine& machine) {
    machine.Make(made);
    (*made)->works = graph->works;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  Machine::Get().Drop(graph);
  return Now(Machine::Get());
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  return Try(cudaErrorLaunchOutOfResources, [graph, stream](Machine& machine) {
    if (stream->capture) Die("a graph is begun in one that is recorded");
    for (const std::function<void()>& work : graph->works) machine.Enqueue(stream, work);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  Machine::Get().Drop(graph);
  return Now(Machine::Get());
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return Try(cudaErrorLaunchOutOfResources, [=](Machine& machine) {
    const bool writes = kind != cudaMemcpyDeviceToHost, reads = kind != cudaMemcpyHostToDevice;
    if (machine.device().Owns(to) != writes || machine.device().Owns(from) != reads) {
      return cudaErrorInvalidValue;
    }
    return machine.Enqueue(stream, [=] {
      CheckLent(to, bytes);
      CheckLent(from, bytes);
      if (bytes > 0) std::memcpy(to, from, bytes);
      if (kind != cudaMemcpyDeviceToDevice) Machine::Get().Crossed(bytes);
    });
  });
}
