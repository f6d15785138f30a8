"""Scenarios (scenario.md) on the kernel's IPVS and on torii, and what came of them."""
import collections
import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


def outcomes(text):
    """Scenario -> its lines. Loads and entries come in no order; choices do."""
    found, lines = collections.OrderedDict(), []
    for line in text.splitlines():
        if line.startswith("scenario "):
            lines = found.setdefault(line.split()[1], [])
        else:
            lines.append(line)
    return {name: [l for l in lines if l.startswith("choice")] + sorted(l for l in lines if not l.startswith("choice"))
            for name, lines in found.items()}


def on_the_kernel(scenarios, directory, at_once=1):
    (directory / "scenarios").write_text("".join(scenarios.values()))
    done = subprocess.run([HERE / "guest/run", "-t", "150", "-o", directory, HERE / "guest/replay",
                           "/mnt/out/scenarios", "/mnt/out/outcomes", str(at_once)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return outcomes((directory / "outcomes").read_text())


def on_torii(scenarios):
    done = subprocess.run([os.environ["PIPELINE_DRIVER"]], input="".join(scenarios.values()),
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return outcomes(done.stdout)


def scenario(name, steps):
    return "\n".join([f"scenario {name}", *(line.strip() for line in steps.strip().splitlines()), "end", ""])
