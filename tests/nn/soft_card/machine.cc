#include "tests/nn/soft_card/machine.h"

namespace shardmill::soft {

std::unique_ptr<Machine>& Machine::Own() {
  static std::unique_ptr<Machine> own = std::make_unique<Machine>(Settings());
  return own;
}

void Machine::Reset(const Settings& settings) {
  if (Get().held() > 0) Die("it begins anew while something of it is in use");
  Own() = std::make_unique<Machine>(settings);
}

bool Machine::Fails() {
  if (++calls_ == settings_.failing_call) failed_ = true;
  return calls_ == settings_.failing_call;
}

cudaError_t Machine::Enqueue(cudaStream_t stream, std::function<void()> work) {
  if (!stream->capture) {
    stream->tasks.push_back({.work = std::move(work)});
    return cudaSuccess;
  }
  if (stream->capture->spoiled) return Keep(cudaErrorStreamCaptureInvalidated);
  stream->capture->works.push_back(std::move(work));
  return cudaSuccess;
}

// A card that is lost does nothing more, but nobody waits for it in vain.
void Machine::RunUntil(const std::function<bool()>& so) {
  device_.Open();
  streams_.RunUntil(so, [this](const Task& task) {
    if (++works_ == settings_.failing_work) {
      failed_ = lost_ = true;
      Keep(cudaErrorIllegalAddress);
    }
    if (!lost_) task.work();
  });
  device_.Close();
}

void CheckPlace(const void* place, const char* words) {
  if (!Machine::Get().device().Owns(place)) Die(words);
}

}  // namespace shardmill::soft

extern "C" const shardmill::soft::Control* shardmill_soft_card() {
  using shardmill::soft::Machine;
  static constexpr shardmill::soft::Control kControl{
      .reset = Machine::Reset,
      .held = [] { return Machine::Get().held(); },
      .failed = [] { return Machine::Get().failed(); },
      .calls = [] { return Machine::Get().calls(); },
      .crossed = [] { return Machine::Get().crossed(); }};
  return &kControl;
}
