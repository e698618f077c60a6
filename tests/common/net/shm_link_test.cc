#include "common/net/shm_link.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/fresh_id.h"
#include "common/net/local_socket.h"
#include "common/rng.h"
#include "tests/common/net/taken.h"

namespace shardmill {
namespace {

constexpr PeerId kPeer{5};
constexpr uint64_t kMiB = uint64_t{1} << 20;

Frame RandomFrame(Rng& rng, size_t bytes) {
  Buffer buffer = Buffer::OfBytes(bytes);
  for (std::byte& byte : buffer.bytes()) byte = static_cast<std::byte>(rng.Next());
  return std::move(buffer).Close();
}

bool SameBytes(const Frame& a, const Frame& b) { return std::ranges::equal(a.bytes(), b.bytes()); }

bool Readable(int file) {
  pollfd polled{file, POLLIN, 0};
  return poll(&polled, 1, 0) == 1;
}

std::vector<Taken> ReceiveAll(ShmLink& link) {
  Inbox inbox;
  while (link.Ready()) link.Receive(kPeer, inbox);
  return TakeAll(inbox);
}

// Two ends of a link, as two processes would have them.
class ShmLinkTest : public testing::Test {
 protected:
  void Meet(const ShmLinkOptions& options = {}) {
    client_ = ShmLink::Connect(token_, client_pool_, options);
    ASSERT_NE(client_, nullptr);
    server_ = Accept(options);
    ASSERT_TRUE(server_ && !server_->ended());
  }

  // Who has connected, greeted.
  std::unique_ptr<ShmLink> Accept(const ShmLinkOptions& options = {}) {
    FileDescriptor socket;
    if (AcceptLocal(listener_.get(), socket) != Passed::kDone) return nullptr;
    auto link = std::make_unique<ShmLink>(std::move(socket), server_pool_, options);
    link->HandleSocket();
    return link;
  }

  // A frame in the client's pool, and where its bytes can be written.
  std::pair<Frame, std::byte*> Lendable(size_t bytes) {
    Buffer buffer = client_pool_.OfBytes(bytes);
    std::byte* data = buffer.bytes().data();
    std::memset(data, 1, bytes);
    return {std::move(buffer).Close(), data};
  }

