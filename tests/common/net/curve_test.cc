// Strangers at a socket that asks for keys, in the ways of libzmq's own tests and some more. What
// none of them may do is reach a handler: the inbox of who listens stays empty.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "common/identity.h"
#include "common/net/zmq_transport.h"
#include "common/rng.h"
#include "tests/common/net/keyed.h"

namespace shardmill {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using Why = Stranger::Why;

constexpr int kHandshakeMs = 300;
constexpr uint64_t kSeed = 4711;

std::vector<Frame> Text(const std::string& text) {
  return {Frame::CopyOf(std::as_bytes(std::span(text.data(), text.size())))};
}

zmq::const_buffer BufferOf(const Key& key) { return zmq::buffer(key.data(), key.size()); }

// A shard's or coordinator's side, and those who come to it.
class CurveTest : public testing::Test {
 protected:
  CurveTest() {
    endpoint_ = server_.Bind("tcp://127.0.0.1:*").value();
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address_.sin_port =
        htons(static_cast<uint16_t>(std::stoi(endpoint_.substr(endpoint_.rfind(':') + 1))));
  }

  void Turn() { ASSERT_TRUE(server_.Poll(milliseconds(5), inbox_).ok()); }
  bool Await(const std::function<bool()>& holds) {
    const auto deadline = Clock::now() + std::chrono::seconds(10);
    while (!holds() && Clock::now() < deadline) Turn();
    return holds();
  }

  // Somebody with a bare ZeroMQ socket, who asks. Returns what the server's side says of it.
  std::vector<Stranger> Knock(const std::function<void(zmq::socket_t&)>& prepare) {
    zmq::context_t context(1);
    zmq::socket_t socket(context, zmq::socket_type::dealer);
    socket.set(zmq::sockopt::linger, 0);
    prepare(socket);
    socket.connect(endpoint_);
    socket.send(zmq::str_buffer("let me in"), zmq::send_flags::dontwait);
    return AwaitRefusal();
  }
  std::vector<Stranger> AwaitRefusal(size_t before = 0) {
    EXPECT_TRUE(Await([&] { return book_.strangers().size() > before; })) << "nobody was refused";
    EXPECT_TRUE(inbox_.empty());
    return book_.strangers();
  }

