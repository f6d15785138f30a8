"""How late adverts are: 255 instances with adverts every 10 ms, on one core that others want too. In microseconds, the
upper bound of the bucket in which the 99.9th percentile lies."""
import json
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import lab as _lab  # noqa: E402
from lab import Torii, eventually  # noqa: E402

INSTANCES = 255


def percentile(lateness, share):
    total = sum(b["adverts"] for b in lateness)
    seen = 0
    for bucket in lateness:
        seen += bucket["adverts"]
        if seen >= total * share:
            return bucket["up_to_us"] or float("inf")
    return 0


def add(instances):
    sums = {}
    for i in instances:
        for b in i["lateness"]:
            sums[b["up_to_us"]] = sums.get(b["up_to_us"], 0) + b["adverts"]
    return sums


def measure(seconds=5, hogs=2):
    made = _lab.Lab()
    try:
        lan = made.segment("lan")
        made.host("peer").connect(lan, "10.0.0.2/16")
        host = made.host("a").connect(lan, "10.0.0.1/16")
        instances = [{"name": f"i{n}", "interface": "eth0", "router_id": n, "interval": "10ms", "addresses": [f"10.0.1.{n}/32"],
                      "garp": {"repeat": 1, "delay": "0s"}} for n in range(1, INSTANCES + 1)]
        torii = Torii(host, {"vrrp": {"instances": instances}}, start=False)
        torii.start_daemon()
        core = max(os.sched_getaffinity(0))
        eventually(lambda: torii.torii("vrrp", check=False).returncode == 0, 20)

        def states():
            return json.loads(torii.torii("vrrp", "--json").stdout)["instances"]
        eventually(lambda: all(i["state"] == "active" for i in states()), 20, "all are active")
        for task in pathlib.Path(f"/proc/{torii.daemon.process.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {core})
        load = [host.start("taskset", "-c", core, "/bin/sh", "-c", "while :; do :; done", name=f"hog{n}") for n in range(hogs)]
        time.sleep(0.6)
        before, sent = add(states()), sum(i["sent"] for i in states())
        time.sleep(seconds)
        now, after = add(states()), sum(i["sent"] for i in states())
        for hog in load:
            hog.stop(signal.SIGKILL)
        between = [{"up_to_us": bound, "adverts": now[bound] - before[bound]} for bound in sorted(now, key=lambda b: b or 1 << 60)]
        return {"percentile_999_us": percentile(between, 0.999), "adverts": after - sent, "lateness": between}
    finally:
        made.close()


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
