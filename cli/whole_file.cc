#include "cli/whole_file.h"

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace shardmill {
namespace {

std::string PartOf(const std::string& path) {
  std::error_code none;
  const bool other =
      std::filesystem::exists(path, none) && !std::filesystem::is_regular_file(path, none);
  return other ? path : path + ".part";
}

}  // namespace

WholeFile::WholeFile(const std::string& path)
    : path_(path),
      part_(PartOf(path)),
      file_(part_, std::ios::binary | std::ios::trunc),
      why_not_(file_.is_open() ? 0 : errno) {}

WholeFile::~WholeFile() {
  std::error_code none;
  if (part_ != path_) std::filesystem::remove(part_, none);
}

Result<> WholeFile::Begun() const {
  if (file_.is_open()) return {};
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  std::error_code none;
  if (!folder.empty() && !std::filesystem::exists(folder, none)) {
    return Error{ErrorCode::kBadUsage, path_ + ": the folder " + folder + " is not there"};
  }
  return Error{ErrorCode::kFailed,
               path_ + ": cannot be written: " + std::generic_category().message(why_not_)};
}

Result<> WholeFile::Commit() {
  SM_TRY(Begun());
  const bool whole = file_.good();
  errno = 0;
  if (!whole) {  // The stream has forgotten why: it is to try again.
    file_.clear();
    file_.put('\n').flush();
  }
  file_.close();
  std::error_code why;
  if (!whole || !file_) why = std::error_code(errno == 0 ? EIO : errno, std::generic_category());
  if (!why && part_ != path_) std::filesystem::rename(part_, path_, why);
  if (!why) return {};
  return Error{ErrorCode::kFailed, path_ + ": cannot be written: " + why.message()};
}

}  // namespace shardmill
