#include "control/vrrp/messages.h"

namespace torii::control::vrrp {

Result<Mailboxes> Mailboxes::open() {
    Mailboxes all;
    const auto make = [](auto& box) -> Result<> {
        auto made = std::decay_t<decltype(*box)>::open();
        if (!made) return tl::unexpected(made.error());
        box = std::move(*made);
        return {};
    };
    Result<> ok = make(all.commands);
    if (ok) ok = make(all.news);
    if (ok) ok = make(all.orders);
    if (ok) ok = make(all.facts);
    if (ok) ok = make(all.remarks);
    if (!ok) return tl::unexpected(ok.error());
    return all;
}

}  // namespace torii::control::vrrp
