"""How long a client of routers that share an address gets no answer, when one of them fails: torii, and Debian's
keepalived in the same namespaces, in turns. The client asks every 2 ms; of each run the longest time without an answer, in
milliseconds, and (/lost) how many requests in all had none.

    vrrp_failover.py [--runs N] [--only REGEX]     of torii in $TORII_BIN; scripts/bench runs it as vrrp/...
"""
import argparse
import contextlib
import os
import pathlib
import re
import signal
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import lab as _lab  # noqa: E402
import vrrp_lab  # noqa: E402
from lab import eventually  # noqa: E402
from vrrp_routers import Balancers, Keepalived, Stage, Torii  # noqa: E402

SETTLE = 0.15    # of answers before and after, so that an outage has both ends
CUT = 0.7        # how long a cut or a frozen process stays so after the other one has taken over
PATIENCE = 5     # for a client that asks the wrong one; after that the outage counts as so long


@contextlib.contextmanager
def asked(routers):
    """What is done meanwhile is measured; the result is in the list that is given."""
    time.sleep(0.3)
    found = []
    with routers.probe() as probe:
        time.sleep(SETTLE)
        yield found
        time.sleep(SETTLE)
    probe.end()
    last = max((n for n, name in enumerate(probe.answered) if name), default=-1)
    unended = probe.sent[-1] - probe.sent[last + 1] if last + 1 < len(probe.sent) else 0.0
    found.extend((max(probe.longest(), unended) * 1000, probe.lost()))


def settled(routers):
    """The first is active again, and the client asks there; or that does not come, which what is measured shows."""
    with contextlib.suppress(AssertionError):
        routers.held_by(0, alone=True)
        eventually(lambda: routers.stage.knows(routers.address) == 0, PATIENCE)


def fails(action):
    """Something happens to the first, and the second takes over."""
    def run(routers):
        routers.ready()
        with asked(routers) as found:
            action(routers)
            routers.held_by(1)
        return found
    return run


def heals(action, undo):
    """The second takes over, and after a while all is as it was."""
    def run(routers):
        routers.ready()
        with asked(routers) as found:
            action(routers)
            routers.held_by(1)
            time.sleep(CUT)
            undo(routers)
            settled(routers)
        return found
    return run


def hog(routers):
    """Three processes a core that never rest, beside the active one."""
    routers.ready()
    with asked(routers) as found:
        hogs = [routers.stage.hosts[0].start("/bin/sh", "-c", "while :; do :; done", name=f"hog{n}") for n in range(3 * os.cpu_count())]
        time.sleep(1)
        for one in hogs:
            one.stop(signal.SIGKILL)
    return found


def returns(routers):
    """The stronger one comes back while the weaker one is active."""
    routers.ready()
    routers.end(0)
    routers.held_by(1, alone=True)
    with asked(routers) as found:
        routers.start(0)
        routers.held_by(0, alone=True)
    return found


def returns_as_backup(routers):
    """Whoever was active stops and comes back, to wait."""
    routers.all_run()
    active = eventually(lambda: (holders := routers.holders()) and len(holders) == 1 and holders, 20)[0]
    routers.end(active)
    routers.held_by(1 - active, alone=True)
    routers.stage.introduce(routers.address)
    with asked(routers) as found:
        routers.start(active)
        time.sleep(1)
    assert routers.holders() == [1 - active], "it came back and took over"
    return found


def kill(routers):
    routers.end(0, signal.SIGKILL)


def whole(routers):
    routers.stage.whole()


def both(interval, number=2, preempt=True):
    """torii and keepalived on the same machines."""
    def build(made, kinds):
        stage = Stage(made, number=number, interval=interval, **({} if preempt else {"preempt": {"enabled": False}}))
        make = {"torii": lambda: Torii(stage), "keepalived": lambda: Keepalived(stage, interval, preempt)}
        return {kind: make[kind]() for kind in kinds}
    return build


def balancers(interval):
    return lambda made, kinds: {"balancer": Balancers(Stage(made, vrrp_lab.Balancers, interval=interval))}


TWO = {
    "planned-stop": fails(lambda r: r.end(0)),
    "kill": fails(kill),
    "interface-down": fails(lambda r: r.stage.down()),
    "cut-between": heals(lambda r: r.stage.cut(), whole),
    "cut-one-side": heals(lambda r: r.stage.deafen(), whole),
    "freeze": heals(lambda r: r.signal(0, signal.SIGSTOP), lambda r: r.signal(0, signal.SIGCONT)),
    "hog": hog,
    "return": returns,
}
THREE = {"three-kill": fails(kill), "three-interface-down": fails(lambda r: r.stage.down())}
BALANCER = {
    "planned-stop": fails(lambda r: r.end(0)),
    "kill-toriid": fails(kill),
    "kill-dataplane": fails(lambda r: r.kill_dataplane()),
    "kill-both": fails(lambda r: r.kill_both()),
    "return": returns,
}
SLOW = ("planned-stop", "interface-down", "cut-between", "freeze", "return")  # what keepalived's default interval changes


def groups():
    """(kinds, interval, how to lay it out, actions): what is measured together, in turns."""
    pair = ("torii", "keepalived")
    for interval in ("100ms", "10ms"):
        yield pair, interval, both(interval), TWO
        yield pair, interval, both(interval, preempt=False), {"return-no-preempt": returns_as_backup}
        yield pair, interval, both(interval, number=3), THREE
    yield ("keepalived",), "1000ms", both("1000ms"), {name: TWO[name] for name in SLOW}
    for interval in ("100ms", "10ms"):
        yield ("balancer",), interval, balancers(interval), BALANCER


@contextlib.contextmanager
def laid_out(build, kinds):
    made = _lab.Lab()
    try:
        yield build(made, kinds)
    except AssertionError:
        made.report()
        raise
    finally:
        made.close()


def measure(only, runs, quick=False):
    """A result of each name that is wanted, as scripts/bench writes them; quick: of one failure only."""
    for kinds, interval, build, actions in groups():
        if quick:
            actions = {name: run for name, run in actions.items() if name == "planned-stop" and interval == "100ms"}
        wanted = {(kind, action) for kind in kinds for action in actions if re.search(only, f"vrrp/{kind}/{interval}/{action}")}
        present = [kind for kind in kinds if any(kind == k for k, _ in wanted)]
        if not present:
            continue
        with laid_out(build, present) as routers:
            for action, run in actions.items():
                turns = [kind for kind in present if (kind, action) in wanted]
                found = {kind: [] for kind in turns}
                for _ in range(runs):
                    for kind in turns:
                        found[kind].append(run(routers[kind]))
                for kind in turns:
                    for suffix, unit, values in zip(("", "/lost"), ("ms", "requests"), zip(*found[kind])):
                        yield {"name": f"vrrp/{kind}/{interval}/{action}{suffix}", "unit": unit, "median": statistics.median(values),
                               "min": min(values), "max": max(values), "runs": len(values)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    for r in measure(options.only, options.runs):
        print(f"{r['name']:<48} {r['median']:>10.1f} {r['unit']:<8} {r['min']:>10.1f} {r['max']:>10.1f} {r['runs']:>4}", flush=True)


if __name__ == "__main__":
    main()
