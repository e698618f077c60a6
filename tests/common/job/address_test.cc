#include "common/job/address.h"

#include <gtest/gtest.h>

namespace shardmill {
namespace {

TEST(AddressTest, ReadsHostAndPortWithAndWithoutAScheme) {
  EXPECT_EQ(ParseAddress("127.0.0.1:7700"), (Address{"127.0.0.1", 7700}));
  EXPECT_EQ(ParseAddress("tcp://coordinator-0.job:1"), (Address{"coordinator-0.job", 1}));
  EXPECT_EQ(ParseAddress("[::1]:65535"), (Address{"[::1]", 65535}));
  EXPECT_EQ(ParseAddress("tcp://[::1]:80")->Endpoint(), "tcp://[::1]:80");
}

TEST(AddressTest, RefusesWhatIsNoAddress) {
  for (const char* text : {"", ":", "host", "host:", ":80", "host:0", "host:65536", "host:-1",
                           "host:80x", "ipc://x:80", "tcp://", "a b:80", "::1:80",
                           "tcp://tcp://a:1", "h\xc3\xb6st:80", "host:99999999999999999999"}) {
    EXPECT_FALSE(ParseAddress(text).has_value()) << text;
  }
  EXPECT_FALSE(ParseAddress(std::string(10'000, 'a') + ":80").has_value());
}

TEST(AddressTest, KnowsLoopback) {
  for (const char* host : {"localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"}) {
    EXPECT_TRUE(IsLoopback(host)) << host;
  }
  for (const char* host : {"", "0.0.0.0", "*", "10.0.0.1", "127.0.0.1.evil.org", "127.evil",
                           "127.0.0.", "localhost.org", "::", "128.0.0.1"}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
}

}  // namespace
}  // namespace shardmill
