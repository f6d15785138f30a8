"""ipvsadm's commands on a balancer that forwards: at once, over restarts of toriid, and beside a file that changes."""
import json
import signal

import lab as _lab
from recipes import nat, service


def configuration(*services, **more):
    return nat(list(services), **more)


def web(lab, weight=1):
    return service("web", lab.vip4, 80, [{"address": "10.0.0.11", "weight": weight}])


def names(lab, count=6):
    return {lab.client.get(f"http://{lab.vip4}/name") for _ in range(count)}


def servers_up(lab):
    for server in lab.servers:
        server.nginx()


def test_commands_alone_make_a_balancer(two_armed):
    lab = two_armed
    servers_up(lab)
    torii = _lab.Torii(lab.lb, configuration())
    torii.ipvsadm("-A", "-t", f"{lab.vip4}:80", "-s", "rr")
    for n in (1, 2):
        torii.ipvsadm("-a", "-t", f"{lab.vip4}:80", "-r", f"10.0.0.1{n}", "-m")
    torii.wait()
    assert names(lab) == {"web1", "web2"}
    torii.ipvsadm("-e", "-t", f"{lab.vip4}:80", "-r", "10.0.0.12", "-m", "-w", "0")
    torii.wait()
    assert names(lab) == {"web1"}
    listed = torii.ipvsadm("-Ln")
    assert torii.torii("config", "diff", check=False).returncode == 1

    # Killed and started again it has the same table, and the counters go on.
    torii.daemon.stop(signal.SIGKILL)
    assert names(lab, 2) == {"web1"}
    torii.start_daemon()
    torii.wait()
    again = torii.ipvsadm("-Ln")
    assert [line.split()[:5] for line in again.splitlines()] == [line.split()[:5] for line in listed.splitlines()]
    assert int(torii.ipvsadm("-Ln", "--stats", "--exact").splitlines()[3].split()[2]) >= 8

    # Rates come, and -Z begins anew.
    def rate():
        lab.client.get(f"http://{lab.vip4}/name")
        return int(torii.ipvsadm("-Ln", "--rate").splitlines()[3].split()[3])
    _lab.eventually(lambda: rate() > 0, 10, "packets a second")
    torii.ipvsadm("-Z")
    assert torii.ipvsadm("-Ln", "--stats").splitlines()[3].split()[2:] == ["0"] * 5
    torii.ipvsadm("-C")
    torii.wait()
    assert lab.client.curl(f"http://{lab.vip4}/", check=False).returncode != 0


def test_a_reload_changes_what_changed_in_the_file(two_armed):
    lab = two_armed
    servers_up(lab)
    torii = _lab.Torii(lab.lb, configuration(web(lab)))
    torii.ipvsadm("-a", "-t", f"{lab.vip4}:80", "-r", "10.0.0.12", "-m")
    torii.ipvsadm("-e", "-t", f"{lab.vip4}:80", "-r", "10.0.0.11", "-m", "-w", "0")
    torii.ipvsadm("--set", "0", "0", "77")
    torii.wait()
    assert names(lab) == {"web2"}
    difference = torii.torii("config", "diff", check=False)
    assert difference.stdout == (f"timeouts\n  - udp 300\n  + udp 77\n  {lab.vip4}:80/tcp\n  - server 10.0.0.11:80 nat weight 1\n"
                                 "  + server 10.0.0.11:80 nat weight 0\n  + server 10.0.0.12:80 nat weight 1\n")

    # Another service in the file: nothing of this one changes.
    other = service("other", lab.vip4, 81, ["10.0.0.13"])
    assert "dropped" not in torii.reload(configuration(web(lab), other)).stdout
    torii.wait()
    assert names(lab) == {"web2"}

    # Another weight in the file wins over the one that was set.
    assert "1 runtime edits are dropped" in torii.reload(configuration(web(lab, weight=3), other)).stdout
    torii.wait()
    assert names(lab) == {"web1", "web2"}
    assert "10.0.0.11:80                 Masq    3 " in torii.ipvsadm("-Ln")
    assert torii.ipvsadm("-L", "--timeout") == "Timeout (tcp tcpfin udp): 900 120 77\n"

    # So it does when toriid was not there to see the change.
    torii.daemon.stop()
    torii.write(configuration(web(lab, weight=3), other, timeouts={"udp": "60s"}))
    torii.start_daemon()
    torii.wait()
    assert torii.ipvsadm("-L", "--timeout") == "Timeout (tcp tcpfin udp): 900 120 60\n"
    assert names(lab) == {"web1", "web2"}
    torii.ipvsadm("-d", "-t", f"{lab.vip4}:80", "-r", "10.0.0.12")
    assert torii.torii("config", "diff").stdout == ""


def test_edits_that_cannot_be_read_are_told_and_set_aside(two_armed):
    lab = two_armed
    torii = _lab.Torii(lab.lb, configuration(web(lab)))
    torii.ipvsadm("-A", "-t", f"{lab.vip4}:99")
    torii.daemon.stop()
    (torii.shm / "edits").write_text("nonsense\n")
    torii.start_daemon()
    torii.wait()
    assert "edits of the former run are lost" in torii.daemon.output()
    assert (torii.shm / "edits.bad").read_text() == "nonsense\n"
    assert ":99 " not in torii.ipvsadm("-Ln") and ":80 " in torii.ipvsadm("-Ln")


def test_a_batch_is_one_change_with_an_answer_for_each_line(two_armed):
    lab = two_armed
    torii = _lab.Torii(lab.lb, configuration())
    before = torii.status()["generation"]["services"]["published"]
    rules = "".join(f"-A -t 10.9.{n // 256}.{n % 256}:80 -s rr\n-a -t 10.9.{n // 256}.{n % 256}:80 -r 10.0.0.11 -m\n" for n in range(1, 500))
    done = torii.host.run("env", f"TORII_INSTANCE={torii.instance}", _lab.BIN / "ipvsadm", "-R", input=rules + "-A -t 10.9.0.1:80\n", check=False)
    assert (done.returncode, done.stderr) == (255, "Service already exists\n")
    assert torii.status()["generation"]["services"]["published"] == before + 1
    assert torii.ipvsadm("-Ln").count("  -> 10.0.0.11") == 499
    body = json.dumps([{"do": "add_service", "tcp": "10.9.9.9:80"}, {"do": "nonsense"}])
    socket = f"/run/torii/{torii.instance}/api.sock"
    answer = torii.host.run("curl", "-sS", "--unix-socket", socket, "-d", body, "http://torii/v1/ipvs").stdout
    assert "'do' is none of" in answer and "10.9.9.9" not in torii.ipvsadm("-Ln")