  // Somebody with a socket of the kernel's.
  int Connect() {
    const int file = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(connect(file, reinterpret_cast<const sockaddr*>(&address_), sizeof(address_)), 0);
    return file;
  }
  std::vector<Stranger> Write(const std::string& bytes) {
    const int file = Connect();
    EXPECT_EQ(send(file, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    const std::vector<Stranger> strangers = AwaitRefusal();
    close(file);
    return strangers;
  }

  // A process of the job.
  struct Member {
    Member(const KeyFolder& folder, Role role, const std::string& endpoint,
           std::optional<WorkerId> rank = {})
        : ring(folder.Open(role, rank)),
          context(1, {}, ring.get()),
          transport(context, {.linger_ms = 0}),
          peer(transport.Connect(endpoint).value()) {}

    std::unique_ptr<KeyRing> ring;
    ZmqContext context;
    ZmqTransport transport;
    PeerId peer;
    Inbox inbox;
  };

  // What a member says arrives, and who said it. Empties the inbox.
  Identity Hear(Member& member, const std::string& words) {
    EXPECT_EQ(member.transport.Send(member.peer, Text(words)), Sent::kSent);
    EXPECT_TRUE(Await([&] {
      EXPECT_TRUE(member.transport.Poll(milliseconds(1), member.inbox).ok());
      return !inbox_.empty();
    }));
    if (inbox_.empty() || inbox_[0].identity == nullptr) return {};
    Identity who = *inbox_[0].identity;
    caller_ = inbox_[0].peer;
    inbox_.Clear();
    return who;
  }

  KeyFolder folder_;
  RefusalBook book_;
  std::unique_ptr<KeyRing> ring_ = folder_.Open(Role::kCoordinator);
  ZmqContext context_{1, {}, ring_.get(), &book_};
  ZmqTransport server_{context_, {.linger_ms = 0, .handshake_ms = kHandshakeMs}};
  Inbox inbox_;
  std::string endpoint_;
  sockaddr_in address_{};
  PeerId caller_;
};

TEST_F(CurveTest, LetsInWhoHasAKeyAndSaysWhoItIs) {
  folder_.Add(Role::kWorker, WorkerId{3});
  Member any(folder_, Role::kWorker, endpoint_, WorkerId{0});
  Member bound(folder_, Role::kWorker, endpoint_, WorkerId{3});
  Member server(folder_, Role::kServer, endpoint_);
  EXPECT_EQ(Hear(server, "one").role, Role::kServer);
  const Identity three = Hear(bound, "two");
  EXPECT_EQ(three.role, Role::kWorker);
  EXPECT_EQ(three.rank, WorkerId{3});
  const Identity other = Hear(any, "three");
  EXPECT_EQ(other.role, Role::kWorker);
  EXPECT_FALSE(other.rank.has_value());
  EXPECT_EQ(server_.Send(caller_, Text("welcome")), Sent::kSent);
  ASSERT_TRUE(Await([&] {
    EXPECT_TRUE(any.transport.Poll(milliseconds(1), any.inbox).ok());
    return !any.inbox.empty();
  }));
  // The other side has proved who it is, too.
  ASSERT_NE(any.inbox[0].identity, nullptr);
  EXPECT_EQ(any.inbox[0].identity->role, Role::kCoordinator);
  EXPECT_TRUE(book_.strangers().empty());
}

TEST_F(CurveTest, RefusesWhoHasNoKeys) {
  const auto strangers = Knock([](zmq::socket_t&) {});
  EXPECT_EQ(strangers[0].why, Why::kHandshake);
  EXPECT_NE(strangers[0].words.find("no keys"), std::string::npos) << strangers[0].words;
}

TEST_F(CurveTest, RefusesAPassword) {
  const auto strangers = Knock([](zmq::socket_t& socket) {
    socket.set(zmq::sockopt::plain_username, "admin");
    socket.set(zmq::sockopt::plain_password, "password");
  });
  EXPECT_EQ(strangers[0].why, Why::kHandshake);
  EXPECT_NE(strangers[0].words.find("no keys"), std::string::npos) << strangers[0].words;
}

TEST_F(CurveTest, RefusesWhoTakesItForAnother) {
  const KeyPair worker = folder_.Add(Role::kWorker, WorkerId{1});
  const auto strangers = Knock([&](zmq::socket_t& socket) {
    socket.set(zmq::sockopt::curve_serverkey, BufferOf(MakeKeyPair().certificate.key));
    socket.set(zmq::sockopt::curve_publickey, BufferOf(worker.certificate.key));
    socket.set(zmq::sockopt::curve_secretkey, BufferOf(worker.secret));
  });
  EXPECT_EQ(strangers[0].why, Why::kHandshake);
  EXPECT_NE(strangers[0].words.find("wrong key"), std::string::npos) << strangers[0].words;
}

TEST_F(CurveTest, RefusesAPublicKeyWithAnothersSecret) {
  const KeyPair worker = folder_.Add(Role::kWorker, WorkerId{1});
  const auto strangers = Knock([&](zmq::socket_t& socket) {
    socket.set(zmq::sockopt::curve_serverkey, BufferOf(ring_->own().certificate.key));
    socket.set(zmq::sockopt::curve_publickey, BufferOf(worker.certificate.key));
    socket.set(zmq::sockopt::curve_secretkey, BufferOf(MakeKeyPair().secret));
  });
  EXPECT_EQ(strangers[0].why, Why::kHandshake);
}

TEST_F(CurveTest, RefusesGarbageAsAPublicKey) {
  const KeyPair worker = folder_.Add(Role::kWorker, WorkerId{1});
  const auto strangers = Knock([&](zmq::socket_t& socket) {
    socket.set(zmq::sockopt::curve_serverkey, BufferOf(ring_->own().certificate.key));
    socket.set(zmq::sockopt::curve_publickey,
               std::string("0000000000000000000000000000000000000000"));
    socket.set(zmq::sockopt::curve_secretkey, BufferOf(worker.secret));
  });
  EXPECT_EQ(strangers[0].why, Why::kHandshake);
}

TEST_F(CurveTest, RefusesAKeyThatIsNotOnTheListAndNamesIt) {
  const KeyPair stranger = MakeKeyPair();
  const auto strangers = Knock([&](zmq::socket_t& socket) {
    socket.set(zmq::sockopt::curve_serverkey, BufferOf(ring_->own().certificate.key));
    socket.set(zmq::sockopt::curve_publickey, BufferOf(stranger.certificate.key));
    socket.set(zmq::sockopt::curve_secretkey, BufferOf(stranger.secret));
  });
  EXPECT_EQ(strangers[0].why, Why::kKey);
  EXPECT_EQ(strangers[0].from, "127.0.0.1");
  EXPECT_NE(strangers[0].words.find(HexadecimalOf(stranger.certificate.key)), std::string::npos);
}

TEST_F(CurveTest, RefusesBytesThatAreNoHandshake) {
  Rng rng(kSeed);
  std::string noise(512, '\0');
  for (char& c : noise) c = static_cast<char>(rng.Below(256));
  EXPECT_EQ(Write(noise)[0].why, Why::kHandshake);
}

TEST_F(CurveTest, RefusesAWebBrowser) {
  EXPECT_EQ(Write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")[0].why, Why::kHandshake);
}

TEST_F(CurveTest, RefusesAnOldVersionThatHasNoKeys) {
  // ZMTP 1.0: an anonymous peer's first frame. 2.0: a greeting without a mechanism.
  Write(std::string("\x01\x00\x06hello", 8));
  const int file = Connect();
  const std::string two("\xff\0\0\0\0\0\0\0\1\x7f\1\5\0\0", 14);
  EXPECT_GT(send(file, two.data(), two.size(), MSG_NOSIGNAL), 0);
  AwaitRefusal(1);
  close(file);
}

TEST_F(CurveTest, RefusesAGreetingOfTheNullMechanism) {
  std::string greeting("\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL", 16);
  greeting.resize(64, '\0');
  EXPECT_EQ(Write(greeting)[0].why, Why::kHandshake);
}

TEST_F(CurveTest, RefusesAHelloThatIsTooLong) {
  std::string greeting("\xff\0\0\0\0\0\0\0\1\x7f\3\0CURVE", 17);
  greeting.resize(64, '\0');
  // A long command frame that says that 2^62 bytes follow.
  greeting += std::string("\x06\x40\0\0\0\0\0\0\0", 9) + "\x05HELLO";
  EXPECT_EQ(Write(greeting)[0].why, Why::kHandshake);
}

TEST_F(CurveTest, DoesNotWaitLongForWhoSaysNothing) {
  const int file = Connect();
  const auto begin = Clock::now();
  const auto strangers = AwaitRefusal();
  EXPECT_EQ(strangers[0].why, Why::kHandshake);
  EXPECT_GE(Clock::now() - begin, milliseconds(kHandshakeMs) / 2);
  EXPECT_TRUE(strangers[0].from.starts_with("127.0.0.1:")) << strangers[0].from;
  char byte = 0;
  while (recv(file, &byte, 1, 0) > 0) {  // The greeting, and then the end.
  }
  close(file);
}

TEST_F(CurveTest, CutsOffAKeyThatIsTakenBack) {
  Member worker(folder_, Role::kWorker, endpoint_, WorkerId{0});
  Hear(worker, "one");
  folder_.Revoke("worker");
  const Key key = worker.ring->own().certificate.key;
  ASSERT_TRUE(Await([&] { return ring_->allowed()->Find(key) == nullptr; }));
  ASSERT_EQ(worker.transport.Send(worker.peer, Text("two")), Sent::kSent);
  const auto strangers = AwaitRefusal();
  EXPECT_EQ(strangers[0].why, Why::kRevoked);
  EXPECT_EQ(server_.Send(caller_, Text("a secret")), Sent::kUnknown);
  // It tries again, and is not let in.
  ASSERT_TRUE(Await([&] {
    EXPECT_TRUE(worker.transport.Poll(milliseconds(1), worker.inbox).ok());
    return worker.transport.Trouble(worker.peer).find("does not let") != std::string::npos;
  })) << worker.transport.Trouble(worker.peer);
  EXPECT_TRUE(worker.inbox.empty());
  EXPECT_EQ(book_.strangers().back().why, Why::kKey);
  EXPECT_TRUE(inbox_.empty());
}

TEST_F(CurveTest, LetsInAKeyThatComesOntoTheListLater) {
  const KeyPair late = folder_.Add(Role::kWorker, WorkerId{5});
  const std::string certificate = folder_.path() + "/public/worker-5.pub";
  std::filesystem::rename(certificate, folder_.path() + "/worker-5.pub");
  Member worker(folder_, Role::kWorker, endpoint_, WorkerId{5});
  EXPECT_EQ(worker.ring->own().certificate.key, late.certificate.key);
  EXPECT_EQ(worker.transport.Send(worker.peer, Text("knock")), Sent::kSent);
  AwaitRefusal();
  std::filesystem::rename(folder_.path() + "/worker-5.pub", certificate);
  ASSERT_TRUE(Await([&] {
    EXPECT_TRUE(worker.transport.Poll(milliseconds(1), worker.inbox).ok());
    return worker.transport.Trouble(worker.peer).empty();
  })) << worker.transport.Trouble(worker.peer);
  EXPECT_EQ(Hear(worker, "again").rank, WorkerId{5});
}

TEST_F(CurveTest, LetsNobodyInWhileTheListCannotBeRead) {
  Member before(folder_, Role::kWorker, endpoint_, WorkerId{0});
  Hear(before, "one");
  Member after(folder_, Role::kServer, endpoint_);
  std::filesystem::rename(folder_.path() + "/public", folder_.path() + "/gone");
  ASSERT_TRUE(Await([&] { return !book_.troubles().empty(); }));
  zmq::context_t context(1);
  const auto strangers = Knock([&](zmq::socket_t& socket) {
    const KeyPair& own = after.ring->own();
    socket.set(zmq::sockopt::curve_serverkey, BufferOf(ring_->own().certificate.key));
    socket.set(zmq::sockopt::curve_publickey, BufferOf(own.certificate.key));
    socket.set(zmq::sockopt::curve_secretkey, BufferOf(own.secret));
  });
  EXPECT_NE(strangers[0].words.find("cannot be read"), std::string::npos);
  // Who is in stays in.
  EXPECT_EQ(Hear(before, "two").role, Role::kWorker);
}

TEST_F(CurveTest, TakesWhoseNameACallerBorrowsForWhoItIs) {
  // Routing ids are the callers' to choose; keys are not.
  const KeyPair one = folder_.Add(Role::kWorker, WorkerId{1});
  const KeyPair two = folder_.Add(Role::kWorker, WorkerId{2});
  std::vector<Identity> heard;
  std::vector<PeerId> peers;
  for (const KeyPair* pair : {&one, &two}) {
    zmq::context_t context(1);
    zmq::socket_t socket(context, zmq::socket_type::dealer);
    socket.set(zmq::sockopt::linger, 1000);
    socket.set(zmq::sockopt::routing_id, "same");
    socket.set(zmq::sockopt::curve_serverkey, BufferOf(ring_->own().certificate.key));
    socket.set(zmq::sockopt::curve_publickey, BufferOf(pair->certificate.key));
    socket.set(zmq::sockopt::curve_secretkey, BufferOf(pair->secret));
    socket.connect(endpoint_);
    socket.send(zmq::str_buffer("hello"), zmq::send_flags::none);
    ASSERT_TRUE(Await([&] { return !inbox_.empty(); }));
    heard.push_back(*inbox_[0].identity);
    peers.push_back(inbox_[0].peer);
    inbox_.Clear();
  }
  EXPECT_EQ(heard[0].rank, WorkerId{1});
  EXPECT_EQ(heard[1].rank, WorkerId{2});
  EXPECT_NE(peers[0], peers[1]);
}

TEST_F(CurveTest, ConnectsOnlyToServersOnTheList) {
  Member worker(folder_, Role::kWorker, endpoint_, WorkerId{0});
  const auto to = [&](const Key& key) {
    return worker.transport.Connect("tcp://127.0.0.1:1;key=" + HexadecimalOf(key));
  };
  EXPECT_FALSE(to(MakeKeyPair().certificate.key).ok());
  EXPECT_FALSE(to(worker.ring->own().certificate.key).ok());
  EXPECT_TRUE(to(folder_.Open(Role::kServer)->own().certificate.key).ok());
}

}  // namespace
}  // namespace shardmill
