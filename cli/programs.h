#pragma once

#include <string>

#include "common/result.h"

namespace shardmill {

// Where the daemons' programs are.
struct Programs {
  std::string coordinator;
  std::string server;
  std::string worker;
};

// Looks beside this program, where an installation puts them all in one folder, and in the folders
// of the rooms next to it, where the build leaves them. The error names the program that is not
// there.
Result<Programs> FindPrograms();
Result<Programs> FindProgramsFrom(const std::string& own_path);
// The same for any other program of a room.
Result<std::string> FindProgram(const std::string& room, const std::string& name);

}  // namespace shardmill
