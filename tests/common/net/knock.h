#pragma once

#include <memory>
#include <string>

#include "common/keys/key_file.h"
#include "common/rng.h"

namespace shardmill {

// The ways in which a stranger can come to a socket that asks for keys: those of libzmq's own test
// of CURVE, and some more.
enum class Way : uint8_t {
  kNoMechanism,
  kPassword,
  kWrongServerKey,
  kWrongSecret,
  kBadPublicKey,
  kUnlisted,
  kRevoked,
  kNoise,
  kBrowser,
  kOldVersion,
  kOldestVersion,
  kNullGreeting,
  kLongHello,
  kSilence,
  kCount,
};

// Whether it is refused for its key, and not for its handshake.
bool IsOfKey(Way way);

// Keys that strangers have.
struct StrangersKeys {
  KeyPair listed = {};  // Whose secret they have not.
  KeyPair unlisted = {};
  KeyPair revoked = {};
};

// Many strangers at once, each with one connection that lasts as long as this, unless it is cut
// off. One thread.
class Knockers final {
 public:
  explicit Knockers(StrangersKeys keys);
  ~Knockers();

  // Comes to "tcp://127.0.0.1:PORT", whose owner has that public key, and asks.
  void Knock(Way way, const std::string& endpoint, const Key& owner, Rng& rng);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shardmill
