"""Bad input: a sentence that names the place and what to do, exit status 1, nothing half-started left behind."""
import os
import pathlib

import pytest
from lab import BIN, Torii
from recipes import nat, nat_backends, service


def broken(lab, change):
    configuration = nat([service("www", lab.vip4, 80, nat_backends(8080))])
    change(configuration)
    return configuration


def set_key(path, value):
    def change(configuration):
        node = configuration
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value
    return change


CASES = {
    "unknown key": (set_key(["services", 0, "schedular"], "rr"), "schedular"),
    "wrong type": (set_key(["services", 0, "backends", 0, "port"], "http"), "port"),
    "duplicate service": (lambda c: c["services"].append(dict(c["services"][0], name="again")), "198.51.100.10:80"),
    "server on no route": (set_key(["services", 0, "backends", 0, "address"], "192.0.2.99"), "192.0.2.99"),
    "no such interface": (set_key(["dataplane", "ports", 0], {"name": "outside", "driver": "af_xdp", "interface": "nosuch0"}), "nosuch0"),
    "port 0": (set_key(["services", 0, "backends", 0, "port"], 0), "port"),
    "table too large": (set_key(["dataplane", "connections"], "1024M"), "lower 'connections'"),
    "no such core": (set_key(["dataplane", "workers"], [999]), "999"),
}


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.replace(" ", "_"))
def test_bad_configuration(two_armed, case):
    lab = two_armed
    change, word = CASES[case]
    torii = Torii(lab.lb, broken(lab, change), start=False)
    check = torii.host.run(BIN / "torii", "config", "check", torii.file, check=False)
    assert check.returncode == 1 or case == "server on no route", check.stdout + check.stderr
    daemon = torii.start_daemon()
    assert daemon.wait(20) == 1, daemon.output()
    said = daemon.output()
    assert word in said and f"{torii.file}:" in said, said
    if case not in ("server on no route",):
        assert torii.start_dataplane().wait(20) == 1, torii.dataplane.output()
    assert not list(torii.shm.glob("services.*")) and not list(torii.shm.glob("connections*"))
    assert "xdp" not in lab.lb.ip("link show out0").stdout
    assert not pathlib.Path(f"/run/torii/{torii.instance}/api.sock").exists()


def test_every_fault_is_told_at_once(two_armed):
    lab = two_armed
    configuration = nat([service("www", lab.vip4, 80, nat_backends(8080), schedular="rr"),
                         service("two", lab.vip4, 70000, nat_backends(8080))])
    configuration["nonsense"] = 1
    torii = Torii(lab.lb, configuration, start=False)
    check = torii.host.run(BIN / "torii", "config", "check", torii.file, check=False)
    said = check.stdout + check.stderr
    assert check.returncode == 1
    assert all(word in said for word in ("schedular", "70000", "nonsense")), said
    assert sum(line.startswith(f"{torii.file}:") for line in said.splitlines()) >= 3, said


def test_a_second_daemon_of_an_instance_is_refused(two_armed):
    lab = two_armed
    torii = Torii(lab.lb, nat([service("www", lab.vip4, 80, nat_backends(8080))]))
    for program in ("toriid", "torii-dataplane"):
        second = lab.lb.start(BIN / program, "-c", torii.file)
        assert second.wait(20) == 1 and "another" in second.output(), second.output()
    torii.wait()
    assert torii.dataplane.running() and torii.daemon.running()


def test_without_toriid_the_commands_say_so(two_armed):
    lab = two_armed
    torii = Torii(lab.lb, nat([service("www", lab.vip4, 80, nat_backends(8080))]), start=False)
    done = lab.lb.run("env", f"TORII_INSTANCE={torii.instance}", BIN / "ipvsadm", "-Ln", check=False)
    assert done.returncode == 2 and "Can't initialize ipvs" in done.stderr, done.stderr
    done = torii.torii("wait", "--timeout", "200ms", check=False)
    assert done.returncode == 1 and done.stdout + done.stderr


def test_two_instances_run_side_by_side_on_one_machine(two_armed):
    lab = two_armed
    for server in lab.servers:
        server.nginx(8080)
    first = Torii(lab.lb, nat([service("www", lab.vip4, 80, nat_backends(8080))]))
    other = lab.host("lb2").connect(lab.hosts[1], "10.0.0.9/24", interface="in0").connect(lab.hosts[0], "198.51.100.9/24", "198.51.100.11/32", interface="out0")
    other.forward()
    second = Torii(other, nat([service("www", "198.51.100.11", 80, nat_backends(8080))]))
    assert first.instance != second.instance
    assert lab.client.get(f"http://{lab.vip4}/") in ("web1", "web2", "web3")
    assert first.ipvsadm("-Ln") != second.ipvsadm("-Ln")
    assert os.path.isdir(first.shm) and os.path.isdir(second.shm)
