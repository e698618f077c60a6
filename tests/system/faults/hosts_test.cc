#include "tests/system/faults/hosts.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "common/process/child.h"

namespace shardmill::chaos {
namespace {

constexpr uint16_t kPort = 7000;

// A TCP socket of a host: whoever makes one stands in its namespace.
FileDescriptor SocketOn(const Hosts& hosts, size_t host) {
  const std::string word = hosts.Inside(host)[1];  // --net=PATH
  FileDescriptor made;
  std::thread([&] {
    const FileDescriptor network(open(word.substr(word.find('=') + 1).c_str(), O_RDONLY));
    ASSERT_EQ(setns(network.get(), CLONE_NEWNET), 0);
    made = FileDescriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  }).join();
  return made;
}

sockaddr_in AddressOf(const Hosts& hosts, size_t host) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kPort);
  EXPECT_EQ(inet_pton(AF_INET, hosts.AddressOf(host).c_str(), &address.sin_addr), 1);
  return address;
}

struct Connection {
  FileDescriptor caller;
  FileDescriptor called;
};

Connection Connect(const Hosts& hosts, size_t from, size_t to) {
  const sockaddr_in address = AddressOf(hosts, to);
  const auto* at = reinterpret_cast<const sockaddr*>(&address);
  const FileDescriptor listener = SocketOn(hosts, to);
  EXPECT_EQ(bind(listener.get(), at, sizeof address), 0);
  EXPECT_EQ(listen(listener.get(), 1), 0);
  Connection made{SocketOn(hosts, from), {}};
  EXPECT_EQ(connect(made.caller.get(), at, sizeof address), 0) << errno;
  made.called = FileDescriptor(accept(listener.get(), nullptr, nullptr));
  return made;
}

bool ComesWithin(const FileDescriptor& socket, int milliseconds) {
  pollfd there{socket.get(), POLLIN, 0};
  return poll(&there, 1, milliseconds) == 1;
}

void Say(const FileDescriptor& socket) { EXPECT_EQ(send(socket.get(), "a", 1, 0), 1); }

// What finds a neighbour may be lost as well, again and again.
bool Hears(const FileDescriptor& socket) {
  char byte = 0;
  return ComesWithin(socket, 60'000) && recv(socket.get(), &byte, 1, 0) == 1;
}

// Run by the test below, in a network of its own.
TEST(InsideTest, DISABLED_FramesAreLostAsTold) {
  const std::unique_ptr<Hosts> hosts = Hosts::Make(testing::TempDir() + "/hosts.out").value();
  const size_t one = hosts->Add().value();
  const size_t other = hosts->Add().value();
  const Connection between = Connect(*hosts, one, other);
  Say(between.caller);
  EXPECT_TRUE(Hears(between.called));

  // One way alone: the other's words come, and the answers to them do not.
  ASSERT_TRUE(hosts->Lose({{.from = one}}).ok());
  Say(between.caller);
  Say(between.called);
  EXPECT_TRUE(Hears(between.caller));
  EXPECT_FALSE(ComesWithin(between.called, 300));
  ASSERT_TRUE(hosts->Lose({}).ok());
  EXPECT_TRUE(Hears(between.called));

  ASSERT_TRUE(hosts->Lose({{.part = 0.2}}).ok());
  for (int i = 0; i < 20; ++i) {
    Say(between.caller);
    EXPECT_TRUE(Hears(between.called));
  }

  ASSERT_TRUE(hosts->Lose({}).ok());
  ASSERT_TRUE(hosts->Reset(one).ok());
  char byte = 0;
  EXPECT_TRUE(ComesWithin(between.called, 20'000));
  EXPECT_EQ(recv(between.called.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

// Neither end hears of it where a host is gone.
TEST(InsideTest, DISABLED_AHostThatIsRemovedTellsNobody) {
  const std::unique_ptr<Hosts> hosts = Hosts::Make(testing::TempDir() + "/hosts.out").value();
  const size_t one = hosts->Add().value();
  const size_t other = hosts->Add().value();
  Connection between = Connect(*hosts, one, other);
  ASSERT_TRUE(hosts->Lose({{.from = other}, {.to = other}}).ok());
  between.called.Close();
  ASSERT_TRUE(hosts->Remove(other).ok());
  ASSERT_TRUE(hosts->Lose({}).ok());
  Say(between.caller);
  EXPECT_FALSE(ComesWithin(between.caller, 300));
}

TEST(HostsTest, HoldInsideANetworkOfTheirOwn) {
  const std::string log = testing::TempDir() + "/inside.out";
  const std::string hindrance = Hosts::Hindrance(log);
  if (!hindrance.empty()) GTEST_SKIP() << hindrance;
  ChildOptions options;
  options.name = "the tests inside";
  options.argv = {"/usr/bin/env", "--unset=TEST_PREMATURE_EXIT_FILE", "--unset=XML_OUTPUT_FILE"};
  for (const std::string& word : Hosts::OwnNetwork()) options.argv.push_back(word);
  options.argv.push_back(std::filesystem::read_symlink("/proc/self/exe").string());
  options.argv.insert(options.argv.end(),
                      {"--gtest_filter=InsideTest.*", "--gtest_also_run_disabled_tests"});
  options.log_path = log;
  const std::unique_ptr<Child> child = Child::Spawn(options).value();
  const std::optional<ExitStatus> status = child->Wait(std::chrono::minutes(2));
  std::ifstream file(log);
  const std::string words((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(status, ExitStatus{}) << words;
  EXPECT_NE(words.find("2 tests"), std::string::npos) << words;
}

}  // namespace
}  // namespace shardmill::chaos
