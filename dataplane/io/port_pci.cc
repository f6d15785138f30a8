// Driver pci: a card of its own, through vfio-pci. The kernel's packets go through a TAP.

#include <fmt/format.h>

#include <cctype>
#include <filesystem>

#include "dataplane/io/drivers.h"
#include "dataplane/io/ethdev.h"

namespace torii::io {
namespace {

namespace fs = std::filesystem;

// "3b:00.0" is 0000:3b:00.0.
std::string full_address(std::string address) {
    if (std::count(address.begin(), address.end(), ':') == 1) address = "0000:" + address;
    for (char& c : address) c = char(std::tolower(static_cast<unsigned char>(c)));
    return address;
}

}  // namespace

Result<PortPlan> plan_pci(const config::Port& port, unsigned workers) {
    const std::string address = full_address(port.device);
    const fs::path device = fs::path("/sys/bus/pci/devices") / address;
    std::error_code error;
    if (!fs::exists(device, error))
        return fail(Errc::not_found, fmt::format("port {}: {}: no such PCI device (lspci -D lists "
                                                 "what there is)",
                                                 port.name, address));
    const fs::path link = fs::read_symlink(device / "driver", error);
    const std::string driver = error ? "" : link.filename().string();
    if (driver != "vfio-pci")
        return fail(Errc::invalid,
                    fmt::format("port {}: {} is bound to {}: bind it to vfio-pci "
                                "(dpdk-devbind.py --bind=vfio-pci {})",
                                port.name, address,
                                driver.empty() ? "no driver" : "driver " + driver, address));
    PortPlan plan;
    plan.queues = uint16_t(port.queues ? port.queues : workers);
    plan.descriptors = 1024;
    return plan;
}

Result<std::unique_ptr<Port>> open_pci(const PortRequest& r) {
    PortFacts f;
    f.name = r.config->name;
    f.driver = r.config->driver;
    f.kernel_interface = r.config->kernel_interface.empty() ? fmt::format("torii-pci{}", r.index)
                                                            : r.config->kernel_interface;
    f.interface = f.kernel_interface;
    f.mtu = r.plan.mtu;
    const auto device = find_device(full_address(r.config->device));
    if (!device)
        return tl::unexpected(Error(device.error()).within(fmt::format("port {}", f.name)));
    if (auto ok = start_device(r, *device, r.plan.queues, f); !ok)
        return tl::unexpected(ok.error());
    return std::make_unique<Port>(std::move(f));
}

}  // namespace torii::io
