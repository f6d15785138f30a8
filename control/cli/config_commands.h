#pragma once
// torii config ...: what can be said, what is said, and putting it into force.

namespace torii::cli {

struct Invocation;

// Each is one command; returns the exit status.
int config_check(const Invocation&);
int config_show(const Invocation&);
int config_apply(const Invocation&);
int config_diff(const Invocation&);  ///< 0 alike, 1 different, 2 nobody can say
int config_schema(const Invocation&);
int config_reference(const Invocation&);

}  // namespace torii::cli
