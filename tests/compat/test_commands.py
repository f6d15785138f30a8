"""Command lines (commands.txt) answered by Debian's ipvsadm on the kernel's IPVS, and by torii's on toriid: standard
output, standard error and exit status are the same, byte for byte; a file that one saves, the other restores.

TORII_BIN names torii's programs (ctest does). TORII_COMPAT_KEEP=DIR keeps what both answered.
"""
import difflib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import lab as _lab  # noqa: E402

LINES = HERE / "commands.txt"

# Where torii answers otherwise, and why (docs/compatibility.md). Lines with a ! must be here, and must differ.
EXCEPTIONS = {
    "ipvsadm --start-daemon master --mcast-interface nosuch0": "torii does not synchronise connections",
    "ipvsadm --start-daemon backup --mcast-interface lo --syncid 7": "torii does not synchronise connections",
    "ipvsadm -L --daemon": "no daemon was started",
    "ipvsadm --stop-daemon backup": "no daemon was started",
    "ipvsadm -a -t 10.0.0.1:80 -r 10.0.0.2 -w 65536": "weights end at 65535; the kernel takes any number",
    "ipvsadm -A -u 0.0.0.0:88": "a service on the unspecified address is refused",
    "ipvsadm -D -u 0.0.0.0:88": "it was not added",
    "ipvsadm -A -t [::ffff:10.0.0.1]:80": "a service on an IPv4 address in IPv6 is refused",
    "ipvsadm -D -t [::ffff:10.0.0.1]:80": "it was not added",
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    keep = os.environ.get("TORII_COMPAT_KEEP")
    return pathlib.Path(keep) if keep else tmp_path_factory.mktemp("commands")


def torii_answers(directory, name, *rules):
    """In a namespace of its own, without a dataplane: nothing here needs one."""
    made = _lab.Lab()
    try:
        host = made.host("lb")
        torii = _lab.Torii(host, {"web": {"listen": "none"}, "dataplane": {"ports": [{"name": "p", "driver": "memory", "kernel_interface": "p0"}]},
                                  "services": []}, start=False)
        torii.start_daemon()
        _lab.eventually(lambda: torii.torii("status", check=False).returncode == 0, 20, "toriid answers")
        out = directory / name
        host.run("env", f"TORII_INSTANCE={torii.instance}", f"PATH={_lab.BIN}:/usr/bin:/bin", HERE / "guest" / "commands", LINES, out, *rules,
                 timeout=200)
        return json.loads(out.read_text())
    except AssertionError:
        made.report()
        raise
    finally:
        made.close()


def kernel_answers(directory, name, *rules):
    out = directory / "guest"
    out.mkdir(exist_ok=True)
    done = subprocess.run([HERE / "guest" / "run", "-t", "500", "-o", out, HERE / "guest" / "commands", LINES, f"/mnt/out/{name}",
                           *(f"/mnt/out/{pathlib.Path(shutil.copy(r, out)).name}" for r in rules)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((out / name).read_text())


@pytest.fixture(scope="module")
def answers(directory):
    """What both answer to the lines; each restores what the other saved."""
    first = torii_answers(directory, "torii.json")
    rules = directory / "torii.rules"
    rules.write_text(first["saved"])
    kernel = kernel_answers(directory, "kernel.json", rules)
    rules = directory / "kernel.rules"
    rules.write_text(kernel["saved"])
    second = torii_answers(directory, "again.json", rules)
    return first, kernel, second


def lines():
    return [line for line in LINES.read_text().splitlines() if line.strip() and not line.startswith("#")]


def named():
    return [line[1:].rstrip("\n") for line in LINES.read_text().splitlines() if line.startswith("!")]


def test_lines_enough_and_exceptions_few():
    assert len(set(lines())) >= 150
    assert set(named()) == set(EXCEPTIONS) and len(EXCEPTIONS) <= 10


def test_every_line_is_answered_alike(answers):
    torii, kernel, _ = answers
    marks = [line.startswith("!") for line in lines()]
    assert len(marks) == len(torii["answers"]) == len(kernel["answers"])
    wrong = []
    for exception, mine, its in zip(marks, torii["answers"], kernel["answers"]):
        if exception:
            assert mine != its, f"no exception any more: {mine[0]}"
            continue
        for part, a, b in zip(("stdout", "stderr", "status"), its[1:], mine[1:]):
            if a != b:
                shown = "\n".join(difflib.unified_diff(str(a).splitlines(), str(b).splitlines(), "ipvsadm", "torii", lineterm=""))
                wrong.append(f"{mine[0]}: {part}\n{shown}")
    assert not wrong, f"{len(wrong)} of {len(marks)} differ\n\n" + "\n\n".join(wrong)


def test_a_saved_file_restores_in_the_other(answers):
    first, kernel, second = answers
    assert first["saved"].count("\n") > 50
    assert kernel["restore"] == ["", "", 0] and kernel["restored"] == first["saved"]
    assert second["restore"] == ["", "", 0] and second["restored"] == kernel["saved"]
