"""What the state of servers does to their service: quorum, sorry server, programs, bounds, slow start, and what is said by hand."""
import json
import signal

from lab import Torii, eventually
from recipes import nat_backends, spread, url
from test_health import Load, QUICK, check, health, members, www
from test_health_types import script


def weights(torii):
    """Of the servers in the table, by address."""
    lines = [line.split() for line in torii.ipvsadm("-Ln").splitlines()]
    return {words[1].rsplit(":", 1)[0]: int(words[3]) for words in lines if words and words[0] == "->" and words[1][0].isdigit()}


def everybody_up(torii):
    eventually(lambda: all(c["proven"] and c["up"] for c in health(torii)["checks"]), 10, "every server is up")


def up(torii, address):
    return check(torii, f"{address}:80")["up"]


def test_the_sorry_server_takes_over_and_gives_back_with_no_moment_between(two_armed):
    lab = two_armed
    for server in lab.servers:
        server.nginx_with_troubles(80)
    torii = Torii(lab.lb, www(lab, {"type": "http", "http": {"path": "/healthz"}}, numbers=(1, 2), quorum={"up": 2},
                              sorry_server={"address": "10.0.0.13", "port": 80}))
    everybody_up(torii)
    assert weights(torii) == {"10.0.0.11": 1, "10.0.0.12": 1}
    load = Load(lab, lab.vip4)
    for _ in range(2):
        (lab.servers[1].www / "broken").touch()  # only its health answers badly: it goes on serving
        eventually(lambda: weights(torii) == {"10.0.0.11": 0, "10.0.0.13": 1}, 10, "the sorry server alone gets what is new")
        torii.wait()
        assert dict(spread(lab.client, lab.vip4, 6)) == {"web3": 6}
        (lab.servers[1].www / "broken").unlink()
        eventually(lambda: weights(torii) == {"10.0.0.11": 1, "10.0.0.12": 1}, 10, "the servers are back")
        torii.wait()
        assert set(spread(lab.client, lab.vip4, 6)) == {"web1", "web2"}
    results = [name for _, name in load.stop()]
    assert {"web1", "web2", "web3"} <= set(results)
    assert "answered_no_backend" not in torii.verdicts(), "there was always somebody"
    # A request that was on a server when it left the table may be lost, at most one of the client's at a time.
    assert results.count("failed") <= 4, results
    assert "event=quorum state=lost virtual=198.51.100.10:80/tcp weight=1 needed=2 hysteresis=0 sorry=in" in torii.daemon.output()


def test_programs_are_told_each_event_once_and_in_order(two_armed):
    lab = two_armed
    lab.directory.chmod(0o755)
    for server in lab.servers:
        server.nginx_with_troubles(80)
    told = lab.directory / "told"
    told.touch(0o666)
    told.chmod(0o666)
    tell = script(lab, "tell", f'echo "begin $TORII_EVENT" >> {told}; sleep 0.1\n'
                  f'echo "$TORII_EVENT $TORII_SERVICE $TORII_VIRTUAL $TORII_SERVER$TORII_WEIGHT $1 $(id -un)" >> {told}\n')
    hang = script(lab, "hang", f'echo "begin $TORII_EVENT" >> {told}; sleep 600 & wait\n')
    settings = {"quorum": {"up": 3, "hysteresis": 1, "on_up": [tell, "a b"], "on_down": hang},
                "notify": {"up": [tell, "x"], "down": [tell, "y"], "user": "nobody", "timeout": "300ms"}}
    torii = Torii(lab.lb, www(lab, {"type": "http", "http": {"path": "/healthz"}}, **settings))
    everybody_up(torii)
    lines = lambda: told.read_text().splitlines()
    service = "www 198.51.100.10:80/tcp"
    assert lines() == [], "nothing has happened yet"
    (lab.servers[0].www / "broken").touch()
    down1 = ["begin server_down", f"server_down {service} 10.0.0.11 y nobody"]
    eventually(lambda: lines() == down1, 10, "one server is down; the quorum of 3 with hysteresis 1 stands")
    (lab.servers[1].www / "broken").touch()
    down2 = down1 + ["begin server_down", f"server_down {service} 10.0.0.12 y nobody", "begin quorum_down"]
    eventually(lambda: lines() == down2, 10, "the quorum is lost, after the server")
    (lab.servers[0].www / "broken").unlink()
    (lab.servers[1].www / "broken").unlink()
    eventually(lambda: len(lines()) == len(down2) + 4, 10, "both servers are up; three are not four")
    assert sorted(lines()[-4:]) == sorted(["begin server_up"] * 2 + [f"server_up {service} 10.0.0.1{n} x nobody" for n in (1, 2)])
    easier = {**settings, "quorum": {**settings["quorum"], "hysteresis": 0}}
    torii.reload(www(lab, {"type": "http", "http": {"path": "/healthz"}}, **easier))
    end = ["begin quorum_up", f"quorum_up {service} 3 a b nobody"]
    eventually(lambda: lines()[-2:] == end, 10, "the quorum is gained by the reload")
    so_far = lines()
    torii.reload(torii.configuration)
    torii.daemon.stop(signal.SIGKILL)
    torii.start_daemon()
    torii.wait()
    everybody_up(torii)
    (lab.servers[2].www / "broken").touch()
    eventually(lambda: lines() == so_far + ["begin server_down", f"server_down {service} 10.0.0.13 y nobody", "begin quorum_down"], 10,
               "a reload and a restart repeat nothing")
    assert 'of="quorum down" error="did not end in time"' in "".join(p.output() for p in lab.processes if "toriid" in p.name)


