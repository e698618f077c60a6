#include "worker/data/row_cache.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include "common/rng.h"
#include "worker/data/row_file.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kLockPoll{50};
constexpr char kEnding[] = ".rows";

std::string HexOf(const std::string& text) {
  std::array<char, 17> hex{};
  std::snprintf(hex.data(), hex.size(), "%016llx", static_cast<unsigned long long>(MixText(text)));
  return hex.data();
}

}  // namespace

RowCache::RowCache(std::string folder, std::vector<Part> parts)
    : folder_(std::move(folder)), parts_(std::move(parts)) {}

std::string RowCache::FamilyOf(size_t part) const { return HexOf(parts_[part].family); }

std::string RowCache::PathOf(size_t part) const {
  return folder_ + "/" + FamilyOf(part) + "-" + HexOf(parts_[part].made_of) + kEnding;
}

Result<std::vector<std::unique_ptr<SampleStore>>> RowCache::Open(
    std::vector<std::string>& notes) const {
  std::vector<std::unique_ptr<SampleStore>> stores;
  for (size_t i = 0; i < parts_.size(); ++i) {
    Result<std::unique_ptr<SampleStore>> store = OpenRowFile(PathOf(i), parts_[i].made_of, true);
    if (store.ok()) {
      stores.push_back(std::move(store).value());
      continue;
    }
    const Error& error = store.error();
    if (error.code == ErrorCode::kFailed) return error;
    if (error.code == ErrorCode::kBadInput) notes.push_back(error.message + "; it is made anew");
    return std::vector<std::unique_ptr<SampleStore>>();
  }
  return stores;
}

Result<> RowCache::Lock(const std::function<bool()>& stopped) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  const std::string path = folder_ + "/" + FamilyOf(0) + ".lock";
  while (!lock_.has_value()) {
    Result<FileLock> lock = FileLock::Take(path);
    if (lock.ok()) {
      lock_ = std::move(lock).value();
    } else if (lock.error().code != ErrorCode::kUnavailable) {
      return Error{ErrorCode::kBadUsage, lock.error().message + " (in data.cache)"};
    } else if (stopped && stopped()) {
      return Error{ErrorCode::kStopped, "stopped while another process packed the rows"};
    } else {
      std::this_thread::sleep_for(kLockPoll);
    }
  }
  return {};
}

void RowCache::RemoveOld() const {
  for (size_t i = 0; i < parts_.size(); ++i) {
    const std::string family = FamilyOf(i) + "-";
    std::error_code error;  // What cannot be taken away stays.
    std::filesystem::directory_iterator at(folder_, error);
    while (!error && at != std::filesystem::directory_iterator()) {
      const std::filesystem::path path = at->path();
      const std::string name = path.filename().string();
      const bool old = name.starts_with(family) && name.ends_with(kEnding);
      at.increment(error);
      if (old && path.string() != PathOf(i)) std::filesystem::remove(path, error);
    }
  }
}

}  // namespace shardmill
