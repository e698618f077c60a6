#pragma once

#include <vector>

#include "common/net/inbox.h"

namespace shardmill {

// A message that came in, for as long as a test likes.
struct Taken {
  PeerId peer;
  std::vector<Frame> frames;
};

// Empties the inbox.
inline std::vector<Taken> TakeAll(Inbox& inbox) {
  std::vector<Taken> taken;
  for (size_t i = 0; i < inbox.size(); ++i) {
    taken.push_back({inbox[i].peer, {inbox[i].frames.begin(), inbox[i].frames.end()}});
  }
  inbox.Clear();
  return taken;
}

}  // namespace shardmill
