#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/process/file_descriptor.h"
#include "common/result.h"

namespace shardmill::chaos {

// Hosts on one switch, each a network namespace with an address of its own, so that what is between
// processes on them is the system's own TCP, and what becomes of its frames is ours to say. The
// caller's namespace is the switch: it reaches all hosts whatever is cut between them. Takes a
// network that we may change, as `unshare --user --map-root-user --net` makes one.
//
// Owned by a test, on its thread. Processes on the hosts must have ended when it goes.
class Hosts final {
 public:
  // What comes before a command line that is to run in a network of its own.
  static std::vector<std::string> OwnNetwork();
  // Why this system makes none with hosts in it, in words; else empty.
  static std::string Hindrance(const std::string& log);

  // `log` takes the words of the commands that are run.
  static Result<std::unique_ptr<Hosts>> Make(std::string log);
  ~Hosts();
  Hosts(const Hosts&) = delete;
  Hosts& operator=(const Hosts&) = delete;

  // One more. Returns its number, counted from 0.
  Result<size_t> Add();
  // It was switched off: nobody hears of it again.
  Result<> Remove(size_t host);
  std::string AddressOf(size_t host) const;
  // What comes before a command line that is to run there.
  std::vector<std::string> Inside(size_t host) const;

  // Of the frames from a host, or from any, to another, or to any, a part is lost.
  struct Loss {
    std::optional<size_t> from = {};
    std::optional<size_t> to = {};
    double part = 1;
  };
  // From now on these and no others.
  Result<> Lose(const std::vector<Loss>& losses);
  // Ends all connections of a host as one does that has lost its memory, on both sides.
  Result<> Reset(size_t host);

 private:
  explicit Hosts(std::string log) : log_(std::move(log)) {}

  Result<> Run(const std::string& script) const;
  std::string EnterOf(size_t host) const;

  std::string log_;
  std::vector<FileDescriptor> networks_;  // By host; none of one that was removed.
};

}  // namespace shardmill::chaos
