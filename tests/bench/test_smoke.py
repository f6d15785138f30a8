"""scripts/bench measures everything it promises. Speed is not judged: this may be any machine, under any load."""
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Name -> unit, and between which numbers a figure can be true at all.
REQUIRED = {"ceiling/macswap": ("ns/packet", 0.5, 1e5), "memory/connection": ("bytes", 64, 200), "start/first-packet": ("s", 0.01, 30),
            "idle/cpu": ("%", 0.001, 200)}
REQUIRED |= {f"pipeline/{method}/{family}/flows={n}": ("ns/packet", 1, 1e5) for method in ("nat", "dr") for family in ("ipv4", "ipv6")
             for n in (1000, 65000, 1000000, 10000000)}
REQUIRED |= {f"connections/new/{scheduler}": ("1/s", 1e3, 1e9) for scheduler in ("rr", "wrr", "lc", "wlc", "sh", "dh")}
REQUIRED |= {f"rig/{program}/flows={n}": ("ns/packet", 1, 1e5) for program in ("macswap", "torii/nat/ipv4") for n in (1000, 65000)}
REQUIRED |= {f"vrrp/{who}/100ms/planned-stop{what}": (unit, 0, 1e5) for who in ("torii", "keepalived", "balancer")
             for what, unit in (("", "ms"), ("/lost", "requests"))}


def test_every_promised_figure_is_measured(tmp_path):
    file = tmp_path / "bench.json"
    kinds = "^(" + "|".join(sorted({name.split("/")[0] for name in REQUIRED})) + ")/"
    done = subprocess.run([ROOT / "scripts" / "bench", "--quick", "--only", kinds, "--json", file, "--bin", os.environ["TORII_BIN"]],
                          capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    written = json.loads(file.read_text())
    assert written["machine"]["cores"] == os.cpu_count() and written["commit"]
    results = {result["name"]: result for result in written["results"]}
    assert not REQUIRED.keys() - results.keys()
    for name, (unit, least, most) in REQUIRED.items():
        result = results[name]
        assert result["unit"] == unit and result["runs"] >= 1, result
        assert least <= result["min"] <= result["median"] <= result["max"] <= most, result
