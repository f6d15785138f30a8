#pragma once
// torii server: takes a server away by hand, lets it drain, gives it back; and shows who is held.

namespace torii::cli {

struct Invocation;

int server_down(const Invocation&);
int server_drain(const Invocation&);
int server_up(const Invocation&);
int server_list(const Invocation&);

}  // namespace torii::cli
