// A library that is loaded before the system's own (LD_PRELOAD) and stands between a daemon and the
// disk and the clock: it does what FaultOrders say, in a file beside it that is called as it is,
// with ".orders" behind that. Without such a file it does nothing.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "common/process/file_descriptor.h"
#include "tests/system/faults/disk_notes.h"
#include "tests/system/faults/fault_orders.h"

namespace shardmill::chaos {
namespace {

template <class Function>
Function* System(Function* /*ours*/, const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

// Of this library, as it was loaded.
std::string OwnPath() {
  Dl_info self{};
  const bool known = dladdr(reinterpret_cast<void*>(&OwnPath), &self) != 0;
  return known ? self.dli_fname : "";
}

FaultOrders* FindOrders() {
  const std::string path = OwnPath() + ".orders";
  static const auto system_open = System(&::open, "open");
  const int file = system_open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return nullptr;
  void* const memory =
      mmap(nullptr, sizeof(FaultOrders), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  return memory == MAP_FAILED ? nullptr : static_cast<FaultOrders*>(memory);
}

FaultOrders* Orders() {
  static FaultOrders* const orders = FindOrders();
  return orders;
}

// Fails by order where the disk has one of these two faults.
bool Fails(std::string_view path, DiskFault one, DiskFault other) {
  FaultOrders* const orders = Orders();
  if (orders == nullptr) return false;
  for (const FaultPlace& place : orders->places) {
    const auto fault = static_cast<DiskFault>(place.disk.load());
    if (fault == DiskFault::kNone || (fault != one && fault != other)) continue;
    if (!path.starts_with(place.folder)) continue;
    ++orders->faults;
    errno = fault == DiskFault::kFull ? ENOSPC : fault == DiskFault::kReadOnly ? EROFS : EIO;
    return true;
  }
  return false;
}

// As the system spells it.
std::string PathOf(int file) {
  const std::string link = "/proc/self/fd/" + std::to_string(file);
  char path[4096];
  const ssize_t size = readlink(link.c_str(), path, sizeof path);
  return size > 0 ? std::string(path, static_cast<size_t>(size)) : "";
}

bool Fails(int file, DiskFault one, DiskFault other) {
  FaultOrders* const orders = Orders();
  if (orders == nullptr) return false;
  const bool any = std::ranges::any_of(orders->places, [](const FaultPlace& place) {
    return static_cast<DiskFault>(place.disk.load()) != DiskFault::kNone;
  });
  return any && Fails(std::string_view(PathOf(file)), one, other);
}

// Where it is noted what of this path is on disk; nowhere, where that is not wanted.
std::optional<DiskNotes> NotesOf(std::string_view path) {
  const FaultOrders* const orders = Orders();
  if (orders == nullptr || !orders->notes || !path.starts_with(orders->noted)) return {};
  return DiskNotes(OwnPath() + ".notes");
}

// What is there before the sync begins, and no more, lasts when it has ended.
int SyncAndNote(int file, int (*sync)(int)) {
  const std::string path = PathOf(file);
  const std::optional<DiskNotes> notes = NotesOf(path);
  struct stat is {};
  if (!notes || fstat(file, &is) != 0) return sync(file);
  const DiskNotes::Id id = DiskNotes::IdOf(path);
  if (S_ISREG(is.st_mode)) {
    const int result = sync(file);
    return result != 0 || notes->SetBytes(id, static_cast<uint64_t>(is.st_size)) ? result : -1;
  }
  const FileDescriptor lock = notes->LockNames(id);
  const DiskNotes::Names names = DiskNotes::NamesIn(path);
  const int result = sync(file);
  return result != 0 || notes->SetLastingNames(id, names) ? result : -1;
}

// Before a file loses its name, which it may have again after a power cut.
void Keep(const char* path) {
  if (const std::optional<DiskNotes> notes = NotesOf(path)) notes->Keep(path);
}

}  // namespace

}  // namespace shardmill::chaos

using shardmill::chaos::DiskFault;
using shardmill::chaos::Fails;
using shardmill::chaos::Keep;
using shardmill::chaos::SyncAndNote;

extern "C" {

int open(const char* path, int flags, ...) {
  static const auto next = shardmill::chaos::System(&::open, "open");
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  const bool changes = (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0;
  if (changes && Fails(std::string_view(path), DiskFault::kReadOnly, DiskFault::kReadOnly)) {
    return -1;
  }
  return next(path, flags, mode);
}

ssize_t write(int file, const void* bytes, size_t size) {
  static const auto next = shardmill::chaos::System(&::write, "write");
  return Fails(file, DiskFault::kFull, DiskFault::kReadOnly) ? -1 : next(file, bytes, size);
}

int fdatasync(int file) {
  static const auto next = shardmill::chaos::System(&::fdatasync, "fdatasync");
  return Fails(file, DiskFault::kNoSync, DiskFault::kReadOnly) ? -1 : SyncAndNote(file, next);
}

int fsync(int file) {
  static const auto next = shardmill::chaos::System(&::fsync, "fsync");
  return Fails(file, DiskFault::kNoSync, DiskFault::kReadOnly) ? -1 : SyncAndNote(file, next);
}

int mkdir(const char* path, mode_t mode) noexcept {
  static const auto next =
      reinterpret_cast<int (*)(const char*, mode_t)>(dlsym(RTLD_NEXT, "mkdir"));
  const bool fails = Fails(std::string_view(path), DiskFault::kFull, DiskFault::kReadOnly);
  return fails ? -1 : next(path, mode);
}

int rename(const char* from, const char* to) noexcept {
  static const auto next =
      reinterpret_cast<int (*)(const char*, const char*)>(dlsym(RTLD_NEXT, "rename"));
  const bool fails = Fails(std::string_view(from), DiskFault::kReadOnly, DiskFault::kReadOnly);
  if (fails) return -1;
  Keep(to);
  return next(from, to);
}

int unlink(const char* path) noexcept {
  static const auto next = reinterpret_cast<int (*)(const char*)>(dlsym(RTLD_NEXT, "unlink"));
  const bool fails = Fails(std::string_view(path), DiskFault::kReadOnly, DiskFault::kReadOnly);
  if (fails) return -1;
  Keep(path);
  return next(path);
}

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  static const auto next =
      reinterpret_cast<int (*)(clockid_t, timespec*)>(dlsym(RTLD_NEXT, "clock_gettime"));
  const int result = next(clock, time);
  shardmill::chaos::FaultOrders* const orders = shardmill::chaos::Orders();
  const int64_t ahead_s = orders != nullptr && clock == CLOCK_REALTIME ? orders->clock_s.load() : 0;
  if (ahead_s == 0) return result;
  ++orders->faults;
  time->tv_sec += ahead_s;
  return result;
}

time_t time(time_t* at) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (at != nullptr) *at = now.tv_sec;
  return now.tv_sec;
}

int gettimeofday(timeval* at, void* /*zone*/) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}

}  // extern "C"
