#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/identity.h"
#include "common/keys/key_file.h"
#include "common/result.h"

namespace shardmill {

// Who is let in: the certificates of a folder, less those that were revoked. Read once and never
// changed, so any thread may look; identities live as long as the list.
class AllowList final {
 public:
  // A file that is no certificate lets nobody in, and is told of in `skipped`. An error where the
  // folder cannot be read, or says two things of one key.
  static Result<std::shared_ptr<const AllowList>> Read(const std::string& folder,
                                                       std::vector<Error>& skipped);

  // Null: this key is not let in.
  const Identity* Find(const Key& key) const;
  // Null unless there is exactly one certificate of the role.
  const Certificate* Only(Role role) const;
  const std::vector<Certificate>& certificates() const { return certificates_; }

 private:
  AllowList() = default;

  std::vector<Certificate> certificates_;
  std::set<WorkerId> bound_;
  std::map<Key, Identity> identities_;
};

// The certificates of a folder of them, by name. Files that begin with a dot or end otherwise are
// passed over.
Result<std::vector<Certificate>> ReadCertificates(const std::string& folder,
                                                  std::vector<Error>& skipped);

}  // namespace shardmill
