"""torii config ... on a running toriid: what is in force is shown, applied and refused as a whole."""
import json
import re

import pytest
import yaml

import lab as _lab


def configuration(weight=1):
    return {"web": {"listen": "none"},
            "dataplane": {"ports": [{"name": "p", "driver": "af_xdp", "interface": "out0"}]},
            "services": [{"name": "www", "virtual": "198.51.100.10:80/tcp", "scheduler": "rr",
                          "backends": [{"address": "198.51.100.11", "weight": weight}, {"address": "198.51.100.12"}]}]}


@pytest.fixture
def torii(lab):
    """A balancer with toriid alone."""
    host = lab.host("lb").connect(lab.segment("outside"), "198.51.100.1/24", interface="out0")
    made = _lab.Torii(host, configuration(), start=False)
    made.start_daemon()
    _lab.eventually(lambda: made.torii("status", check=False).returncode == 0, what="toriid answers")
    return made


def test_show_fills_in_defaults_and_can_be_read_again(torii):
    shown = torii.torii("config", "show").stdout
    assert yaml.safe_load(shown)["timeouts"] == {"tcp": "15m", "tcp_fin": "2m", "udp": "5m"}
    assert torii.torii("config", "show", "dataplane.connections").stdout == "1M\n"
    again = torii.lab.directory / "again.yaml"
    again.write_text(shown)
    assert torii.torii("-c", again, "config", "show").stdout == shown
    missing = torii.torii("config", "show", "dataplane.nothing", check=False)
    assert (missing.returncode, missing.stderr) == (1, "torii: there is no 'dataplane.nothing' in it\n")


def test_apply_puts_a_file_into_force_and_in_place(torii):
    before = torii.file.read_text()
    changed = torii.lab.directory / "changed.yaml"
    changed.write_text(yaml.safe_dump({"instance": torii.instance, **configuration(weight=7)}))
    torii.torii("config", "apply", changed)
    assert torii.file.read_text() == changed.read_text()
    assert torii.file.with_name(torii.file.name + "~").read_text() == before
    assert "  -> 198.51.100.11:80             Masq    7" in torii.ipvsadm("-Ln")


def test_apply_with_a_mistake_changes_nothing(torii):
    before = torii.file.read_text()
    changed = torii.lab.directory / "changed.yaml"
    changed.write_text(before.replace("rr", "no-such-scheduler"))
    done = torii.torii("config", "apply", changed, check=False)
    assert done.returncode == 1
    assert re.search(r"lb\.yaml:\d+:\d+: 'scheduler' must be one of", done.stderr), done.stderr
    assert done.stderr.endswith("torii: nothing was changed\n")
    assert torii.file.read_text() == before
    assert not [path for path in torii.file.parent.iterdir() if path.name.startswith("lb.yaml.")]
    assert "Masq    1" in torii.ipvsadm("-Ln")


def test_included_files_are_reloaded_too(torii):
    included = torii.lab.directory / "more.yaml"
    included.write_text("services: [{name: more, virtual: 198.51.100.10:81/tcp, backends: [{address: 198.51.100.11}]}]\n")
    torii.reload({"include": "more.yaml", **configuration()})
    assert "TCP  198.51.100.10:81 wlc" in torii.ipvsadm("-Ln")
    included.write_text("services: [{name: more, virtual: 198.51.100.10:81/tcp, backends: [{address: nowhere}]}]\n")
    done = torii.torii("reload", check=False)
    assert done.returncode == 1 and "more.yaml:1:77: 'address' must be" in done.stderr, done.stderr


def test_schema_and_completion_come_from_the_same_tables(torii):
    schema = json.loads(torii.torii("config", "schema").stdout)
    assert "virtual" in schema["properties"]["services"]["items"]["properties"]
    script = torii.lab.directory / "completion.bash"
    script.write_text(torii.torii("completion", "bash").stdout)

    def complete(*words):
        line = " ".join(f"'{word}'" for word in words)
        return _lab.run("bash", "-c", f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _torii; "
                        "printf '%s\\n' \"${COMPREPLY[@]}\"").stdout.split()

    assert "config" in complete("torii", "con")
    assert {"show", "schema", "apply"} <= set(complete("torii", "config", ""))
    assert complete("torii", "-i", "x", "config", "show", "timeouts.tcp_") == ["timeouts.tcp_fin"]
    assert "--instance" in complete("torii", "--inst")
