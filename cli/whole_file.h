#pragma once

#include <fstream>
#include <ostream>
#include <string>

#include "common/result.h"

namespace shardmill {

// A file for people, which is there whole or not at all: it lies beside its place until it is
// committed, and is gone if it never is. What is there already and no ordinary file, such as a
// pipe, is written to as it is. Owned by a command, on one thread.
class WholeFile final {
 public:
  explicit WholeFile(const std::string& path);
  ~WholeFile();
  WholeFile(const WholeFile&) = delete;
  WholeFile& operator=(const WholeFile&) = delete;

  std::ostream& stream() { return file_; }
  // Why it cannot even be begun.
  Result<> Begun() const;
  // The error says what went wrong with any of it.
  Result<> Commit();

 private:
  const std::string path_;
  const std::string part_;  // Where it lies meanwhile.
  std::ofstream file_;
  const int why_not_;  // errno, once it was to be opened.
};

}  // namespace shardmill
