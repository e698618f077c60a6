#include "worker/data/file_list.h"

#include <glob.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>

namespace shardmill {

Result<std::vector<std::string>> ListFiles(const std::vector<std::string>& patterns) {
  std::vector<std::string> paths;
  for (const std::string& pattern : patterns) {
    struct stat status {};
    // A name that is there is no pattern, whatever letters it has.
    if (stat(pattern.c_str(), &status) == 0) {
      paths.push_back(pattern);
      continue;
    }
    if (pattern.find_first_of("*?[") == std::string::npos) {
      return Error{ErrorCode::kUnavailable,
                   pattern + ": " + std::generic_category().message(errno)};
    }
    glob_t found{};
    const int failed = glob(pattern.c_str(), 0, nullptr, &found);
    for (size_t i = 0; failed == 0 && i < found.gl_pathc; ++i) paths.push_back(found.gl_pathv[i]);
    globfree(&found);
    if (failed == 0) continue;
    return Error{ErrorCode::kUnavailable, pattern + ": no file fits this pattern"};
  }
  return paths;
}

Result<std::string> StampOf(const std::vector<std::string>& paths) {
  std::string stamp;
  for (const std::string& path : paths) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) {
      return Error{ErrorCode::kUnavailable, path + ": " + std::generic_category().message(errno)};
    }
    stamp += path + ' ' + std::to_string(status.st_size) + ' ' +
             std::to_string(status.st_mtim.tv_sec) + '.' + std::to_string(status.st_mtim.tv_nsec) +
             '\n';
  }
  return stamp;
}

}  // namespace shardmill
