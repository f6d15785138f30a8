"""Health checks against real servers: what kills them, how soon traffic leaves, and that it comes back."""
import collections
import json
import signal
import time

import pytest

from lab import Torii, eventually
from recipes import nat, nat_backends, service, spread, url

INTERVAL, TIMEOUT, FALL, RISE = 0.2, 0.3, 3, 2
SLACK = 1.0  # two slow cores, several namespaces, a poll of the API
QUICK = {"interval": "200ms", "timeout": "300ms", "fall": FALL, "rise": RISE}


def health(torii):
    return json.loads(torii.host.run("curl", "-sS", "--unix-socket", f"/run/torii/{torii.instance}/api.sock", "http://torii/v1/health").stdout)


def check(torii, target):
    return next(c for c in health(torii)["checks"] if c["target"] == target)


def members(torii):
    """Addresses in the table with a weight, as ipvsadm shows them."""
    lines = [line.split() for line in torii.ipvsadm("-Ln").splitlines()]
    return {words[1].rsplit(":", 1)[0] for words in lines if words and words[0] == "->" and words[3] != "0" and words[1][0].isdigit()}


def down_within(torii, target, reason):
    """Waits until the check is down, and says after how long; the reason must be the one expected."""
    began = time.monotonic()
    eventually(lambda: not check(torii, target)["up"], 10, f"{target} is found to be down")
    took = time.monotonic() - began
    found = check(torii, target)
    assert found["reason"] == reason, found
    assert took <= FALL * INTERVAL + TIMEOUT + SLACK, took
    return found


def up_within(torii, target):
    began = time.monotonic()
    eventually(lambda: check(torii, target)["up"], 10, f"{target} is found to be up")
    took = time.monotonic() - began
    assert took <= RISE * INTERVAL + TIMEOUT + SLACK, took


class Load:
    """A client that asks again and again with a new connection each, and notes when which server answered."""

    def __init__(self, lab, address):
        self.stop_file = lab.directory / f"stop-{address}"
        script = ("while [ ! -e $1 ]; do n=$(curl -sS --max-time 1 \"http://$2/name\" 2>/dev/null || echo failed); echo \"$EPOCHREALTIME $n\"; done")
        self.process = lab.client.start("bash", "-c", script, "load", self.stop_file, address, name="load")

    def results(self):
        rows = [line.split() for line in self.process.output().splitlines()]
        return [(float(row[0]), row[1]) for row in rows if len(row) == 2]

    def stop(self):
        self.stop_file.touch()
        self.process.wait(10)
        return self.results()


def www(lab, check, numbers=(1, 2, 3), **more):
    return nat([service("www", lab.vip4, 80, nat_backends(80, numbers), health={**QUICK, **check}, **more)])


def test_a_killed_server_leaves_in_time_and_comes_back_and_only_its_requests_fail(two_armed):
    lab = two_armed
    for server in lab.servers:
        server.nginx(80)
    torii = Torii(lab.lb, www(lab, {"type": "tcp"}))
    eventually(lambda: all(c["proven"] for c in health(torii)["checks"]), what="every server has been probed")
    assert members(torii) == {"10.0.0.11", "10.0.0.12", "10.0.0.13"}
    load = Load(lab, lab.vip4)
    eventually(lambda: len({name for _, name in load.results()}) == 3, what="all servers answer")

    killed = time.time()
    lab.servers[1].signal_nginx(signal.SIGKILL)
    down_within(torii, "10.0.0.12:80", "refused")
    eventually(lambda: members(torii) == {"10.0.0.11", "10.0.0.13"}, 2, "it has left the table")
    gone = time.time()
    count = len(load.results())
    eventually(lambda: len(load.results()) > count + 20, what="traffic goes on")

    revived = time.time()
    lab.servers[1].nginx(80)
    up_within(torii, "10.0.0.12:80")
    back = time.time()
    eventually(lambda: any(name == "web2" for at, name in load.results() if at > back), what="it gets requests again")
    results = load.stop()
    failed = [at for at, name in results if name == "failed"]
    assert all(killed - 1 <= at <= gone + 1.1 for at in failed), (killed, gone, failed)
    assert not [at for at, name in results if name == "web2" and gone + 0.1 < at < revived]
    assert collections.Counter(name for _, name in results)["web1"] > 10
    said = torii.daemon.output()
    assert "event=check state=down type=tcp target=10.0.0.12:80 reason=refused" in said
    assert "event=server state=down service=www virtual=198.51.100.10:80/tcp server=10.0.0.12 backend=10.0.0.12:80" in said
    assert said.count("event=check state=") == 2, "a line for each change and no other"


# name: what happens to the server, how it is undone, type of check, reason
def stall(server):
    server.signal_nginx(signal.SIGSTOP)
    return lambda: server.signal_nginx(signal.SIGCONT)


def firewall(verdict):
    def begin(server):
        server.run("nft", f"add table ip t; add chain ip t c {{ type filter hook input priority 0; }}; add rule ip t c tcp dport 80 {verdict}")
        return lambda: server.run("nft", "delete table ip t")
    return begin


def answer_503(server):
    flag = server.www / "broken"
    flag.touch()
    return flag.unlink


def drip(server):
    """One byte a second: something comes all the time, but never the whole."""
    flag = server.www / "drip"
    flag.touch()
    return flag.unlink


@pytest.mark.parametrize("type, trouble, reason", [
    ("http", stall, "timeout"),
    ("tcp", firewall("reject"), "refused"),
    ("tcp", firewall("reject with icmp type admin-prohibited"), "unreachable"),
    ("http", firewall("reject with tcp reset"), "refused"),
    ("tcp", firewall("drop"), "timeout"),
    ("http", answer_503, "bad_status"),
    ("http", drip, "timeout"),
], ids=["stalled", "rejected", "prohibited", "reset", "dropped", "503", "drip"])
def test_each_trouble_has_its_name_and_its_end(two_armed, type, trouble, reason):
    lab = two_armed
    for server in lab.servers:
        server.nginx_with_troubles(80)
    torii = Torii(lab.lb, www(lab, {"type": type, "http": {"path": "/healthz", "body_regex": "^o", "status": [200]}}))
    eventually(lambda: all(c["proven"] and c["up"] for c in health(torii)["checks"]), what="every server is up")
    undo = trouble(lab.servers[2])
    down_within(torii, "10.0.0.13:80", reason)
    eventually(lambda: members(torii) == {"10.0.0.11", "10.0.0.12"}, 2, "it has left the table")
    assert dict(spread(lab.client, lab.vip4, 6)) == {"web1": 3, "web2": 3}
    undo()
    up_within(torii, "10.0.0.13:80")
    eventually(lambda: len(members(torii)) == 3, 2, "it is back in the table")
    torii.assert_balanced()
