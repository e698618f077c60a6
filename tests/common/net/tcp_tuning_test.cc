#include "common/net/tcp_tuning.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <string>

#include "common/process/file_descriptor.h"

namespace shardmill {
namespace {

std::string ControlOf(int file) {
  std::array<char, 16> name{};
  socklen_t size = name.size();
  EXPECT_EQ(getsockopt(file, IPPROTO_TCP, TCP_CONGESTION, name.data(), &size), 0);
  return name.data();
}

// Both ends of a connection over loopback.
struct Connection {
  Connection() {
    const FileDescriptor listener(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const name = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener.get(), name, size), 0);
    EXPECT_EQ(listen(listener.get(), 1), 0);
    EXPECT_EQ(getsockname(listener.get(), name, &size), 0);
    ours = FileDescriptor(socket(AF_INET, SOCK_STREAM, 0));
    EXPECT_EQ(connect(ours.get(), name, size), 0);
    theirs = FileDescriptor(accept(listener.get(), nullptr, nullptr));
  }

  FileDescriptor ours;
  FileDescriptor theirs;
};

TEST(TcpTuningTest, SetsTheNamedControlOfThisEndAlone) {
  const Connection connection;
  const std::string system = ControlOf(connection.theirs.get());
  SetCongestionControl(connection.ours.get(), {.congestion_control = "reno"});
  EXPECT_EQ(ControlOf(connection.ours.get()), "reno");
  EXPECT_EQ(ControlOf(connection.theirs.get()), system);
}

TEST(TcpTuningTest, LeavesTheSystemsOwn) {
  const Connection connection;
  const std::string system = ControlOf(connection.ours.get());
  SetCongestionControl(connection.ours.get(), {.congestion_control = "system"});
  EXPECT_EQ(ControlOf(connection.ours.get()), system);
}

TEST(TcpTuningTest, DoesNotPaceWithinAHostByItself) {
  const Connection connection;
  SetCongestionControl(connection.ours.get(),
                       {.congestion_control = "bbr"});  // Where there is one.
  SetCongestionControl(connection.ours.get(), {});
  const std::string control = ControlOf(connection.ours.get());
  EXPECT_TRUE(control == "cubic" || control == "reno") << control;
}

TEST(TcpTuningTest, LeavesWhatIsNoConnectionAlone) {
  const FileDescriptor socket_alone(socket(AF_INET, SOCK_STREAM, 0));
  const std::string system = ControlOf(socket_alone.get());
  SetCongestionControl(socket_alone.get(), {});
  EXPECT_EQ(ControlOf(socket_alone.get()), system);
  SetCongestionControl(-1, {.congestion_control = "reno"});
}

TEST(TcpTuningTest, NamesAControlThatTheKernelDoesNotHave) {
  EXPECT_TRUE(CheckTuning({}).ok());
  EXPECT_TRUE(CheckTuning({.congestion_control = "reno"}).ok());
  const Result<> checked = CheckTuning({.congestion_control = "nosuch"});
  ASSERT_FALSE(checked.ok());
  EXPECT_EQ(checked.error().code, ErrorCode::kBadUsage);
  EXPECT_NE(checked.error().message.find("nosuch"), std::string::npos);
  EXPECT_NE(checked.error().message.find("reno"), std::string::npos);
}

}  // namespace
}  // namespace shardmill
