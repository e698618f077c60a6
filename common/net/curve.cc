#include "common/net/curve.h"

#include <string.h>
#include <zmq.h>

#include <array>
#include <cstdint>

#include "common/assert.h"

namespace shardmill {
namespace {

constexpr size_t kTextBytes = 41;  // Z85, as ZeroMQ writes keys, with its zero.

}  // namespace

KeyPair MakeKeyPair() {
  std::array<char, kTextBytes> open{};
  std::array<char, kTextBytes> secret{};
  SM_ASSERT(zmq_curve_keypair(open.data(), secret.data()) == 0);
  KeyPair pair;
  zmq_z85_decode(reinterpret_cast<uint8_t*>(pair.certificate.key.data()), open.data());
  zmq_z85_decode(reinterpret_cast<uint8_t*>(pair.secret.data()), secret.data());
  explicit_bzero(secret.data(), secret.size());
  return pair;
}

bool HasCurve() { return zmq_has("curve") == 1; }

}  // namespace shardmill
