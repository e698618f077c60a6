#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "common/keys/allow_list.h"
#include "common/keys/key_file.h"
#include "common/keys/key_ring.h"
#include "common/net/curve.h"
#include "tests/common/net/keyed.h"

namespace shardmill {
namespace {

using std::filesystem::path;

mode_t ModeOf(const std::string& file) {
  struct stat status {};
  EXPECT_EQ(stat(file.c_str(), &status), 0) << file;
  return status.st_mode & 07777;
}

std::string TextOf(const std::string& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

void WriteText(const std::string& file, const std::string& text) { std::ofstream(file) << text; }

class KeysTest : public testing::Test {
 protected:
  std::string Secret(const std::string& name) const { return keys_.path() + "/secret/" + name; }
  std::string Public(const std::string& name) const { return keys_.path() + "/public/" + name; }
  std::string ErrorOfOpen(Role role, std::optional<WorkerId> rank = {}) const {
    const auto ring = KeyRing::Open(keys_.path(), role, rank);
    return ring.ok() ? "" : ring.error().message;
  }

  KeyFolder keys_;
};

TEST_F(KeysTest, SecretsAreTheirOwnersAndCertificatesEverybodys) {
  EXPECT_EQ(ModeOf(Secret("worker.key")), 0600U);
  EXPECT_EQ(ModeOf(keys_.path() + "/secret"), 0700U);
  EXPECT_EQ(ModeOf(Public("worker.pub")), 0644U);
  EXPECT_EQ(TextOf(Public("worker.pub")).find("secret ="), std::string::npos);
}

// Whether, for a process whom modes bind, no file comes into a folder that cannot be synced, and
// none goes out of it, without an error that says so.
bool SaysWhatDidNotReachTheDisk(const std::string& folder) {
  const auto pair = [](const std::string& name) {
    KeyPair made = MakeKeyPair();
    made.certificate.name = name;
    made.certificate.role = Role::kTool;
    return made;
  };
  const auto fails = [](const Result<>& result) {
    return !result.ok() &&
           result.error().message.find("the folder cannot be opened") != std::string::npos;
  };
  __user_cap_header_struct caller{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};  // So that modes bind root, too.
  if (syscall(SYS_capset, &caller, none) != 0 || chdir(folder.c_str()) != 0) return false;
  if (!WriteKeyPair("keys", pair("one"), false).ok() ||
      !WriteKeyPair("keys", pair("two"), false).ok() || !RevokeKey("keys", "one").ok()) {
    return false;
  }
  chmod("keys/revoked", 0300);
  const bool revokes = fails(RevokeKey("keys", "two"));
  chmod("keys/public", 0300);
  return revokes && fails(WriteKeyPair("keys", pair("three"), false));
}

TEST_F(KeysTest, HasItsFoldersOnDiskBeforeItSaysThatAKeyIsThereOrRevoked) {
  const std::string folder = testing::TempDir() + "/synced";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  EXPECT_EXIT(_exit(SaysWhatDidNotReachTheDisk(folder) ? 0 : 1), testing::ExitedWithCode(0), "");
}

TEST_F(KeysTest, ReadsWhatItWrote) {
  const KeyPair made = keys_.Add(Role::kWorker, WorkerId{4});
  const KeyPair read = ReadKeyPair(Secret("worker-4.key")).value();
  EXPECT_EQ(read.secret, made.secret);
  EXPECT_EQ(read.certificate.key, made.certificate.key);
  EXPECT_EQ(read.certificate.rank, WorkerId{4});
  EXPECT_EQ(read.certificate.name, "worker-4");
  const Certificate certificate = ReadCertificate(Public("worker-4.pub")).value();
  EXPECT_EQ(certificate.key, made.certificate.key);
  EXPECT_EQ(certificate.role, Role::kWorker);
}

TEST_F(KeysTest, KeepsAKeyThatIsThereUnlessToldTo) {
  const std::string before = TextOf(Secret("server.key"));
  KeyPair pair = MakeKeyPair();
  pair.certificate.name = "server";
  pair.certificate.role = Role::kServer;
  const Result<> refused = WriteKeyPair(keys_.path(), pair, false);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("--replace"), std::string::npos);
  EXPECT_EQ(TextOf(Secret("server.key")), before);
  ASSERT_TRUE(WriteKeyPair(keys_.path(), pair, true).ok());
  EXPECT_EQ(ReadKeyPair(Secret("server.key")).value().secret, pair.secret);
  EXPECT_EQ(ModeOf(Secret("server.key")), 0600U);
}

TEST_F(KeysTest, RefusesASecretThatOthersCanRead) {
  for (const mode_t mode : {0604U, 0602U, 0660U, 0620U}) {
    ASSERT_EQ(chmod(Secret("server.key").c_str(), mode), 0);
    const std::string error = ErrorOfOpen(Role::kServer);
    EXPECT_NE(error.find("others can read this secret key"), std::string::npos) << mode;
    EXPECT_EQ(error.find(TextOf(Secret("server.key")).substr(100)), std::string::npos);
  }
  ASSERT_EQ(chmod(Secret("server.key").c_str(), 0400), 0);
  EXPECT_EQ(ErrorOfOpen(Role::kServer), "");
}

TEST_F(KeysTest, ReadsAFolderAsKubernetesMountsIt) {
  // Files are links into a folder that is swapped as a whole.
  const path secrets = keys_.path() + "/secret";
  std::filesystem::create_directory(secrets / "..2026");
  std::filesystem::rename(secrets / "server.key", secrets / "..2026" / "server.key");
  std::filesystem::create_directory_symlink("..2026", secrets / "..data");
  std::filesystem::create_symlink("..data/server.key", secrets / "server.key");
  EXPECT_EQ(ErrorOfOpen(Role::kServer), "");
  const path certificates = keys_.path() + "/public";
  std::filesystem::create_directory(certificates / "..2026");
  std::filesystem::rename(certificates / "worker.pub", certificates / "..2026" / "worker.pub");
  std::filesystem::create_symlink("..2026/worker.pub", certificates / "worker.pub");
  std::vector<Error> skipped;
  EXPECT_EQ(AllowList::Read(keys_.path(), skipped).value()->certificates().size(), 4U);
  EXPECT_TRUE(skipped.empty());
}

TEST_F(KeysTest, TakesTheKeyOfARankWhereThereIsOne) {
  const KeyPair bound = keys_.Add(Role::kWorker, WorkerId{1});
  EXPECT_EQ(keys_.Open(Role::kWorker, WorkerId{1})->own().secret, bound.secret);
  EXPECT_EQ(keys_.Open(Role::kWorker, WorkerId{0})->own().certificate.name, "worker");
}

TEST_F(KeysTest, RefusesAnothersKeyInItsPlace) {
  std::filesystem::copy_file(Secret("worker.key"), Secret("server.key"),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_NE(ErrorOfOpen(Role::kServer).find("is a worker's key, and this is a server"),
            std::string::npos);
}

TEST_F(KeysTest, NamesWhatIsWrongWithAFile) {
  const std::string good = TextOf(Public("worker.pub"));
  const std::string key = good.substr(good.rfind("public = "));
  struct Case {
    std::string text;
    std::string words;
  };
  for (const Case& one :
       std::vector<Case>{{"", "has no role"},
                         {"role = king\n" + key, "has no role"},
                         {"role = worker\npublic = 12\n", "no public key"},
                         {"role = worker\nrank = -1\n" + key, "rank that is no number"},
                         {"role = server\nrank = 1\n" + key, "only a worker holds one"},
                         {"role = worker\nrole = server\n" + key, "one that was there"},
                         {"nonsense\n", "no NAME = VALUE"},
                         {good + "secret = 12\n", "has a secret in it"},
                         {std::string(5000, '#'), "too long"}}) {
    WriteText(Public("worker.pub"), one.text);
    const auto read = ReadCertificate(Public("worker.pub"));
    ASSERT_FALSE(read.ok()) << one.text;
    EXPECT_NE(read.error().message.find(one.words), std::string::npos) << read.error().message;
    EXPECT_NE(ErrorOfOpen(Role::kServer), "") << one.text;
  }
}

TEST_F(KeysTest, AKeyThatWasTakenBackIsLetInNowhere) {
  const std::string text = TextOf(Public("worker.pub"));
  const Key key = ReadCertificate(Public("worker.pub")).value().key;
  keys_.Revoke("worker");
  EXPECT_FALSE(std::filesystem::exists(Secret("worker.key")));
  // Copying its certificate back does not help.
  WriteText(Public("back.pub"), text);
  std::vector<Error> skipped;
  const auto list = AllowList::Read(keys_.path(), skipped).value();
  EXPECT_EQ(list->Find(key), nullptr);
  EXPECT_EQ(list->certificates().size(), 3U);
  EXPECT_FALSE(RevokeKey(keys_.path(), "worker").ok());
}

TEST_F(KeysTest, OneKeyHasOneMeaning) {
  const std::string text = TextOf(Public("worker.pub"));
  WriteText(Public("twin.pub"), text);
  std::vector<Error> skipped;
  EXPECT_TRUE(AllowList::Read(keys_.path(), skipped).ok());
  WriteText(Public("twin.pub"), "role = coordinator\n" + text.substr(text.rfind("public")));
  const auto list = AllowList::Read(keys_.path(), skipped);
  ASSERT_FALSE(list.ok());
  EXPECT_NE(list.error().message.find("one key with two meanings"), std::string::npos);
}

TEST_F(KeysTest, SeesChangesOfTheFolderWhileItRuns) {
  const auto ring = keys_.Open(Role::kCoordinator);
  const KeyPair added = keys_.Add(Role::kWorker, WorkerId{9});
  std::vector<Error> troubles;
  ASSERT_TRUE(ring->Refresh(troubles));
  ASSERT_NE(ring->allowed()->Find(added.certificate.key), nullptr);
  EXPECT_EQ(ring->allowed()->Find(added.certificate.key)->rank, WorkerId{9});
  keys_.Revoke("worker-9");
  ASSERT_TRUE(ring->Refresh(troubles));
  EXPECT_EQ(ring->allowed()->Find(added.certificate.key), nullptr);
  EXPECT_TRUE(troubles.empty());
  std::filesystem::remove_all(keys_.path() + "/public");
  EXPECT_FALSE(ring->Refresh(troubles));
  EXPECT_FALSE(ring->Refresh(troubles));
  EXPECT_EQ(troubles.size(), 1U);
}

}  // namespace
}  // namespace shardmill
