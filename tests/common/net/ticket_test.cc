// Shared memory between processes that have keys.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/identity.h"
#include "common/net/endpoint.h"
#include "common/net/local_socket.h"
#include "common/net/peer_transport.h"
#include "tests/common/net/keyed.h"

namespace shardmill {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

std::vector<Frame> Text(const std::string& text) {
  return {Frame::CopyOf(std::as_bytes(std::span(text.data(), text.size())))};
}

class TicketTest : public testing::Test {
 protected:
  struct Agent {
    Agent(const KeyFolder& folder, Role role, std::optional<WorkerId> rank, GateObserver* observer)
        : ring(folder.Open(role, rank)), context(1, {}, ring.get(), observer) {}

    std::unique_ptr<KeyRing> ring;
    ZmqContext context;
    FramePool pool{FramePool::Memory::kShared};
    PeerTransport transport{context, pool, {}};
    Inbox inbox;
  };

  bool Await(const std::function<bool()>& holds) {
    const auto deadline = Clock::now() + std::chrono::seconds(10);
    while (!holds() && Clock::now() < deadline) {
      EXPECT_TRUE(server_.transport.Poll(milliseconds(1), server_.inbox).ok());
      EXPECT_TRUE(client_.transport.Poll(milliseconds(1), client_.inbox).ok());
    }
    return holds();
  }
  bool Meet() {
    endpoint_ = server_.transport.Bind("tcp://127.0.0.1:*").value();
    to_server_ = client_.transport.Connect(endpoint_).value();
    return Await([this] {
      return client_.transport.reach().shared_memory == 1 &&
             server_.transport.reach().shared_memory == 1;
    });
  }

  KeyFolder folder_;
  RefusalBook book_;
  Agent server_{folder_, Role::kServer, std::nullopt, &book_};
  KeyPair bound_ = folder_.Add(Role::kWorker, WorkerId{2});
  Agent client_{folder_, Role::kWorker, WorkerId{2}, nullptr};
  std::string endpoint_;
  PeerId to_server_;
};

TEST_F(TicketTest, MemoryIsSharedWithWhoAskedForATicketUnderItsName) {
  ASSERT_TRUE(Meet());
  EXPECT_TRUE(server_.inbox.empty());
  EXPECT_TRUE(client_.inbox.empty());
  EXPECT_EQ(server_.transport.reach().tcp, 0U) << "the ticket's way is none of messages";
  EXPECT_EQ(client_.transport.reach().tcp, 0U);
  ASSERT_EQ(client_.transport.Send(to_server_, Text("through memory")), Sent::kSent);
  ASSERT_TRUE(Await([this] { return !server_.inbox.empty(); }));
  ASSERT_NE(server_.inbox[0].identity, nullptr);
  EXPECT_EQ(server_.inbox[0].identity->rank, WorkerId{2});
  ASSERT_EQ(server_.transport.Send(server_.inbox[0].peer, Text("back")), Sent::kSent);
  ASSERT_TRUE(Await([this] { return !client_.inbox.empty(); }));
  ASSERT_NE(client_.inbox[0].identity, nullptr);
  EXPECT_EQ(client_.inbox[0].identity->role, Role::kServer);
  EXPECT_EQ(client_.inbox[0].peer, to_server_);
  EXPECT_TRUE(book_.strangers().empty());
}

TEST_F(TicketTest, WhoHasNoTicketGetsNoMemory) {
  ASSERT_TRUE(Meet());
  // The socket's name is for everybody on the host to see.
  const std::string token = Endpoint::Parse(endpoint_).local;
  ASSERT_FALSE(token.empty());
  FramePool pool(FramePool::Memory::kShared);
  const auto without = ShmLink::Connect(token, pool, {});
  const auto guessed = ShmLink::Connect(token, pool, {}, LocalTicket{1, 2});
  for (const auto* link : {&without, &guessed}) {
    ASSERT_NE(*link, nullptr);
    EXPECT_EQ((*link)->Send(Text("let me in")), Sent::kSent);
  }
  ASSERT_TRUE(Await([this] { return book_.strangers().size() == 2; }));
  for (const Stranger& stranger : book_.strangers()) EXPECT_EQ(stranger.why, Stranger::Why::kLocal);
  EXPECT_EQ(server_.transport.reach().shared_memory, 1U);
  EXPECT_TRUE(server_.inbox.empty());
}

TEST_F(TicketTest, WhoSaysNothingAtTheLocalSocketIsNotWaitedFor) {
  ASSERT_TRUE(Meet());
  const FileDescriptor silent = ConnectLocal(Endpoint::Parse(endpoint_).local);
  ASSERT_TRUE(silent.valid());
  ASSERT_TRUE(Await([this] { return !book_.strangers().empty(); }));
  EXPECT_EQ(server_.transport.reach().shared_memory, 1U);
}

TEST_F(TicketTest, ALinkEndsWhenItsKeyIsTakenBack) {
  ASSERT_TRUE(Meet());
  folder_.Revoke("worker-2");
  ASSERT_TRUE(
      Await([this] { return server_.ring->allowed()->Find(bound_.certificate.key) == nullptr; }));
  client_.transport.Send(to_server_, Text("still here"));
  ASSERT_TRUE(Await([this] { return !book_.strangers().empty(); }));
  EXPECT_EQ(book_.strangers()[0].why, Stranger::Why::kRevoked);
  EXPECT_TRUE(server_.inbox.empty());
  EXPECT_EQ(server_.transport.reach().shared_memory, 0U);
}

}  // namespace
}  // namespace shardmill
