// Sockets, addresses and both threads against a real kernel, in network namespaces of their own.

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "control/kernel/editor.h"
#include "control/kernel/input_filter.h"
#include "control/kernel/interfaces.h"
#include "control/vrrp/advert_socket.h"
#include "control/vrrp/hands.h"
#include "control/vrrp/speaker.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/kernel/netns.h"

namespace torii::control::vrrp {
namespace {

namespace pure = torii::vrrp;
using kernel::testing::addr;
using kernel::testing::kPatience;
using kernel::testing::net;
using kernel::testing::run;
using ::testing::SizeIs;

constexpr std::array<std::byte, 12> kMessage{std::byte{0x31}, std::byte{51}, std::byte{100}};

class VrrpKernelTest : public kernel::testing::InNamespace {
protected:
    void SetUp() override {
        InNamespace::SetUp();
        join();
    }
    uint32_t index(const char* name) {
        auto all = kernel::Interfaces::open();
        return (*all)->find(std::string_view(name))->link.ifindex;
    }
    std::unique_ptr<AdvertSocket> open_socket(const char* name, Family family) {
        auto s = AdvertSocket::open(index(name), name, family);
        EXPECT_TRUE(s) << s.error().message;
        RouterIds ids;
        ids.set(51);
        EXPECT_TRUE((*s)->accept(ids));
        return std::move(*s);
    }
    std::unique_ptr<AdvertSocket> open_there(const char* name, Family family) {
        EXPECT_EQ(setns(there_, CLONE_NEWNET), 0);
        auto s = open_socket(name, family);
        EXPECT_EQ(setns(here_, CLONE_NEWNET), 0);
        return s;
    }
    /// The kernel tells of an IPv6 address a while after it added it.
    static const kernel::InterfaceAddress* await_address(kernel::Interfaces& all, uint32_t ifindex,
                                                         const Prefix& p) {
        const auto deadline = kernel::testing::Clock::now() + kPatience;
        while (kernel::testing::Clock::now() < deadline) {
            EXPECT_TRUE(all.process());
            for (const auto& a : all.find(ifindex)->addresses)
                if (a.prefix == p && !a.tentative) return &a;
            pollfd waiting{all.fd(), POLLIN, 0};
            poll(&waiting, 1, 100);
        }
        return nullptr;
    }
    /// Takes in what the kernel tells until it is so, ten seconds at most.
    template <class So>
    static void await(kernel::Interfaces& all, So&& so) {
        for (int tries = 0; tries < 100 && !so(); ++tries) {
            pollfd waiting{all.fd(), POLLIN, 0};
            poll(&waiting, 1, 100);
            EXPECT_TRUE(all.process());
        }
    }
    /// A new link carries nothing for a moment: sends until the other end hears it, both ways.
    static void await_link(AdvertSocket& a, AdvertSocket& b) {
        const std::tuple<AdvertSocket*, const char*, AdvertSocket*> ways[] = {{&a, "10.1.0.1", &b},
                                                                              {&b, "10.1.0.2", &a}};
        for (const auto& [from, source, to] : ways) {
            bool heard = false;
            for (int tries = 0; tries < 100 && !heard; ++tries) {
                EXPECT_TRUE(from->send(kMessage, addr(source), pure::group_address(Family::ipv4)));
                pollfd waiting{to->fd(), POLLIN, 0};
                heard = poll(&waiting, 1, 100) == 1;
            }
            EXPECT_TRUE(heard);
            while (!to->receive().empty()) {
            }
        }
    }
    static std::span<const pure::Received> await(AdvertSocket& s) {
        pollfd waiting{s.fd(), POLLIN, 0};
        EXPECT_EQ(poll(&waiting, 1, 10000), 1);
        return s.receive();
    }
};

TEST_F(VrrpKernelTest, WhatIsSentByOneIsHeardByTheOtherAndNotByItself) {
    const auto a = open_socket("v0", Family::ipv4);
    const auto b = open_there("v1", Family::ipv4);
    await_link(*a, *b);
    ASSERT_TRUE(a->send(kMessage, addr("10.1.0.1"), pure::group_address(Family::ipv4)));
    const auto heard = await(*b);
    ASSERT_THAT(heard, SizeIs(1));
    EXPECT_EQ(heard[0].ttl, 255);
    EXPECT_EQ(to_string(heard[0].source), "10.1.0.1");
    EXPECT_EQ(to_string(heard[0].destination), "224.0.0.18");
    EXPECT_TRUE(std::equal(kMessage.begin(), kMessage.end(), heard[0].message.begin(),
                           heard[0].message.end()));
    EXPECT_THAT(a->receive(), SizeIs(0));
    ASSERT_TRUE(b->send(kMessage, addr("10.1.0.2"), addr("10.1.0.1"))) << "unicast";
    EXPECT_EQ(to_string(await(*a)[0].destination), "10.1.0.1");
}

TEST_F(VrrpKernelTest, OverIpv6ItComesFromTheLinkLocalAddress) {
    auto all = *kernel::Interfaces::open();
    Address local;
    await(*all, [&] {  // the kernel gives it a moment after the link is there
        for (const auto& a : all->find(std::string_view("v0"))->addresses)
            if (a.prefix.address.is_link_local() && !a.tentative) local = a.prefix.address;
        return !local.is_unspecified();
    });
    const auto a = open_socket("v0", Family::ipv6);
    const auto b = open_there("v1", Family::ipv6);
    std::span<const pure::Received> heard;
    for (int tries = 0; tries < 100 && heard.empty(); ++tries) {  // a new link is not ready at once
        ASSERT_TRUE(a->send(kMessage, local, pure::group_address(Family::ipv6))) << errno;
        pollfd waiting{b->fd(), POLLIN, 0};
        poll(&waiting, 1, 100);
        heard = b->receive();
    }
    ASSERT_THAT(heard, SizeIs(1));
    EXPECT_EQ(heard[0].ttl, 255);
    EXPECT_EQ(heard[0].source, local);
    EXPECT_EQ(to_string(heard[0].destination), "ff02::12");
    EXPECT_THAT(heard[0].message, SizeIs(kMessage.size()));
}

TEST_F(VrrpKernelTest, OtherRouterIdsAreDroppedByTheKernel) {
    const auto a = open_socket("v0", Family::ipv4);
    const auto b = open_there("v1", Family::ipv4);
    await_link(*a, *b);
    auto other = kMessage;
    other[1] = std::byte{52};
    ASSERT_TRUE(a->send(other, addr("10.1.0.1"), pure::group_address(Family::ipv4)));
    ASSERT_TRUE(a->send(kMessage, addr("10.1.0.1"), pure::group_address(Family::ipv4)));
    const auto heard = await(*b);
    ASSERT_THAT(heard, SizeIs(1));
    EXPECT_EQ(heard[0].message[1], std::byte{51});
}

TEST_F(VrrpKernelTest, WhatDoesNotFitIsCounted) {
    const auto a = open_socket("v0", Family::ipv4);
    const auto b = open_there("v1", Family::ipv4);
    await_link(*a, *b);
    for (int i = 0; i < 20000; ++i)
        a->send(kMessage, addr("10.1.0.1"), pure::group_address(Family::ipv4));
    size_t heard = 0;
    for (size_t n; (n = b->receive().size()) > 0;) heard += n;
    a->send(kMessage, addr("10.1.0.1"), pure::group_address(Family::ipv4));  // carries the count
    heard += await(*b).size();
    EXPECT_EQ(heard + b->lost(), 20001u);
    EXPECT_EQ(b->lost(), 0u) << "told once";
}

TEST_F(VrrpKernelTest, AddressesAreMarkedAndTheirAbsenceIsNoError) {
    auto editor = *kernel::Editor::open();
    auto all = *kernel::Interfaces::open();
    const uint32_t v0 = index("v0");
    for (const char* text : {"10.1.0.100/24", "2001:db8:1::100/128"}) {
        const Prefix p = net(text);
        EXPECT_EQ(*editor->add_address(v0, p), kernel::Editor::Made::made);
        EXPECT_EQ(*editor->add_address(v0, p), kernel::Editor::Made::existed);
        const auto of_list = [&] {
            const auto& list = all->find(v0)->addresses;
            const auto at = std::find_if(list.begin(), list.end(),
                                         [&](const auto& a) { return a.prefix == p; });
            return at == list.end() ? nullptr : &*at;
        };
        await(*all, [&] { return of_list() != nullptr; });
        const auto* it = of_list();
        ASSERT_NE(it, nullptr) << text;
        EXPECT_EQ(it->protocol, kernel::kVrrpMark);
        EXPECT_FALSE(it->tentative);
        EXPECT_TRUE(editor->remove_address(v0, p));
        EXPECT_TRUE(editor->remove_address(v0, p));
    }
    EXPECT_FALSE(editor->add_address(9999, net("10.1.0.100/24")));
    EXPECT_TRUE(editor->remove_address(9999, net("10.1.0.100/24")));
}

TEST_F(VrrpKernelTest, AMacvlanHasTheMacAndNoAddressOfItsOwn) {
    auto editor = *kernel::Editor::open();
    const Mac mac = pure::virtual_mac(Family::ipv4, 51);
    const auto first = editor->add_macvlan("vm4.51.1", index("v0"), mac);
    ASSERT_TRUE(first) << first.error().message;
    const auto again = editor->add_macvlan("vm4.51.1", index("v0"), mac);
    ASSERT_TRUE(again) << "one that a killed run left is replaced: " << again.error().message;
    EXPECT_TRUE(editor->set_link(*again, true));
    run("ip -br link show vm4.51.1 | grep -q 00:00:5e:00:01:33");
    run("test -z \"$(ip -o addr show dev vm4.51.1)\"");
    EXPECT_TRUE(editor->remove_link(*again));
    EXPECT_TRUE(editor->remove_link(*again)) << "it is gone";
}

TEST_F(VrrpKernelTest, WhatIsRefusedIsWhatWasSaidLast) {
    run("ip link set lo up && ip addr add 2001:db8:77::1/64 dev v0 nodad");
    auto filter = *kernel::InputFilter::open();
    EXPECT_TRUE(filter->remove("t")) << "it was not there";
    const std::vector<Address> two = {addr("10.1.0.1"), addr("2001:db8:77::1")};
    ASSERT_TRUE(filter->refuse("t", two));
    run("! ping -c1 -W1 10.1.0.1 >/dev/null && ! ping -c1 -W1 2001:db8:77::1 >/dev/null");
    ASSERT_TRUE(filter->refuse("t", std::span(two).subspan(1)));
    run("ping -c1 -W5 10.1.0.1 >/dev/null");
    ASSERT_TRUE(filter->remove("t"));
    run("test -z \"$(nft list tables)\"");
    const auto wrong = filter->refuse(std::string(300, 'x'), two);
    EXPECT_FALSE(wrong) << "no such name";
    EXPECT_TRUE(filter->refuse("t", two)) << "an error leaves nothing behind";
}

TEST_F(VrrpKernelTest, OnlyMarkedRoutesAreRemoved) {
    auto editor = *kernel::Editor::open();
    const kernel::RouteEdit r{net("198.51.100.0/24"), addr("10.1.0.2"), index("v0"), {}, 0, 254};
    EXPECT_EQ(*editor->add_route(r), kernel::Editor::Made::made);
    EXPECT_TRUE(editor->remove_route(r));
    EXPECT_TRUE(editor->remove_route(r)) << "it is gone";
    run("ip route add 198.51.100.0/24 via 10.1.0.2");
    EXPECT_EQ(*editor->add_route(r), kernel::Editor::Made::existed);
    EXPECT_TRUE(editor->remove_route(r));
    run("ip route show 198.51.100.0/24 | grep -q via");
}

// Both threads, without the event loop: this test plays its part.
class VrrpThreadsTest : public VrrpKernelTest {
protected:
    void SetUp() override {
        VrrpKernelTest::SetUp();
        boxes_ = *Mailboxes::open();
        auto hands = Hands::start(boxes_, shm::standby_of(standby_), 0);
        ASSERT_TRUE(hands) << hands.error().message;
        hands_ = std::move(*hands);
        speaker_ = std::move(*Speaker::start(boxes_, 0));
    }
    void TearDown() override {
        Command stop;
        stop.kind = Command::Kind::stop;
        boxes_.commands->send(std::move(stop));
        speaker_.reset();
        hands_.reset();
        VrrpKernelTest::TearDown();
    }
    static Plan plan(uint8_t priority = 100) {
        config::Vrrp c;
        config::VrrpInstance i;
        i.name = "edge";
        i.interface = "v0";
        i.router_id = 51;
        i.priority = priority;
        i.interval = std::chrono::milliseconds(10);
        config::VrrpAddress a;
        a.prefix = net("10.1.0.100/24");
        i.addresses.push_back(a);
        c.instances.push_back(i);
        static Keys keys;
        return make_plan(c, false, keys);
    }
    void send(const Plan& p) {
        Command c;
        c.kind = Command::Kind::plan;
        c.plan = std::make_unique<Plan>(p);
        c.hands_plan = std::make_unique<Plan>(p);
        boxes_.commands->send(std::move(c));
    }
    /// The next transition to this role, or initialize when there is none in time.
    pure::Role await_role(pure::Role role) {
        const auto deadline = kernel::testing::Clock::now() + kPatience;
        while (kernel::testing::Clock::now() < deadline) {
            pollfd waiting{boxes_.news->fd(), POLLIN, 0};
            poll(&waiting, 1, 100);
            boxes_.news->rest();
            while (auto n = boxes_.news->take())
                if (n->kind == News::Kind::transition && n->role == role) return role;
        }
        return pure::Role::initialize;
    }
    /// One advert of a stronger router for the plan's instance.
    static void say_stronger(AdvertSocket& peer, const Plan& p) {
        pure::Identity id = p.instances[0].identity;
        id.local = addr("10.1.0.2");
        std::array<std::byte, 64> message{};
        const Address group = pure::group_address(Family::ipv4);
        const size_t size = pure::encode(id, 200, group, message);
        ASSERT_TRUE(peer.send({message.data(), size}, id.local, group));
    }
    bool here_has(const char* address) {
        auto all = *kernel::Interfaces::open();
        for (const auto& i : all->all())
            for (const auto& a : i.addresses)
                if (a.prefix.address == addr(address)) return true;
        return false;
    }
    bool eventually_has(const char* address, bool has) {
        const auto deadline = kernel::testing::Clock::now() + kPatience;
        while (here_has(address) != has)
            if (kernel::testing::Clock::now() > deadline) return false;
        return true;
    }
    Mailboxes boxes_;
    /// Whether packets to that address are left to the kernel.
    bool left_to_kernel(const char* address) {
        shm::Standby s;
        s.follow(shm::standby_of(standby_));
        return s.covers(addr(address));
    }
    test::TemporaryDirectory directory_;
    shm::Mapping standby_{std::move(*shm::open_standby({directory_.path()}))};
    std::unique_ptr<Hands> hands_;
    std::unique_ptr<Speaker> speaker_;
};

TEST_F(VrrpThreadsTest, AloneItBecomesActiveHoldsItsAddressAndSpeaks) {
    const auto peer = open_there("v1", Family::ipv4);
    send(plan());
    ASSERT_EQ(await_role(pure::Role::active), pure::Role::active);
    ASSERT_TRUE(eventually_has("10.1.0.100", true));
    const auto heard = await(*peer);
    ASSERT_FALSE(heard.empty());
    EXPECT_EQ(to_string(heard[0].source), "10.1.0.1");
    run("ip addr del 10.1.0.100/24 dev v0");
    EXPECT_TRUE(eventually_has("10.1.0.100", true)) << "taken away from outside, and added again";
    send(Plan{});
    EXPECT_TRUE(eventually_has("10.1.0.100", false)) << "it is configured no more";
}

TEST_F(VrrpThreadsTest, AStrongerOneMakesItBackupAndSilenceActiveAgain) {
    send(plan());
    ASSERT_EQ(await_role(pure::Role::active), pure::Role::active);
    const auto peer = open_there("v1", Family::ipv4);
    say_stronger(*peer, plan());
    EXPECT_EQ(await_role(pure::Role::backup), pure::Role::backup);
    EXPECT_TRUE(eventually_has("10.1.0.100", false));
    EXPECT_EQ(await_role(pure::Role::active), pure::Role::active);
}

// backup_only: from when another router is heard of until its address is held.
TEST_F(VrrpThreadsTest, ItsPacketsAreTheKernelsWhileAnotherRouterIsActive) {
    Plan p = plan();
    p.backup_only = true;
    p.instances[0].settings.interval = p.instances[0].identity.interval =
        std::chrono::milliseconds(100);
    send(p);
    ASSERT_EQ(await_role(pure::Role::backup), pure::Role::backup);
    EXPECT_FALSE(left_to_kernel("10.1.0.100")) << "nobody was heard of: it may be alone";
    ASSERT_EQ(await_role(pure::Role::active), pure::Role::active);
    ASSERT_TRUE(eventually_has("10.1.0.100", true));
    const auto peer = open_there("v1", Family::ipv4);
    say_stronger(*peer, p);
    ASSERT_EQ(await_role(pure::Role::backup), pure::Role::backup);
    const auto deadline = kernel::testing::Clock::now() + kPatience;
    while (!left_to_kernel("10.1.0.100")) ASSERT_LT(kernel::testing::Clock::now(), deadline);
    EXPECT_FALSE(here_has("10.1.0.100")) << "it serves for as long as it has the address";
    EXPECT_TRUE(left_to_kernel("10.1.0.7")) << "nothing is this one's";
    while (!here_has("10.1.0.100")) ASSERT_LT(kernel::testing::Clock::now(), deadline);
    EXPECT_FALSE(left_to_kernel("10.1.0.100")) << "it balances before the address is there";
}

TEST_F(VrrpThreadsTest, WhatAKilledRunLeftIsRemoved) {
    auto editor = *kernel::Editor::open();
    ASSERT_TRUE(editor->add_address(index("v0"), net("10.1.0.100/24")));
    Plan p = plan();
    p.instances[0].settings.interval = std::chrono::seconds(10);  // it stays backup
    send(p);
    EXPECT_TRUE(eventually_has("10.1.0.100", false));
}

TEST_F(VrrpThreadsTest, AnAddressThatWasThereIsLeftAlone) {
    run("ip addr add 10.1.0.100/24 dev v0");
    send(plan(255));
    ASSERT_EQ(await_role(pure::Role::active), pure::Role::active);
    send(Plan{});
    EXPECT_EQ(await_role(pure::Role::initialize), pure::Role::initialize);
    EXPECT_TRUE(here_has("10.1.0.100"));
}

TEST_F(VrrpThreadsTest, ALinkThatGoesDownIsAFault) {
    send(plan());
    ASSERT_EQ(await_role(pure::Role::active), pure::Role::active);
    run("ip link set v0 down");
    EXPECT_EQ(await_role(pure::Role::fault), pure::Role::fault);
    run("ip link set v0 up");
    EXPECT_EQ(await_role(pure::Role::active), pure::Role::active);
}

}  // namespace
}  // namespace torii::control::vrrp
