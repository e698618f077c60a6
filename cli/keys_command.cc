#include "cli/keys_command.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "cli/table.h"
#include "common/config/text.h"
#include "common/identity.h"
#include "common/json/json.h"
#include "common/keys/allow_list.h"
#include "common/keys/key_file.h"
#include "common/net/curve.h"

namespace shardmill {
namespace {

Error BadUsage(const std::string& words) { return {ErrorCode::kBadUsage, words}; }

// Enough to tell keys apart.
std::string ShortOf(const Key& key) { return HexadecimalOf(key).substr(0, 16); }

Result<> Generate(const std::string& folder, const std::string& name, Role role,
                  std::optional<WorkerId> rank, bool replace, const Console& console) {
  KeyPair pair = MakeKeyPair();
  pair.certificate.name = name;
  pair.certificate.role = role;
  pair.certificate.rank = rank;
  SM_TRY(WriteKeyPair(folder, pair, replace));
  console.out << name << ": " << NameOf(role)
              << (rank ? ", rank " + std::to_string(rank->value) : "") << ", key "
              << ShortOf(pair.certificate.key) << "; secret in " << folder << "/" << kSecretFolder
              << "/" << name << kSecretEnding << "\n";
  return {};
}

struct Listed {
  Certificate certificate;
  bool revoked = false;
  bool has_secret = false;
};

Result<std::vector<Listed>> ListKeys(const std::string& folder, const Console& console) {
  std::vector<Error> skipped;
  std::vector<Listed> listed;
  for (Certificate& one : SM_TRY(ReadCertificates(folder + "/" + kPublicFolder, skipped))) {
    const std::string secret =
        folder + "/" + kSecretFolder + "/" + one.name + std::string(kSecretEnding);
    std::error_code error;
    const bool has_secret = std::filesystem::exists(secret, error);
    listed.push_back({std::move(one), false, has_secret});
  }
  const std::string revoked = folder + "/" + kRevokedFolder;
  std::error_code error;
  if (std::filesystem::exists(revoked, error)) {
    for (Certificate& one : SM_TRY(ReadCertificates(revoked, skipped))) {
      listed.push_back({std::move(one), true, false});
    }
  }
  // One that was taken back is let in nowhere, whoever has copied its certificate back.
  for (Listed& one : listed) {
    one.revoked = std::ranges::any_of(listed, [&](const Listed& other) {
      return other.revoked && other.certificate.key == one.certificate.key;
    });
  }
  for (const Error& trouble : skipped) {
    console.err << "shardmill: not let in: " << trouble.message << "\n";
  }
  return listed;
}

std::string ToJson(const std::vector<Listed>& keys) {
  JsonWriter json;
  json.BeginList();
  for (const Listed& one : keys) {
    json.BeginObject();
    json.Key("name").Text(one.certificate.name);
    json.Key("role").Text(NameOf(one.certificate.role));
    json.Key("rank");
    if (one.certificate.rank) {
      json.Whole(one.certificate.rank->value);
    } else {
      json.Null();
    }
    json.Key("public").Text(HexadecimalOf(one.certificate.key));
    json.Key("revoked").Flag(one.revoked);
    json.Key("secret_is_here").Flag(one.has_secret);
    json.EndObject();
  }
  json.EndList();
  return json.Take();
}

}  // namespace

Result<> RunKeysGen(const KeysGenFlags& flags, const Console& console) {
  if (!HasCurve()) return BadUsage("this machine's ZeroMQ was built without CURVE");
  if (flags.role.empty()) {
    constexpr std::array kAll = {Role::kCoordinator, Role::kServer, Role::kWorker, Role::kTool};
    for (const Role role : kAll) {
      const std::string name = DefaultKeyName(role, std::nullopt);
      SM_TRY(Generate(flags.folder, name, role, std::nullopt, flags.replace, console));
    }
    return {};
  }
  const Role role = *RoleNamed(flags.role);
  if (flags.rank && role != Role::kWorker) {
    return BadUsage("--rank binds a worker's key; a " + flags.role + " has no rank");
  }
  std::optional<WorkerId> rank;
  if (flags.rank) rank = WorkerId{*flags.rank};
  const std::string name = flags.name.empty() ? DefaultKeyName(role, rank) : flags.name;
  if (!IsKeyName(name)) {
    return BadUsage("--name is " + config::QuoteForMessage(name) +
                    "; a key's has 1 to 64 letters, digits, - and _");
  }
  return Generate(flags.folder, name, role, rank, flags.replace, console);
}

Result<> RunKeysList(const KeysListFlags& flags, const Console& console) {
  const std::vector<Listed> keys = SM_TRY(ListKeys(flags.folder, console));
  if (flags.json) {
    console.out << ToJson(keys) << "\n" << std::flush;
    return {};
  }
  std::vector<TableRow> rows{{"name", "role", "rank", "key", "secret", "let in"}};
  for (const Listed& one : keys) {
    const Certificate& certificate = one.certificate;
    rows.push_back({certificate.name, std::string(NameOf(certificate.role)),
                    certificate.rank ? std::to_string(certificate.rank->value) : "any",
                    ShortOf(certificate.key), one.has_secret ? "here" : "elsewhere",
                    one.revoked ? "no: revoked" : "yes"});
    if (certificate.role != Role::kWorker) rows.back()[2] = "-";
  }
  console.out << AlignTable(rows) << std::flush;
  return {};
}

Result<> RunKeysRevoke(const KeysRevokeFlags& flags, const Console& console) {
  if (!IsKeyName(flags.name)) {
    return BadUsage(config::QuoteForMessage(flags.name) + " is no name of a key; see " +
                    "shardmill keys ls");
  }
  SM_TRY(RevokeKey(flags.folder, flags.name));
  console.out << flags.name << ": revoked; processes that read this folder let it in no more\n"
              << std::flush;
  return {};
}

}  // namespace shardmill