  const std::string token_ = "test-" + std::to_string(FreshId());
  FileDescriptor listener_ = ListenLocal(token_);
  FramePool client_pool_{FramePool::Memory::kShared};
  FramePool server_pool_{FramePool::Memory::kShared};
  std::unique_ptr<ShmLink> client_;
  std::unique_ptr<ShmLink> server_;
};

TEST_F(ShmLinkTest, CarriesFramesOfEverySizeBothWays) {
  Meet();
  Rng rng(1);
  for (int round = 0; round < 200; ++round) {
    ShmLink& from = round % 2 == 0 ? *client_ : *server_;
    ShmLink& to = round % 2 == 0 ? *server_ : *client_;
    FramePool& pool = round % 2 == 0 ? client_pool_ : server_pool_;
    std::vector<Frame> frames;
    for (uint64_t i = 1 + rng.Below(40); i > 0; --i) {
      const size_t bytes = rng.Below(uint64_t{1} << rng.Below(19));
      frames.push_back(RandomFrame(rng, bytes));
      if (rng.Below(2) == 0) frames.back() = pool.CopyOf(frames.back().bytes());
    }
    ASSERT_EQ(from.Send(frames), Sent::kSent);
    const auto received = ReceiveAll(to);
    ASSERT_EQ(received.size(), 1U);
    EXPECT_EQ(received[0].peer, kPeer);
    ASSERT_EQ(received[0].frames.size(), frames.size());
    for (size_t i = 0; i < frames.size(); ++i) {
      ASSERT_TRUE(SameBytes(received[0].frames[i], frames[i])) << round << " " << i;
    }
  }
}

TEST_F(ShmLinkTest, CarriesAsManyFramesAsAMessageMayHaveAndNoneOfMore) {
  Meet();
  const ShmLinkOptions options;
  Rng rng(2);
  const std::vector<Frame> most(options.frames_max, RandomFrame(rng, 1000));
  ASSERT_EQ(client_->Send(most), Sent::kSent);
  const auto received = ReceiveAll(*server_);
  ASSERT_EQ(received.size(), 1U);
  ASSERT_EQ(received[0].frames.size(), most.size());
  EXPECT_TRUE(std::ranges::all_of(received[0].frames,
                                  [&](const Frame& frame) { return SameBytes(frame, most[0]); }));
  const std::vector<Frame> over(options.frames_max + 1, most[0]);
  ASSERT_EQ(client_->Send(over), Sent::kSent);
  const auto none = ReceiveAll(*server_);
  ASSERT_EQ(none.size(), 1U);
  EXPECT_TRUE(none[0].frames.empty());
}

TEST_F(ShmLinkTest, LendsWhatLiesInThePoolAndCopiesTheHeader) {
  Meet();
  const auto [header, header_data] = Lendable(kMiB);
  const auto [body, body_data] = Lendable(kMiB);
  ASSERT_EQ(client_->Send(std::vector{header, body}), Sent::kSent);
  const auto received = ReceiveAll(*server_);
  ASSERT_EQ(received.size(), 1U);
  // One memory, seen through two mappings.
  header_data[17] = std::byte{2};
  body_data[17] = std::byte{2};
  EXPECT_EQ(received[0].frames[0].bytes()[17], std::byte{1});
  EXPECT_EQ(received[0].frames[1].bytes()[17], std::byte{2});
  EXPECT_NE(received[0].frames[1].bytes().data(), body.bytes().data());
}

TEST_F(ShmLinkTest, HoldsWhatItLendsUntilTheReaderHasDone) {
  Meet();
  const auto [body, data] = Lendable(kMiB);
  ASSERT_EQ(client_->Send(std::vector{Frame(), body.Slice(0, kMiB / 2), body.Slice(5, 2000)}),
            Sent::kSent);
  auto received = ReceiveAll(*server_);
  server_->Flush();
  EXPECT_TRUE(ReceiveAll(*client_).empty());
  EXPECT_FALSE(body.Unique());
  EXPECT_EQ(client_->lent_bytes(), kMiB / 2 + 2000);
  Frame kept = received[0].frames[1].Slice(1, 2);
  // On another thread, as the reader likes.
  std::thread([&received] { received.clear(); }).join();
  server_->Flush();
  EXPECT_TRUE(ReceiveAll(*client_).empty());
  EXPECT_EQ(client_->lent_bytes(), kMiB / 2);
  kept = Frame();
  server_->Flush();
  EXPECT_TRUE(ReceiveAll(*client_).empty());
  EXPECT_TRUE(body.Unique());
  EXPECT_EQ(client_->lent_bytes(), 0U);
}

TEST_F(ShmLinkTest, SaysFullWhereTheReaderIsSlowAndKeepsNoMore) {
  Meet({.lent_bytes_max = 8 * kMiB});
  const auto [body, data] = Lendable(kMiB);
  std::vector<Frame> message{Frame(), body};
  size_t sent = 0;
  while (sent < 1000 && client_->Send(message) == Sent::kSent) ++sent;
  EXPECT_EQ(sent, 8U);
  // Copies count as well.
  message[1] = Frame::CopyOf(body.bytes());
  const uint64_t before = client_pool_.mapped_bytes();
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(client_->Send(message), Sent::kFull);
  EXPECT_EQ(client_pool_.mapped_bytes(), before);
  EXPECT_EQ(ReceiveAll(*server_).size(), 8U);
  EXPECT_EQ(client_->Send(message), Sent::kFull) << "nothing was given back yet";
  server_->Flush();
  EXPECT_TRUE(ReceiveAll(*client_).empty());
  EXPECT_EQ(client_->Send(message), Sent::kSent);
}

TEST_F(ShmLinkTest, HasRoomForOneMessageHoweverLarge) {
  Meet({.lent_bytes_max = kMiB});
  const auto [body, data] = Lendable(4 * kMiB);
  EXPECT_EQ(client_->Send(std::vector{Frame(), body}), Sent::kSent);
  EXPECT_EQ(client_->Send(std::vector{Frame(), body.Slice(0, 2000)}), Sent::kFull);
}

TEST_F(ShmLinkTest, SaysFullWhereTheRingIsAndLosesNothing) {
  Meet();
  uint64_t sent = 0;
  const auto message = [](uint64_t number) {
    return std::vector{Frame::CopyOf(std::as_bytes(std::span(&number, 1)))};
  };
  while (client_->Send(message(sent)) == Sent::kSent) ++sent;
  EXPECT_GT(sent, 10'000U);
  const auto received = ReceiveAll(*server_);
  ASSERT_EQ(received.size(), sent);
  for (uint64_t i = 0; i < sent; ++i) ASSERT_TRUE(SameBytes(received[i].frames[0], message(i)[0]));
  EXPECT_EQ(client_->Send(message(0)), Sent::kSent);
}

TEST_F(ShmLinkTest, LosesNoReturnWhereTheRingIsFull) {
  Meet();
  const auto [body, data] = Lendable(kMiB);
  for (int i = 0; i < 5000; ++i) {
    ASSERT_EQ(client_->Send(std::vector{Frame(), body.Slice(i, 1100)}), Sent::kSent);
  }
  auto received = ReceiveAll(*server_);
  const std::vector<Frame> filler{Frame::CopyOf(body.bytes().first(1000))};
  while (server_->Send(filler) == Sent::kSent) {
  }
  received.clear();
  server_->Flush();
  EXPECT_FALSE(body.Unique());
  EXPECT_GT(ReceiveAll(*client_).size(), 900U);
  server_->Flush();
  EXPECT_TRUE(ReceiveAll(*client_).empty());
  EXPECT_TRUE(body.Unique());
}

TEST_F(ShmLinkTest, SpendsNoMemoryOnceItIsWarm) {
  Meet();
  const auto [body, data] = Lendable(kMiB);
  const Frame small = Frame::CopyOf(body.bytes().first(200));
  uint64_t mapped = 0;
  for (int i = 0; i < 2000; ++i) {
    ASSERT_EQ(client_->Send(std::vector{small, body, small}), Sent::kSent);
    ASSERT_EQ(ReceiveAll(*server_).size(), 1U);
    server_->Flush();
    ReceiveAll(*client_);
    const uint64_t now = client_pool_.mapped_bytes() + server_pool_.mapped_bytes();
    if (i == 10) mapped = now;
    if (i > 10) {
      ASSERT_EQ(now, mapped);
    }
  }
}

TEST_F(ShmLinkTest, WakesWhoSleepsAndNobodyElse) {
  Meet();
  ASSERT_FALSE(Readable(server_->file()));
  ASSERT_EQ(client_->Send(std::vector{Frame()}), Sent::kSent);
  EXPECT_FALSE(Readable(server_->file())) << "it was awake";
  EXPECT_FALSE(server_->FallAsleep()) << "there is a message";
  ReceiveAll(*server_);
  ASSERT_TRUE(server_->FallAsleep());
  EXPECT_FALSE(Readable(server_->file()));
  ASSERT_EQ(client_->Send(std::vector{Frame()}), Sent::kSent);
  ASSERT_TRUE(Readable(server_->file()));
  server_->WakeUp();
  server_->HandleSocket();
  EXPECT_FALSE(server_->ended());
  EXPECT_EQ(ReceiveAll(*server_).size(), 1U);
}

TEST_F(ShmLinkTest, WakesWhoWaitsForRoomWhenLoansComeBack) {
  Meet({.lent_bytes_max = kMiB});
  const auto [body, data] = Lendable(kMiB);
  const std::vector<Frame> message{Frame(), body};
  ASSERT_EQ(client_->Send(message), Sent::kSent);
  ReceiveAll(*server_);
  ASSERT_EQ(client_->Send(message), Sent::kFull);
  ASSERT_TRUE(client_->FallAsleep());
  server_->Flush();
  EXPECT_TRUE(Readable(client_->file()));
}

TEST_F(ShmLinkTest, LetsGoOfWhatWasLentToAReaderThatWasKilled) {
  const pid_t child = fork();
  if (child == 0) {
    FramePool pool(FramePool::Memory::kShared);
    const auto link = ShmLink::Connect(token_, pool, {});
    Inbox inbox;
    while (link && inbox.empty()) link->Receive(kPeer, inbox);
    if (link) link->Send(inbox[0].frames);
    while (true) pause();
  }
  pollfd listener{listener_.get(), POLLIN, 0};
  ASSERT_EQ(poll(&listener, 1, 10'000), 1);
  server_ = Accept();
  ASSERT_NE(server_, nullptr);
  while (server_->Send(std::vector{Frame()}) == Sent::kUnknown) server_->HandleSocket();
  const Frame body = server_pool_.CopyOf(std::vector<std::byte>(kMiB));
  ASSERT_EQ(server_->Send(std::vector{Frame(), body}), Sent::kSent);
  while (!server_->Ready()) std::this_thread::yield();
  EXPECT_FALSE(body.Unique());
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  server_->HandleSocket();
  EXPECT_TRUE(server_->ended());
  EXPECT_EQ(server_->Send(std::vector{body}), Sent::kUnknown);
  server_.reset();
  EXPECT_TRUE(body.Unique());
}

TEST_F(ShmLinkTest, KeepsWhatCameAfterTheLinkHasGone) {
  Meet();
  const auto [body, data] = Lendable(kMiB);
  ASSERT_EQ(client_->Send(std::vector{Frame(), body}), Sent::kSent);
  auto received = ReceiveAll(*server_);
  server_.reset();
  client_->HandleSocket();
  EXPECT_FALSE(client_->ended()) << "its memory is still read";
  EXPECT_TRUE(SameBytes(received[0].frames[1], body));
  received.clear();
  client_->HandleSocket();
  EXPECT_TRUE(client_->ended());
}

TEST_F(ShmLinkTest, LeavesOnceTheReaderHasDone) {
  Meet();
  const auto [body, data] = Lendable(kMiB);
  ASSERT_EQ(client_->Send(std::vector{Frame(), body}), Sent::kSent);
  auto received = ReceiveAll(*server_);
  client_->Leave();
  EXPECT_EQ(client_->Send(std::vector{body}), Sent::kUnknown);
  server_->HandleSocket();
  EXPECT_TRUE(server_->ended());
  server_.reset();
  client_->HandleSocket();
  EXPECT_FALSE(client_->ended());
  EXPECT_FALSE(body.Unique());
  received.clear();
  client_->HandleSocket();
  EXPECT_TRUE(client_->ended());
}

// How often memory that pools share is mapped into this process.
size_t SharedMappings() {
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    count += line.find("/memfd:shardmill (") != std::string::npos ? 1 : 0;
  }
  return count;
}

TEST_F(ShmLinkTest, UnmapsMuchThatWasLentToItOnceItHasGone) {
  Meet();
  {
    const Frame large = Lendable(32 * kMiB).first;
    ASSERT_EQ(client_->Send(std::vector{large}), Sent::kSent);
    ASSERT_EQ(ReceiveAll(*server_).size(), 1U);
  }
  const size_t own = SharedMappings() - 1;
  server_.reset();
  // By a thread of its own; what is left is the client's.
  for (int i = 0; i < 1000 && SharedMappings() > own; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(SharedMappings(), own);
}

TEST_F(ShmLinkTest, ConnectsToNobodyUnderATokenThatNobodyHas) {
  EXPECT_EQ(ShmLink::Connect("none-" + token_, client_pool_, {}), nullptr);
  EXPECT_EQ(ShmLink::Connect(std::string(200, 'x'), client_pool_, {}), nullptr);
}

}  // namespace
}  // namespace shardmill
