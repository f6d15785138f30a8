// Which packets are left to the kernel, by what is known of the instances.

#include "control/vrrp/standby.h"

#include <gmock/gmock.h>

#include "tests/support/temporary_directory.h"

namespace torii::control::vrrp {
namespace {

Address addr(std::string_view text) { return *parse_address(text); }

struct Standing : testing::Test {
    static InstancePlan instance(Key key, std::initializer_list<const char*> addresses) {
        InstancePlan p;
        p.key = key;
        for (const char* a : addresses) {
            config::VrrpAddress held;
            held.prefix = *parse_prefix(a);
            p.addresses.push_back(held);
        }
        return p;
    }
    static Plan two() {
        Plan p;
        p.backup_only = true;
        p.instances = {instance(1, {"192.0.2.1/24", "2001:db8::1/64"}),
                       instance(2, {"192.0.2.2/24"})};
        return p;
    }
    std::string covered() {
        workers.follow(table);
        std::string out;
        for (const char* a : {"192.0.2.1", "2001:db8::1", "192.0.2.2", "192.0.2.3"})
            out += workers.covers(addr(a)) ? '1' : '0';
        return out;
    }
    test::TemporaryDirectory directory;
    shm::Mapping map{std::move(*shm::open_standby({directory.path()}))};
    shm::StandbyTable& table{shm::standby_of(map)};
    shm::Standby workers;
    StandbyBook book{table};
};

TEST_F(Standing, TheAddressesOfThoseThatWaitAndEverythingWhenAllDo) {
    book.plan(two());
    EXPECT_EQ(covered(), "0000");
    book.waits(1, true);
    EXPECT_EQ(covered(), "1100") << "the other one is ours, and so is what no instance has";
    book.waits(2, true);
    EXPECT_EQ(covered(), "1111") << "nothing is ours";
    book.waits(1, false);
    EXPECT_EQ(covered(), "0010");
    book.waits(7, true);
    EXPECT_EQ(covered(), "0010") << "nobody's key";
}

TEST_F(Standing, WhoLingersServesOn) {
    book.plan(two());
    book.waits(2, true);
    book.lingers(1, true);
    book.waits(1, true);
    EXPECT_EQ(covered(), "0010");
    book.lingers(1, false);
    EXPECT_EQ(covered(), "1111");
}

TEST_F(Standing, OnlyWithTheSwitchAndOnlyForWhatIsConfigured) {
    Plan p = two();
    p.backup_only = false;
    book.plan(p);
    book.waits(1, true);
    EXPECT_EQ(covered(), "0000");
    book.plan(two());
    EXPECT_EQ(covered(), "1100") << "what is known of the instances stays known";
    p = two();
    p.instances.erase(p.instances.begin());
    book.plan(p);
    EXPECT_EQ(covered(), "0000");
    p.instances[0].addresses = instance(2, {"192.0.2.3/24"}).addresses;
    p.instances.push_back(instance(3, {"192.0.2.9/24"}));
    book.plan(p);
    book.waits(2, true);
    EXPECT_EQ(covered(), "0001") << "its addresses as of now";
    book.plan(Plan{});
    EXPECT_EQ(covered(), "0000");
}

TEST_F(Standing, ANewRunBeginsAsTheOldOneEnded) {
    book.plan(two());
    book.waits(1, true);
    StandbyBook next(table);
    next.plan(two());
    EXPECT_EQ(covered(), "1100") << "not ours for a moment";
    next.waits(1, false);
    EXPECT_EQ(covered(), "0000");
}

TEST_F(Standing, AnInstanceWithoutAddressesSaysNothingUntilItIsKnown) {
    Plan p;
    p.backup_only = true;
    p.instances = {instance(1, {})};
    book.plan(p);
    EXPECT_EQ(covered(), "0000");
    book.waits(1, true);
    EXPECT_EQ(covered(), "1111") << "for all that no instance has";
}

TEST_F(Standing, ATableThatWasBeingWrittenIsWrittenAnew) {
    book.plan(two());
    book.waits(1, true);
    EXPECT_EQ(covered(), "1100");
    ++table.version;  // and its writer was killed
    StandbyBook next(table);
    next.plan(two());
    EXPECT_EQ(covered(), "0000");
}

}  // namespace
}  // namespace torii::control::vrrp
