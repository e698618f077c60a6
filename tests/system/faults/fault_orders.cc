#include "tests/system/faults/fault_orders.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>

#include "common/process/file_descriptor.h"

namespace shardmill::chaos {

Result<std::unique_ptr<FaultDesk>> FaultDesk::Make(const std::string& library,
                                                   const std::string& folder) {
  const std::string link = folder + "/faults.so";
  std::error_code why;
  std::filesystem::create_symlink(std::filesystem::absolute(library), link, why);
  if (why) return Error{ErrorCode::kFailed, link + ": " + why.message()};
  const FileDescriptor file(open((link + ".orders").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const bool sized = file.valid() && ftruncate(file.get(), sizeof(FaultOrders)) == 0;
  void* const memory =
      sized ? mmap(nullptr, sizeof(FaultOrders), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0)
            : MAP_FAILED;
  if (memory == MAP_FAILED) return Error{ErrorCode::kFailed, link + ": no orders can be given"};
  return std::make_unique<FaultDesk>(link, ::new (memory) FaultOrders);
}

FaultDesk::~FaultDesk() { munmap(orders_, sizeof(FaultOrders)); }

namespace {

void SetFolder(FaultOrders& orders, const std::string& folder) {
  if (orders.folder[0] != '\0') return;
  std::strncpy(orders.folder, folder.c_str(), sizeof(orders.folder) - 1);
}

}  // namespace

void FaultDesk::SetDisk(DiskFault fault, const std::string& folder) {
  SetFolder(*orders_, folder);
  orders_->disk = static_cast<int32_t>(fault);
}

void FaultDesk::NoteSyncs(const std::string& folder) {
  SetFolder(*orders_, folder);
  orders_->notes = true;
}

Result<uint64_t> FaultDesk::CutPower(Rng& rng, const std::string& folder) const {
  namespace fs = std::filesystem;
  std::error_code why;
  uint64_t known = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder, why)) {
    struct stat is {};
    if (!entry.is_regular_file() || stat(entry.path().c_str(), &is) != 0) continue;
    uint64_t synced = 0;
    if (std::ifstream(NotePath(library_ + ".orders", is.st_ino)) >> synced) ++known;
    const auto size = static_cast<uint64_t>(is.st_size);
    if (synced >= size) continue;
    fs::resize_file(entry.path(), synced + rng.Below(size - synced + 1), why);
    if (why) return Error{ErrorCode::kFailed, entry.path().string() + ": " + why.message()};
  }
  return known;
}

}  // namespace shardmill::chaos
