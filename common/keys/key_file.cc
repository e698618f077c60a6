#include "common/keys/key_file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <map>
#include <utility>

#include "common/blob/posix_files.h"
#include "common/config/text.h"
#include "common/identity.h"
#include "common/process/file_descriptor.h"

namespace shardmill {
namespace {

constexpr size_t kFileBytesMax = 4096;
constexpr char kDigits[] = "0123456789abcdef";

Error Bad(const std::string& path, const std::string& words) {
  return {ErrorCode::kBadUsage, path + ": " + words};
}

// Its errno in words.
Error System(const std::string& doing) {
  return {ErrorCode::kBadUsage, "cannot " + doing + ": " + strerror(errno)};
}

// Text that is wiped when it goes: it may hold a secret.
struct Wiped {
  Wiped() = default;
  Wiped(Wiped&&) = default;
  Wiped& operator=(Wiped&&) = default;
  ~Wiped() { explicit_bzero(text.data(), text.size()); }

  std::string text;
};

std::string ModeWords(const struct stat& file) {
  std::string words;
  for (int shift = 6; shift >= 0; shift -= 3) words += kDigits[(file.st_mode >> shift) & 7];
  return "0" + words;
}

// Why a secret in such a file is no secret; empty where it is.
std::string Problem(const struct stat& file) {
  if (file.st_uid != geteuid() && file.st_uid != 0) {
    return "another user owns this secret key; its owner must be the user who runs this";
  }
  // What root mounts into a container belongs to a group, so that its user can read it.
  const mode_t others = file.st_uid == 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;
  if ((file.st_mode & others) == 0) return "";
  return "others can read this secret key (its mode is " + ModeWords(file) +
         "); make it 0600, and a new key if others may have read it";
}

Result<Wiped> ReadSmallFile(const std::string& path, bool secret) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return System("read the key " + path);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return System("read the key " + path);
  if (!S_ISREG(status.st_mode)) return Bad(path, "is no file");
  const std::string problem = secret ? Problem(status) : "";
  if (!problem.empty()) return Bad(path, problem);
  Wiped read;
  read.text.resize(kFileBytesMax + 1);
  size_t size = 0;
  while (size < read.text.size()) {
    const ssize_t got = ::read(file.get(), read.text.data() + size, read.text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return System("read the key " + path);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > kFileBytesMax) return Bad(path, "is too long for a key");
  read.text.resize(size);
  return read;
}

using Fields = std::map<std::string_view, std::string_view>;

// "name = value", a line each; empty lines and those that begin with # say nothing.
Result<Fields> FieldsOf(const std::string& path, std::string_view text) {
  Fields fields;
  for (int line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (one.empty() || one.starts_with('#')) continue;
    const size_t mark = one.find(" = ");
    // The line may be part of a secret: it is not repeated.
    if (mark == std::string_view::npos ||
        !fields.emplace(one.substr(0, mark), one.substr(mark + 3)).second) {
      return Bad(path + ":" + std::to_string(line), "no NAME = VALUE, or one that was there");
    }
  }
  return fields;
}

Result<Certificate> CertificateOf(const std::string& path, std::string_view ending,
                                  const Fields& fields) {
  Certificate certificate;
  const std::string_view file = std::string_view(path).substr(path.rfind('/') + 1);
  certificate.name = file.substr(0, file.size() - std::min(file.size(), ending.size()));
  const auto field = [&fields](std::string_view name) {
    const auto found = fields.find(name);
    return found == fields.end() ? std::string_view() : found->second;
  };
  const std::optional<Role> role = RoleNamed(field("role"));
  if (!role) return Bad(path, "has no role: coordinator, server, worker or operator");
  certificate.role = *role;
  const std::optional<Key> key = ParseKey(field("public"));
  if (!key) return Bad(path, "has no public key of 64 hexadecimal digits");
  certificate.key = *key;
  const std::string_view rank = field("rank");
  if (rank.empty()) return certificate;
  uint32_t number = 0;
  const auto [rest, error] = std::from_chars(rank.data(), rank.data() + rank.size(), number);
  if (error != std::errc{} || rest != rank.data() + rank.size()) {
    return Bad(path, "has a rank that is no number");
  }
  if (*role != Role::kWorker) return Bad(path, "has a rank, and only a worker holds one");
  certificate.rank = WorkerId{number};
  return certificate;
}

std::string TextOf(const Certificate& certificate) {
  std::string text = "role = " + std::string(NameOf(certificate.role)) + "\n";
  if (certificate.rank) text += "rank = " + std::to_string(certificate.rank->value) + "\n";
  return text + "public = " + HexadecimalOf(certificate.key) + "\n";
}

// Whole or not at all; whoever could read a file that was there cannot read this one.
Result<> WriteWhole(const std::string& folder, const std::string& name, std::string_view text,
                    mode_t mode, bool replace) {
  const std::string path = folder + "/" + name;
  const std::string beside = folder + "/." + name + "." + std::to_string(getpid());
  const FileDescriptor file(
      open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!file.valid()) return System("write " + beside);
  bool whole = fchmod(file.get(), mode) == 0;
  while (whole && !text.empty()) {
    const ssize_t wrote = write(file.get(), text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    whole = wrote > 0;
    if (whole) text.remove_prefix(static_cast<size_t>(wrote));
  }
  whole = whole && fsync(file.get()) == 0;
  // A link fails where there is a file already.
  const bool there = whole && !replace && link(beside.c_str(), path.c_str()) != 0;
  if (there && errno == EEXIST) {
    unlink(beside.c_str());
    return Bad(path, "is there already; --replace writes over it");
  }
  if (there || !whole || (replace && rename(beside.c_str(), path.c_str()) != 0)) {
    const Error error = System("write " + path);
    unlink(beside.c_str());
    return error;
  }
  if (!replace) unlink(beside.c_str());
  return PosixFiles().SyncFolder(folder);
}

// Its name is on disk when this returns.
Result<> MakeFolder(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) == 0) return PosixFiles().SyncFolder(ParentOf(path));
  if (errno == EEXIST) return {};
  return System("make the folder " + path);
}

}  // namespace

