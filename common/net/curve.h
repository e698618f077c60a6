#pragma once

#include "common/keys/key_file.h"

namespace shardmill {

// Makes a key pair from the machine's random device; the certificate has no name, role or rank yet.
KeyPair MakeKeyPair();

// Whether ZeroMQ was built with CURVE.
bool HasCurve();

}  // namespace shardmill
