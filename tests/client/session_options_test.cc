#include <gtest/gtest.h>

#include <string>

#include "client/session.h"

namespace shardmill {
namespace {

using std::chrono::milliseconds;

std::string WhyRefused(const SessionOptions& options) {
  const auto session = Session::Open(options);
  if (session.ok()) return "";
  EXPECT_EQ(session.error().code, ErrorCode::kBadUsage);
  return session.error().message;
}

TEST(SessionOptionsTest, RefusesWhatWouldOnlyEverWait) {
  EXPECT_EQ(WhyRefused({.unit_bytes = 6}), "SessionOptions::unit_bytes is no multiple of 4 bytes");
  EXPECT_EQ(WhyRefused({.unit_bytes = 8, .message_bytes = 4}),
            "SessionOptions::unit_bytes is more than message_bytes: no unit would be taken");
  EXPECT_EQ(WhyRefused({.io_threads = 0}),
            "SessionOptions::io_threads is less than 1: nothing would ever be sent");
}

TEST(SessionOptionsTest, RefusesWaitsThatAreNone) {
  for (const milliseconds wait : {milliseconds(0), milliseconds(-1), milliseconds::max()}) {
    EXPECT_NE(WhyRefused({.open_timeout = wait}).find("open_timeout is not"), std::string::npos);
    EXPECT_NE(WhyRefused({.lease = wait}).find("lease is not"), std::string::npos);
    EXPECT_NE(WhyRefused({.retry_after = wait}).find("retry_after is not"), std::string::npos);
  }
}

}  // namespace
}  // namespace shardmill
