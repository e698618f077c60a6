#include "cli/programs.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>

namespace shardmill {
namespace {

namespace fs = std::filesystem;

Result<std::string> Find(const fs::path& folder, const std::string& room, const std::string& name) {
  for (const fs::path& path : {folder / name, folder.parent_path() / room / name}) {
    if (access(path.c_str(), X_OK) == 0) return path.string();
  }
  return Error{ErrorCode::kBadUsage, "cannot find the program " + name + " beside " +
                                         folder.string() + "/shardmill; build //" + room + ":" +
                                         name + " or install them together"};
}

Result<fs::path> OwnPath() {
  std::error_code why;
  fs::path self = fs::read_symlink("/proc/self/exe", why);
  if (!why) return self;
  return Error{ErrorCode::kFailed, "cannot tell where this program is: " + why.message()};
}

}  // namespace

Result<Programs> FindProgramsFrom(const std::string& own_path) {
  const fs::path folder = fs::path(own_path).parent_path();
  Programs programs;
  programs.coordinator = SM_TRY(Find(folder, "server", "shardmill-coordinator"));
  programs.server = SM_TRY(Find(folder, "server", "shardmill-ps"));
  programs.worker = SM_TRY(Find(folder, "worker", "shardmill-worker"));
  return programs;
}

Result<Programs> FindPrograms() {
  const fs::path self = SM_TRY(OwnPath());
  return FindProgramsFrom(self.string());
}

Result<std::string> FindProgram(const std::string& room, const std::string& name) {
  const fs::path self = SM_TRY(OwnPath());
  return Find(self.parent_path(), room, name);
}

}  // namespace shardmill
