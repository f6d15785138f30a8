"""Servers that answer, only slowly: down when slower than the timeout, up when slow but within it."""
import pathlib

import pytest

from lab import Torii, eventually
from recipes import nat, nat_backends, service
from test_health import check, members
from test_health_types import SERVERS, filled, proven, start_mail, start_web

HERE = pathlib.Path(__file__).resolve().parent
PORT = 7000  # of the proxy
TIMEOUT = 2.0
WITHIN, BEYOND = 0.15, 2.5  # each answer; the talk that takes most of them, STARTTLS, takes six

CASES = {kind: row[:4] for kind, row in SERVERS.items()}
CASES["smtp"] = (start_mail, 25, "tcp", {"type": "smtp"})
CASES["http"] = (start_web, 80, "tcp", {"type": "http", "http": {"path": "/name", "body_regex": "web1"}})


@pytest.mark.parametrize("kind", CASES)
def test_a_slow_server_is_up_within_the_timeout_and_down_beyond_it(two_armed, kind):
    start, port, protocol, settings = CASES[kind]
    lab, server = two_armed, two_armed.servers[0]
    start(server, lab)
    transport = "tcp" if settings.get("dns", {}).get("transport") == "tcp" else protocol
    eventually(lambda: server.listening(port, transport), what=f"{kind} listens")
    delay = lab.directory / "delay"

    def slow(seconds):
        delay.with_suffix(".new").write_text(str(seconds))
        delay.with_suffix(".new").rename(delay)

    slow(0)
    server.start("/usr/bin/python3", HERE / "slow_proxy.py", transport, PORT, port, delay, name="proxy")
    eventually(lambda: server.listening(PORT, transport), what="the proxy listens")
    health = {"interval": "300ms", "timeout": f"{TIMEOUT * 1000:.0f}ms", "fall": 2, "rise": 1, **filled(settings, lab)}
    torii = Torii(lab.lb, nat([service("s", lab.vip4, 80, nat_backends(PORT, [1]), protocol=protocol, health=health)]))
    target = f"10.0.0.11:{PORT}"
    proven(torii, up=True, reason="success")

    slow(BEYOND)
    eventually(lambda: not check(torii, target)["up"], 15, f"{kind} is too slow")
    assert check(torii, target)["reason"] == "timeout", check(torii, target)
    eventually(lambda: members(torii) == set(), 2, "it has left the table")

    slow(WITHIN)
    eventually(lambda: check(torii, target)["up"], 15, f"{kind} is slow, but no more than that")
    before = check(torii, target)
    eventually(lambda: check(torii, target)["good"] >= before["good"] + 4, 20, "it is good again and again")
    after = check(torii, target)
    assert after["up"] and after["bad"] == before["bad"], after
    assert WITHIN * 1e6 <= after["duration_us"] <= TIMEOUT * 1e6, after
    assert members(torii) == {"10.0.0.11"}
