#define PCRE2_CODE_UNIT_WIDTH 8

#include "healthcheck/body.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <pcre2.h>

#include <algorithm>
#include <array>

namespace torii::healthcheck {
namespace {

// What one match may cost: an expression that backtracks without end fails instead.
constexpr uint32_t kMatchLimit = 1'000'000, kHeapKib = 16 * 1024;
constexpr size_t kMd5Digits = 32;

template <auto Free>
struct Freeing {
    template <class T>
    void operator()(T* p) const {
        Free(p);
    }
};
using Code = std::unique_ptr<pcre2_code, Freeing<pcre2_code_free>>;
using Match = std::unique_ptr<pcre2_match_data, Freeing<pcre2_match_data_free>>;
using Limits = std::unique_ptr<pcre2_match_context, Freeing<pcre2_match_context_free>>;

std::string sentence(int error) {
    std::array<PCRE2_UCHAR, 256> text{};
    ::pcre2_get_error_message(error, text.data(), text.size());
    return reinterpret_cast<const char*>(text.data());
}

Code compile(const std::string& expression, std::string& mistake) {
    int error = 0;
    PCRE2_SIZE at = 0;
    Code code(::pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(), 0,
                              &error, &at, nullptr));
    if (!code) mistake = fmt::format("{} at character {}", sentence(error), at + 1);
    return code;
}

/// Positive: found. PCRE2_ERROR_NOMATCH: not found. Otherwise it could not be told.
int search(const std::string& expression, const std::string& text) {
    std::string mistake;
    const Code code = compile(expression, mistake);
    if (!code) return PCRE2_ERROR_BADDATA;
    const Match match(::pcre2_match_data_create_from_pattern(code.get(), nullptr));
    const Limits limits(::pcre2_match_context_create(nullptr));
    ::pcre2_set_match_limit(limits.get(), kMatchLimit);
    ::pcre2_set_depth_limit(limits.get(), kMatchLimit);
    ::pcre2_set_heap_limit(limits.get(), kHeapKib);
    return ::pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, 0,
                         match.get(), limits.get());
}

Result mismatch(std::string detail) {
    Result r;
    r.reason = Reason::mismatch;
    r.detail = std::move(detail);
    return r;
}

}  // namespace

struct BodyCheck::Digest {
    explicit Digest(const EVP_MD* kind) : context(::EVP_MD_CTX_new()) {
        ::EVP_DigestInit_ex(context, kind, nullptr);
    }
    ~Digest() { ::EVP_MD_CTX_free(context); }
    std::string text() {
        std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
        unsigned size = 0;
        ::EVP_DigestFinal_ex(context, bytes.data(), &size);
        std::string digits;
        for (unsigned i = 0; i < size; ++i) digits += fmt::format("{:02x}", bytes[i]);
        return digits;
    }
    EVP_MD_CTX* context;
};

BodyCheck::BodyCheck(const config::HttpHealth& settings) : settings_(settings) {
    if (!settings.digest.empty())
        digest_ = std::make_unique<Digest>(settings.digest.size() == kMd5Digits ? ::EVP_md5()
                                                                                : ::EVP_sha256());
}
BodyCheck::~BodyCheck() = default;

bool BodyCheck::wanted() const { return digest_ != nullptr || !settings_.body_regex.empty(); }

bool BodyCheck::take(std::string_view piece) {
    size_ += piece.size();
    if (wanted() && size_ > settings_.max_body) return false;
    if (digest_) ::EVP_DigestUpdate(digest_->context, piece.data(), piece.size());
    if (!settings_.body_regex.empty()) text_ += piece;
    return true;
}

std::optional<Result> BodyCheck::verdict() {
    if (digest_) {
        const std::string found = digest_->text();
        std::string wanted = settings_.digest;
        std::ranges::transform(wanted, wanted.begin(),
                               [](unsigned char c) { return char(std::tolower(c)); });
        if (found != wanted) return mismatch("the digest of the body is " + found);
    }
    if (settings_.body_regex.empty()) return std::nullopt;
    const int found = search(settings_.body_regex, text_);
    if (found < 0 && found != PCRE2_ERROR_NOMATCH)
        return mismatch("body_regex could not be tried: " + sentence(found));
    const bool matches = found > 0;
    if (matches != settings_.regex_no_match) return std::nullopt;
    return mismatch(matches ? "the body matches body_regex" : "the body does not match body_regex");
}

std::string regex_mistake(const std::string& expression) {
    std::string mistake;
    if (!expression.empty()) compile(expression, mistake);
    return mistake;
}

}  // namespace torii::healthcheck
