#include "tests/system/faults/fault_orders.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cstring>
#include <filesystem>
#include <new>

#include "common/assert.h"
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

void FaultDesk::SetDisk(DiskFault fault, const std::string& folder) {
  for (FaultPlace& place : orders_->places) {
    const bool is_new = place.folder[0] == '\0';
    if (!is_new && folder != place.folder) continue;
    if (is_new) std::strncpy(place.folder, folder.c_str(), sizeof(place.folder) - 1);
    place.disk = static_cast<int32_t>(fault);
    return;
  }
  SM_ASSERT(false);  // No place is left.
}

void FaultDesk::MendDisks() {
  for (FaultPlace& place : orders_->places) place.disk = static_cast<int32_t>(DiskFault::kNone);
}

Result<> FaultDesk::NoteSyncs(const std::string& folder) {
  SM_TRY(notes().Begin());
  std::strncpy(orders_->noted, folder.c_str(), sizeof(orders_->noted) - 1);
  orders_->notes = true;
  return {};
}

}  // namespace shardmill::chaos
