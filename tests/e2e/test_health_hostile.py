"""Servers, scripts and files that mean harm: a clear sentence for each, bounded time and memory, and everybody else undisturbed."""
import os
import pathlib
import resource
import subprocess
import time

import pytest
from lab import BIN, Torii, eventually
from recipes import nat, service
from test_health import check, health
from test_health_types import names, script

HERE = pathlib.Path(__file__).resolve().parent
PORTS = 8000  # of hostile_server.py, in the order of its KINDS
MIB = 1 << 20


def resident(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_hostile_servers_and_scripts_harm_nobody_else(two_armed):
    lab = two_armed
    lab.directory.chmod(0o755)
    bad, good = lab.servers[0], lab.servers[1]
    good.nginx(80)
    bad.start("/usr/bin/python3", HERE / "hostile_server.py", PORTS, name="hostile")
    eventually(lambda: bad.listening(PORTS) and bad.listening(PORTS + 5), what="the hostile server listens")
    http = lambda n, **more: {"address": "10.0.0.11", "port": PORTS + n, "checks": [{"type": "http", **more}]}
    run = lambda n, text: {"address": "10.0.0.13", "port": 9000 + n, "checks": [{"type": "script", "script": {"command": [script(lab, f"s{n}", text)]}}]}
    plain = lab.directory / "plain"
    plain.write_text("#!/bin/sh\n")
    backends = [
        {"address": "10.0.0.12", "port": 80, "checks": [{"type": "http", "interval": "100ms", "http": {"path": "/name", "body_regex": "web2"}}]},
        http(0), http(1, http={"body_regex": "never"}), {**http(2), "checks": [{"type": "http"}, {"type": "https"}]}, http(3), http(4),
        {"address": "10.0.0.11", "port": PORTS + 5, "checks": [{"type": "smtp"}]},
        run(0, "for n in 1 2 3 4 5 6 7 8; do (while :; do sleep 100; done) & done; sleep 100\n"), run(1, "trap '' TERM; while :; do sleep 100; done\n"),
        run(2, "exec yes\n"), run(3, "sleep 100 & exit 0\n"),
        {"address": "10.0.0.13", "port": 9100, "checks": [{"type": "script", "script": {"command": str(plain)}}]},
    ]
    common = {"interval": "400ms", "timeout": "300ms", "fall": 2, "rise": 1}
    torii = Torii(lab.lb, nat([service("s", lab.vip4, 80, backends, health=common)]))
    eventually(lambda: all(c["proven"] for c in health(torii)["checks"]), 20, "everything has been probed")
    expected = {  # type and target: reasons that describe it
        ("http", f"10.0.0.11:{PORTS}"): {"too_large"}, ("http", f"10.0.0.11:{PORTS + 1}"): {"too_large"},
        ("http", f"10.0.0.11:{PORTS + 2}"): {"protocol"}, ("https", f"10.0.0.11:{PORTS + 2}"): {"tls"},
        ("http", f"10.0.0.11:{PORTS + 3}"): {"timeout"}, ("http", f"10.0.0.11:{PORTS + 4}"): {"timeout"},
        ("smtp", f"10.0.0.11:{PORTS + 5}"): {"too_large"}, ("script", "10.0.0.13:9000"): {"timeout"}, ("script", "10.0.0.13:9001"): {"timeout"},
        ("script", "10.0.0.13:9002"): {"timeout"}, ("script", "10.0.0.13:9100"): {"script"},
    }

    def found():
        return {(c["type"], c["target"]): c["reason"] for c in health(torii)["checks"]}
    for key, reasons in expected.items():  # a busy machine may turn one answer or another into a timeout
        eventually(lambda: found()[key] in reasons, 15, f"{key}: {reasons}, not {found()[key]}")
    before, began, memory = check(torii, "10.0.0.12:80"), time.monotonic(), resident(torii.daemon.process.pid)
    eventually(lambda: time.monotonic() > began + 5, 10)
    after, took = check(torii, "10.0.0.12:80"), time.monotonic() - began
    assert after["up"] and after["bad"] == before["bad"] == 0, after
    assert after["good"] - before["good"] > took / 0.1 / 3, (before, after, took)
    assert check(torii, "10.0.0.13:9003")["up"]
    assert resident(torii.daemon.process.pid) - memory < 64 * MIB
    assert len(os.listdir(f"/proc/{torii.daemon.process.pid}/fd")) < 200
    assert found()[("script", "10.0.0.13:9100")] == "script" and "Permission denied" in check(torii, "10.0.0.13:9100")["detail"]
    torii.reload(nat([service("s", lab.vip4, 80, backends[:1], health=common)]))
    eventually(lambda: not names(lab.lb) & {"sleep", "yes", "s0", "s1", "s2", "s3"}, 10, "no script is left")


def bomb():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 13)]
    return "\n".join(lines) + "\n"


FILES = {  # what it holds, and what is said about it
    "a million keys": (lambda: "".join(f"k{n}: 1\n" for n in range(1_000_000)), "unknown key 'k0'"),
    "one key a million times": (lambda: "instance: a\n" * 1_000_000, "'instance' is given twice"),
    "a million servers": (lambda: "servers:\n" + "".join(f"  s{n}: {{}}\n" for n in range(1_000_000)), "'address' is missing"),
    "lines of a megabyte": (lambda: "".join(f"{chr(97 + n)}: {'x' * MIB}\n" for n in range(12)), "unknown key 'a'"),
    "a key of a megabyte": (lambda: "x" * MIB + ": 1\n", "not YAML: illegal map value"),
    "anchors that explode": (bomb, "more than 4194304 values, with aliases expanded"),
    "brackets": (lambda: "[" * 3_000_000, "more than 2097152 brackets and commas"),
    "invalid UTF-8": (lambda: "instance: ok\nweb: \udcff\n", ":2:6: the byte 0xff is not UTF-8"),
    "a program": (lambda: pathlib.Path("/bin/true").read_bytes().decode(errors="surrogateescape"), "the byte 0x7f is a control character"),
    "17 megabytes": (lambda: "#" * (17 * MIB), "more than 16 MiB"),
}


@pytest.mark.parametrize("case", FILES, ids=lambda c: c.replace(" ", "_"))
def test_a_hostile_file_is_answered_soon_with_bounded_memory(lab, case):
    make, sentence = FILES[case]
    file = lab.directory / "hostile.yaml"
    file.write_bytes(make().encode(errors="surrogateescape"))
    out = lab.directory / "said"
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (2048 * MIB, 2048 * MIB))
    done = subprocess.run([BIN / "torii", "config", "check", file], stdout=subprocess.DEVNULL, stderr=open(out, "wb"), timeout=120, preexec_fn=limit)
    text = out.read_text(errors="replace")
    assert done.returncode == 1 and sentence in text, text[:2000]
    assert len(text) < MIB and max(map(len, text.splitlines())) < 2000
