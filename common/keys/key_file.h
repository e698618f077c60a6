#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "common/ids.h"
#include "common/messages.h"
#include "common/result.h"

// Keys of Curve25519 as files. A folder of keys has a certificate for each key that is let in
// (public/NAME.pub), the secrets of those who have them (secret/NAME.key), and the certificates
// that were taken back (revoked/).
namespace shardmill {

using Key = std::array<std::byte, 32>;

std::string HexadecimalOf(const Key& key);
std::optional<Key> ParseKey(std::string_view hexadecimal);

inline constexpr const char* kPublicFolder = "public";
inline constexpr const char* kSecretFolder = "secret";
inline constexpr const char* kRevokedFolder = "revoked";
inline constexpr std::string_view kPublicEnding = ".pub";
inline constexpr std::string_view kSecretEnding = ".key";

// A public key, and what whoever has its secret may be.
struct Certificate {
  std::string name;  // Of the file, without the ending.
  Role role = Role::kTool;
  std::optional<WorkerId> rank = {};  // A worker's that may hold this rank and no other.
  Key key = {};
};

struct KeyPair {
  Certificate certificate;
  Key secret = {};
};

// "worker", and "worker-3" where it is bound to a rank.
std::string DefaultKeyName(Role role, std::optional<WorkerId> rank);
// Whether the text can name a key: 1 to 64 letters, digits, - and _.
bool IsKeyName(std::string_view name);

// Both follow links, as the files of a Kubernetes volume are. An error names the file.
Result<Certificate> ReadCertificate(const std::string& path);
// Refuses a file that others could have read or written: its owner must be this user or root, and
// nobody else may do anything with it. Where root owns it, as what is mounted into a container, its
// group may read it.
Result<KeyPair> ReadKeyPair(const std::string& path);

// Writes both files of a key into the folder, which is made where it is not there: the secret for
// this user alone. A key that is there is kept, and an error, unless it may be replaced.
Result<> WriteKeyPair(const std::string& folder, const KeyPair& pair, bool replace);

// Takes a certificate back: whoever reads the folder lets the key in no more. Its secret, where it
// lies here, is removed.
Result<> RevokeKey(const std::string& folder, const std::string& name);

}  // namespace shardmill
