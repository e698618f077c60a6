#include "common/keys/allow_list.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

namespace shardmill {
namespace {

constexpr size_t kCertificatesMax = 16384;

}  // namespace

Result<std::vector<Certificate>> ReadCertificates(const std::string& folder,
                                                  std::vector<Error>& skipped) {
  std::error_code error;
  std::vector<std::string> names;
  std::filesystem::directory_iterator entries(folder, error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    if (!name.starts_with('.') && name.ends_with(kPublicEnding)) names.push_back(name);
    if (names.size() > kCertificatesMax) {
      return Error{ErrorCode::kBadUsage,
                   folder + ": more than " + std::to_string(kCertificatesMax) + " certificates"};
    }
  }
  if (error) {
    return Error{ErrorCode::kBadUsage,
                 "cannot read the folder of certificates " + folder + ": " + error.message()};
  }
  std::ranges::sort(names);
  std::vector<Certificate> certificates;
  for (const std::string& name : names) {
    Result<Certificate> read = ReadCertificate(folder + "/" + name);
    if (read.ok()) {
      certificates.push_back(std::move(read).value());
    } else {
      skipped.push_back(read.error());
    }
  }
  return certificates;
}

Result<std::shared_ptr<const AllowList>> AllowList::Read(const std::string& folder,
                                                         std::vector<Error>& skipped) {
  std::set<Key> revoked;
  const std::string revoked_folder = folder + "/" + kRevokedFolder;
  std::error_code error;
  if (std::filesystem::exists(revoked_folder, error)) {
    for (const Certificate& one : SM_TRY(ReadCertificates(revoked_folder, skipped))) {
      revoked.insert(one.key);
    }
  }
  // Shared by a ring and by the transports that still use it when the ring has another.
  const std::shared_ptr<AllowList> list(new AllowList);
  for (Certificate& one : SM_TRY(ReadCertificates(folder + "/" + kPublicFolder, skipped))) {
    if (revoked.contains(one.key)) continue;
    const Identity identity{one.role, one.rank, nullptr, one.name};
    const auto [known, is_new] = list->identities_.emplace(one.key, identity);
    if (!is_new && (known->second.role != one.role || known->second.rank != one.rank)) {
      return Error{ErrorCode::kBadUsage, folder + ": \"" + known->second.name + "\" and \"" +
                                             one.name + "\" are one key with two meanings"};
    }
    if (one.rank) list->bound_.insert(*one.rank);
    list->certificates_.push_back(std::move(one));
  }
  for (auto& [key, identity] : list->identities_) identity.bound = &list->bound_;
  return std::shared_ptr<const AllowList>(list);
}

const Identity* AllowList::Find(const Key& key) const {
  const auto found = identities_.find(key);
  return found == identities_.end() ? nullptr : &found->second;
}

const Certificate* AllowList::Only(Role role) const {
  const auto is = [role](const Certificate& one) { return one.role == role; };
  const auto found = std::ranges::find_if(certificates_, is);
  return std::ranges::count_if(certificates_, is) == 1 ? &*found : nullptr;
}

}  // namespace shardmill