def test_max_down_keeps_part_of_the_servers_whatever_checks_say(two_armed):
    lab = two_armed
    for server in lab.servers:
        server.nginx_with_troubles(80)
    torii = Torii(lab.lb, www(lab, {"type": "http", "http": {"path": "/healthz"}}, max_down=67))
    everybody_up(torii)
    for n in (1, 2, 3):
        (lab.servers[n - 1].www / "broken").touch()
        eventually(lambda: not up(torii, f"10.0.0.1{n}"), 10, f"web{n} is down")
    eventually(lambda: members(torii) == {"10.0.0.13"}, 3, "the one that went down last stays")
    assert lab.client.get(url(lab.vip4)) == "web3"
    (lab.servers[0].www / "broken").unlink()
    eventually(lambda: members(torii) == {"10.0.0.11"}, 10, "one that is up is enough")


def test_a_server_that_came_back_starts_slowly(two_armed):
    lab = two_armed
    for server in lab.servers:
        server.nginx_with_troubles(80)
    configuration = www(lab, {"type": "http", "http": {"path": "/healthz"}}, slow_start="5s")
    for backend in configuration["services"][0]["backends"]:
        backend["weight"] = 100
    torii = Torii(lab.lb, configuration)
    everybody_up(torii)
    assert set(weights(torii).values()) == {100}, "at the start everybody has its weight"
    flag = lab.servers[2].www / "broken"
    flag.touch()
    eventually(lambda: "10.0.0.13" not in weights(torii), 10, "it is down")
    flag.unlink()
    seen = []

    def grown():
        now = weights(torii).get("10.0.0.13")
        if now is not None and now not in seen:
            seen.append(now)
        return now == 100
    eventually(grown, 15, "it has its weight again")
    assert seen == sorted(seen) and len(seen) >= 5 and seen[0] <= 50 and all(w % 10 == 0 for w in seen), seen
    assert weights(torii)["10.0.0.11"] == 100


def test_what_is_said_by_hand_holds_over_reload_and_restart(two_armed):
    lab = two_armed
    for server in lab.servers:
        server.nginx(80)
    configuration = {**www(lab, {"type": "tcp"}), "servers": {"web1": {"address": "10.0.0.11"}}}
    configuration["services"][0]["backends"][0] = {"server": "web1", "port": 80}
    torii = Torii(lab.lb, configuration)
    everybody_up(torii)
    assert torii.torii("server", "down", "web1").stdout == ""
    assert weights(torii) == {"10.0.0.12": 1, "10.0.0.13": 1}
    torii.torii("server", "drain", "10.0.0.12:80", "--service", "www")
    assert weights(torii) == {"10.0.0.12": 0, "10.0.0.13": 1}
    held = "drain  10.0.0.12:80 in www\ndown   web1\n"
    assert torii.torii("server", "list").stdout == held
    for again in (lambda: torii.reload(configuration), lambda: (torii.daemon.stop(signal.SIGKILL), torii.start_daemon(), torii.wait())):
        again()
        everybody_up(torii)
        assert weights(torii) == {"10.0.0.12": 0, "10.0.0.13": 1}
        assert dict(spread(lab.client, lab.vip4, 4)) == {"web3": 4}
    assert "event=server" not in torii.daemon.output(), "nobody went up or down by the restart"
    assert "by hand    web1 down\n" in torii.torii("status").stdout
    assert "down     by hand web1\n" in torii.torii("health", "down").stdout
    metrics = lab.lb.run("curl", "-sS", "--unix-socket", f"/run/torii/{torii.instance}/api.sock", "http://torii/metrics").stdout
    assert 'torii_server_held{server="web1",service="",state="down"} 1' in metrics
    assert json.loads(torii.torii("server", "list", "--json").stdout)[1]["state"] == "down"
    for wrong, sentence in ((("web9",), "no service has a server web9"), (("web1", "--service", "mail"), "service mail has no server web1"), ((), "which server?")):
        done = torii.torii("server", "up", *wrong, check=False)
        assert done.returncode == 1 and sentence in done.stderr, done
    torii.torii("server", "up", "web1")
    torii.torii("server", "up", "10.0.0.12:80", "--service", "www")
    assert weights(torii) == {"10.0.0.11": 1, "10.0.0.12": 1, "10.0.0.13": 1}
    assert torii.torii("server", "list").stdout == ""


def test_good_servers_stay_when_the_checker_was_stopped(two_armed):
    lab = two_armed
    for server in lab.servers:
        server.nginx(80)
    torii = Torii(lab.lb, www(lab, {"type": "http", "fall": 1, "interval": "50ms", "timeout": "100ms"}))
    everybody_up(torii)
    assert len(spread(lab.client, lab.vip4, 6)) == 3, "every neighbour is known"
    pid, before = torii.daemon.process, len(torii.daemon.output())
    for _ in range(5):
        good = health(torii)["checks"][0]["good"]
        pid.send_signal(signal.SIGSTOP)
        eventually(lambda: open(f"/proc/{pid.pid}/stat").read().rsplit(") ", 1)[1][0] in "tT", what="toriid is stopped")
        assert lab.client.get(url(lab.vip4)).startswith("web")
        lab.client.run("sleep", "0.4")  # longer than any probe may take
        pid.send_signal(signal.SIGCONT)
        eventually(lambda: health(torii)["checks"][0]["good"] > good + 2, what="probing goes on")
    assert "state=down" not in torii.daemon.output()[before:]
    assert health(torii)["absences"] >= 5
