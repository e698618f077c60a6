#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/keys/key_file.h"
#include "common/keys/key_ring.h"
#include "common/net/curve.h"
#include "common/net/stranger.h"

namespace shardmill {

// A folder of keys of the running test's own, with a key for each role.
class KeyFolder final {
 public:
  KeyFolder() : path_(testing::TempDir() + "keys-" + Unique()) {
    std::filesystem::remove_all(path_);
    for (const Role role : {Role::kCoordinator, Role::kServer, Role::kWorker, Role::kTool}) {
      Add(role, std::nullopt);
    }
  }

  const std::string& path() const { return path_; }

  KeyPair Add(Role role, std::optional<WorkerId> rank, const std::string& name = "") const {
    KeyPair pair = MakeKeyPair();
    pair.certificate.name = name.empty() ? DefaultKeyName(role, rank) : name;
    pair.certificate.role = role;
    pair.certificate.rank = rank;
    EXPECT_TRUE(WriteKeyPair(path_, pair, false).ok());
    return pair;
  }
  void Revoke(const std::string& name) const { EXPECT_TRUE(RevokeKey(path_, name).ok()); }

  std::unique_ptr<KeyRing> Open(Role role, std::optional<WorkerId> rank = {}) const {
    auto ring = KeyRing::Open(path_, role, rank);
    EXPECT_TRUE(ring.ok()) << ring.error().message;
    return ring.ok() ? std::move(ring).value() : nullptr;
  }

 private:
  static std::string Unique() {
    static std::atomic<int> folders{0};
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    return std::string(test->name()) + "-" + std::to_string(folders++);
  }

  std::string path_;
};

// Writes down who was refused.
class RefusalBook final : public GateObserver {
 public:
  void Refused(const Stranger& stranger) override {
    const std::scoped_lock lock(mutex_);
    strangers_.push_back(stranger);
  }
  void Trouble(const std::string& words) override {
    const std::scoped_lock lock(mutex_);
    troubles_.push_back(words);
  }

  std::vector<Stranger> strangers() const {
    const std::scoped_lock lock(mutex_);
    return strangers_;
  }
  std::vector<std::string> troubles() const {
    const std::scoped_lock lock(mutex_);
    return troubles_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Stranger> strangers_;
  std::vector<std::string> troubles_;
};

}  // namespace shardmill
