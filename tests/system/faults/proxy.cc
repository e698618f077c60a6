// A proxy between processes that speak ZeroMQ, to see what they do when messages are lost, doubled,
// late and out of order:
//   bazel run //tests/system/faults:proxy -- --to 127.0.0.1:7700 [--drop P] [--double P] [--delay
//   P]
//       [--delay-max MS] [--seed S]
// Says at which address it is, and runs until a signal ends it. Given to servers and workers as the
// coordinator's address, it is between all of them.

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "tests/system/faults/message_proxy.h"

int main(int argc, char** argv) {
  std::map<std::string, std::string> flags = {{"--to", ""},          {"--drop", "0"},
                                              {"--double", "0"},     {"--delay", "0"},
                                              {"--delay-max", "20"}, {"--seed", "1"}};
  for (int i = 1; i < argc; i += 2) {
    const auto flag = flags.find(argv[i]);
    if (flag == flags.end() || i + 1 == argc) {
      std::fprintf(stderr,
                   "usage: proxy --to HOST:PORT [--drop P] [--double P] [--delay P] "
                   "[--delay-max MS] [--seed S]\n");
      return 2;
    }
    flag->second = argv[i + 1];
  }
  const auto number = [&flags](const char* name) {
    return std::strtod(flags.at(name).c_str(), nullptr);
  };
  shardmill::chaos::MessageProxy proxy(std::strtoull(flags["--seed"].c_str(), nullptr, 10));
  const shardmill::chaos::Weather weather{
      .dropped = number("--drop"),
      .doubled = number("--double"),
      .delayed = number("--delay"),
      .delay_max = std::chrono::milliseconds(static_cast<int64_t>(number("--delay-max")))};
  proxy.Set([weather](const shardmill::chaos::Route&) { return weather; });
  const shardmill::Result<std::string> address = proxy.Open(flags["--to"], true);
  if (!address.ok()) {
    std::fprintf(stderr, "%s\n", address.error().message.c_str());
    return 1;
  }
  std::printf("%s\n", address.value().c_str());
  std::fflush(stdout);
  pause();
  return 0;
}
