// The keys of `vrrp.instances[].track`. Adding one is adding a row.

#include "config/schema/field.h"

namespace torii::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr uint64_t kMostWeight = 253;
constexpr std::string_view kWeightHelp =
    "above 0: added to the priority while it is well; below 0: subtracted while it is not; 0: a "
    "fault while it is not";
constexpr std::string_view kReverseHelp = "well and not well change places";

constexpr Key kTrackInterfaceKeys[] = {
    {.name = "name",
     .field = field<&VrrpTrackInterface::name>,
     .help = "well while it is up and has a carrier",
     .required = true,
     .min = 1,
     .max = 15,
     .mark = mark_in<&VrrpTrackInterface::name_mark>},
    {.name = "weight",
     .field = field<&VrrpTrackInterface::weight>,
     .help = kWeightHelp,
     .max = kMostWeight,
     .mark = mark_in<&VrrpTrackInterface::weight_mark>},
    {.name = "reverse", .field = field<&VrrpTrackInterface::reverse>, .help = kReverseHelp},
};

constexpr Key kTrackScriptKeys[] = {
    {.name = "name",
     .field = field<&VrrpTrackScript::name>,
     .help = "what logs and commands call it; by default the program's file name",
     .min = 1,
     .max = 64,
     .mark = mark_in<&VrrpTrackScript::name_mark>},
    {.name = "command",
     .field = field<&VrrpTrackScript::command>,
     .help = "program and arguments; well while it exits with 0",
     .required = true,
     .min = 1,
     .mark = mark_in<&VrrpTrackScript::command_mark>},
    {.name = "interval",
     .field = field<&VrrpTrackScript::interval>,
     .help = "time between two starts",
     .shortest = milliseconds(10),
     .longest = hours(24)},
    {.name = "timeout",
     .field = field<&VrrpTrackScript::timeout>,
     .help = "killed after that time, which is a failure; by default the interval",
     .shortest = milliseconds(1),
     .longest = hours(24),
     .mark = mark_in<&VrrpTrackScript::timeout_mark>},
    {.name = "rise",
     .field = field<&VrrpTrackScript::rise>,
     .help = "successes in a row that make it well",
     .min = 1,
     .max = 10000},
    {.name = "fall",
     .field = field<&VrrpTrackScript::fall>,
     .help = "failures in a row that make it not well",
     .min = 1,
     .max = 10000},
    {.name = "weight",
     .field = field<&VrrpTrackScript::weight>,
     .help = kWeightHelp,
     .max = kMostWeight,
     .mark = mark_in<&VrrpTrackScript::weight_mark>},
    {.name = "reverse", .field = field<&VrrpTrackScript::reverse>, .help = kReverseHelp},
    {.name = "user",
     .field = field<&VrrpTrackScript::user>,
     .help = "whom it runs as; by default whom toriid runs as",
     .max = 32},
};

constexpr Key kTrackFileKeys[] = {
    {.name = "path",
     .field = field<&VrrpTrackFile::path>,
     .help = "a file that holds a number; missing counts as 0",
     .required = true,
     .min = 1,
     .mark = mark_in<&VrrpTrackFile::path_mark>},
    {.name = "weight",
     .field = field<&VrrpTrackFile::weight>,
     .help = "the number times the weight is added to the priority; 0: a number other than 0 is a "
             "fault",
     .max = kMostWeight,
     .mark = mark_in<&VrrpTrackFile::weight_mark>},
};

constexpr Key kTrackProcessKeys[] = {
    {.name = "name",
     .field = field<&VrrpTrackProcess::name>,
     .help = "the program's name as in /proc/PID/comm, or its path as in /proc/PID/exe",
     .required = true,
     .min = 1,
     .mark = mark_in<&VrrpTrackProcess::name_mark>},
    {.name = "quorum",
     .field = field<&VrrpTrackProcess::quorum>,
     .help = "so many of them must run",
     .min = 1,
     .max = 65535},
    {.name = "delay",
     .field = field<&VrrpTrackProcess::delay>,
     .help = "a change counts when it has lasted so long",
     .longest = hours(1)},
    {.name = "weight",
     .field = field<&VrrpTrackProcess::weight>,
     .help = kWeightHelp,
     .max = kMostWeight,
     .mark = mark_in<&VrrpTrackProcess::weight_mark>},
    {.name = "reverse", .field = field<&VrrpTrackProcess::reverse>, .help = kReverseHelp},
};

constexpr Key kTrackServiceKeys[] = {
    {.name = "name",
     .field = field<&VrrpTrackService::name>,
     .help = "a service's name; well while its quorum is up",
     .required = true,
     .min = 1,
     .mark = mark_in<&VrrpTrackService::name_mark>},
    {.name = "weight",
     .field = field<&VrrpTrackService::weight>,
     .help = kWeightHelp,
     .max = kMostWeight,
     .mark = mark_in<&VrrpTrackService::weight_mark>},
    {.name = "reverse", .field = field<&VrrpTrackService::reverse>, .help = kReverseHelp},
};

constexpr Key kTrackKeys[] = {
    {.name = "interfaces",
     .field = field<&VrrpTrack::interfaces>,
     .help = "interfaces; the instance's own is always watched"},
    {.name = "scripts", .field = field<&VrrpTrack::scripts>, .help = "programs that look"},
    {.name = "files", .field = field<&VrrpTrack::files>, .help = "files that hold a number"},
    {.name = "processes", .field = field<&VrrpTrack::processes>, .help = "programs that run"},
    {.name = "dataplane",
     .field = field<&VrrpTrack::dataplane>,
     .help = "a dead torii-dataplane is a fault; by default true where `dataplane.ports` has any",
     .mark = mark_in<&VrrpTrack::dataplane_mark>},
    {.name = "services", .field = field<&VrrpTrack::services>, .help = "quorums of services"},
};

}  // namespace

Keys keys_for(const VrrpTrackInterface*) { return kTrackInterfaceKeys; }
Keys keys_for(const VrrpTrackScript*) { return kTrackScriptKeys; }
Keys keys_for(const VrrpTrackFile*) { return kTrackFileKeys; }
Keys keys_for(const VrrpTrackProcess*) { return kTrackProcessKeys; }
Keys keys_for(const VrrpTrackService*) { return kTrackServiceKeys; }
Keys keys_for(const VrrpTrack*) { return kTrackKeys; }

}  // namespace torii::config
