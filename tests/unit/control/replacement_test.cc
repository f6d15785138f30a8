// A file is the old one or the new one, and nothing is left over.

#include "control/replacement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/temporary_directory.h"

namespace torii::control {
namespace {

class ReplacementTest : public testing::Test {
protected:
    std::string read(const std::string& file) {
        std::ostringstream text;
        text << std::ifstream(file).rdbuf();
        return text.str();
    }
    size_t files() {
        return size_t(std::distance(std::filesystem::directory_iterator(directory_.path()), {}));
    }
    test::TemporaryDirectory directory_;
    std::string file_ = directory_.path() + "/torii.yaml";
};

TEST_F(ReplacementTest, NothingChangesBeforeItIsCommitted) {
    std::ofstream(file_) << "old";
    {
        auto written = Replacement::write(file_, "new");
        ASSERT_TRUE(written) << written.error().message;
        EXPECT_EQ(read(file_), "old");
    }
    EXPECT_EQ(read(file_), "old");
    EXPECT_EQ(files(), 1u);
}

TEST_F(ReplacementTest, CommittingKeepsTheFormerFileAndTheMode) {
    std::ofstream(file_) << "old";
    ASSERT_EQ(::chmod(file_.c_str(), 0600), 0);
    for (const char* text : {"new", "newer"}) {
        auto written = Replacement::write(file_, text);
        ASSERT_TRUE(written && written->commit());
    }
    EXPECT_EQ(read(file_), "newer");
    EXPECT_EQ(read(file_ + "~"), "new");
    struct stat now {};
    ASSERT_EQ(::stat(file_.c_str(), &now), 0);
    EXPECT_EQ(now.st_mode & 07777, 0600u);
    EXPECT_EQ(files(), 2u);
}

TEST_F(ReplacementTest, SaysWhatCannotBeWritten) {
    const auto written = Replacement::write(directory_.path() + "/none/torii.yaml", "new");
    ASSERT_FALSE(written);
    EXPECT_THAT(written.error().message, testing::HasSubstr("No such file or directory"));
}

}  // namespace
}  // namespace torii::control