std::string HexadecimalOf(const Key& key) {
  std::string text;
  for (const std::byte byte : key) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

std::optional<Key> ParseKey(std::string_view hexadecimal) {
  Key key{};
  if (hexadecimal.size() != 2 * key.size()) return std::nullopt;
  const std::string_view digits(kDigits);
  for (size_t i = 0; i < key.size(); ++i) {
    const size_t high = digits.find(hexadecimal[2 * i]);
    const size_t low = digits.find(hexadecimal[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    key[i] = static_cast<std::byte>(high << 4 | low);
  }
  return key;
}

std::string DefaultKeyName(Role role, std::optional<WorkerId> rank) {
  return std::string(NameOf(role)) + (rank ? "-" + std::to_string(rank->value) : "");
}

bool IsKeyName(std::string_view name) {
  constexpr size_t kNameMax = 64;
  return !name.empty() && name.size() <= kNameMax && std::ranges::all_of(name, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_';
  });
}

Result<Certificate> ReadCertificate(const std::string& path) {
  const Wiped read = SM_TRY(ReadSmallFile(path, false));
  const Fields fields = SM_TRY(FieldsOf(path, read.text));
  if (fields.contains("secret")) {
    return Bad(path, "has a secret in it, where everybody may read; make a new key");
  }
  return CertificateOf(path, kPublicEnding, fields);
}

Result<KeyPair> ReadKeyPair(const std::string& path) {
  const Wiped read = SM_TRY(ReadSmallFile(path, true));
  const Fields fields = SM_TRY(FieldsOf(path, read.text));
  KeyPair pair;
  pair.certificate = SM_TRY(CertificateOf(path, kSecretEnding, fields));
  const auto found = fields.find("secret");
  const std::optional<Key> secret = found == fields.end() ? std::nullopt : ParseKey(found->second);
  if (!secret) return Bad(path, "has no secret key of 64 hexadecimal digits");
  pair.secret = *secret;
  return pair;
}

Result<> WriteKeyPair(const std::string& folder, const KeyPair& pair, bool replace) {
  const std::string& name = pair.certificate.name;
  SM_TRY(MakeFolder(folder, 0755));
  SM_TRY(MakeFolder(folder + "/" + kPublicFolder, 0755));
  SM_TRY(MakeFolder(folder + "/" + kSecretFolder, 0700));
  const std::string certificate = TextOf(pair.certificate);
  const std::string path = folder + "/" + kPublicFolder + "/" + name + std::string(kPublicEnding);
  if (!replace && access(path.c_str(), F_OK) == 0) {
    return Bad(path, "is there already; --replace writes over it");
  }
  Wiped secret;
  secret.text = "# A secret key of shardmill. Whoever reads it can pretend to be its owner.\n" +
                certificate + "secret = " + HexadecimalOf(pair.secret) + "\n";
  // The secret first: what the certificate lets in is there when it is.
  SM_TRY(WriteWhole(folder + "/" + kSecretFolder, name + std::string(kSecretEnding), secret.text,
                    0600, replace));
  return WriteWhole(
      folder + "/" + kPublicFolder, name + std::string(kPublicEnding),
      "# A public key of shardmill: whoever has its secret is let in.\n" + certificate, 0644,
      replace);
}

Result<> RevokeKey(const std::string& folder, const std::string& name) {
  const std::string path = folder + "/" + kPublicFolder + "/" + name + std::string(kPublicEnding);
  const Certificate certificate = SM_TRY(ReadCertificate(path));
  SM_TRY(MakeFolder(folder + "/" + kRevokedFolder, 0755));
  constexpr size_t kDigitsKept = 16;
  const std::string to = folder + "/" + kRevokedFolder + "/" + name + "." +
                         HexadecimalOf(certificate.key).substr(0, kDigitsKept) +
                         std::string(kPublicEnding);
  if (rename(path.c_str(), to.c_str()) != 0) return System("move " + path + " to " + to);
  // It is revoked when its name there is on disk, whatever becomes of the old one.
  PosixFiles files;
  SM_TRY(files.SyncFolder(folder + "/" + kRevokedFolder));
  SM_TRY(files.SyncFolder(folder + "/" + kPublicFolder));
  const std::string secret_folder = folder + "/" + kSecretFolder;
  const std::string secret = secret_folder + "/" + name + std::string(kSecretEnding);
  if (unlink(secret.c_str()) == 0) return files.SyncFolder(secret_folder);
  return errno == ENOENT ? Result<>() : System("remove " + secret);
}

}  // namespace shardmill
