#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"

namespace shardmill {

// Numbers by name, over time, in the file format of TensorBoard: records of a length and its masked
// checksum, a message and its masked checksum. Owned by whoever tracks, on one thread. What is
// written is with the system when Write returns; after an error the file takes nothing more.
class EventFile final {
 public:
  // Makes a new file in a folder that is there. `name` tells it from others of the same second.
  static Result<std::unique_ptr<EventFile>> Make(const std::string& folder, const std::string& name,
                                                 double unix_seconds);

  Result<> Write(double unix_seconds, uint64_t step,
                 const std::vector<std::pair<std::string, double>>& values);

  const std::string& path() const { return path_; }

 private:
  explicit EventFile(std::string path)
      : path_(std::move(path)), file_(path_, std::ios::binary | std::ios::trunc) {}

  Result<> Append(std::string_view event);

  std::string path_;
  std::ofstream file_;
};

}  // namespace shardmill
