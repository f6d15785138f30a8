"""Every type of check against a real server of its kind, with what it must tell apart."""
import pathlib
import re
import signal

import pytest

from lab import Torii, eventually, run
from recipes import nat, nat_backends, service
from test_health import QUICK, check, health, members, up_within


def one(lab, check, port, protocol="tcp", number=1, **more):
    return nat([service("s", lab.vip4, 80, nat_backends(port, [number]), protocol=protocol, health={**QUICK, **check}, **more)])


def proven(torii, **wanted):
    """Waits for a result of the one check, and compares what it found."""
    def found():
        checks = health(torii)["checks"]
        return checks and checks[0]["proven"] and all(checks[0][key] == value for key, value in wanted.items())
    try:
        eventually(found, 10)
    except AssertionError:
        raise AssertionError(f"{wanted} was to be found, not {health(torii)['checks']}") from None
    return health(torii)["checks"][0]


def test_https_with_sni_and_an_authority_of_ones_own(two_armed):
    lab, server = two_armed, two_armed.servers[0]
    pki = lab.directory

    def openssl(*arguments):
        run("openssl", *arguments, cwd=pki)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "30")
    for name in ("good.example", "other.example"):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}",
                "-addext", f"subjectAltName=DNS:{name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-copy_extensions", "copyall", "-out", f"{name}.pem", "-days", "9")
    server.nginx(80, servers="".join(f"""
      server {{ listen 443 ssl{' default_server' if name == 'other.example' else ''}; server_name {name}; ssl_certificate {pki}/{name}.pem; ssl_certificate_key {pki}/{name}.key;
        location / {{ return 200 "this is {name}\\n"; }} }}""" for name in ("good.example", "other.example")))
    ca = {"verify": True, "ca": f"{pki}/ca.pem"}
    good = {"type": "https", "http": {"host": "good.example", "body_regex": "this is good"}, "tls": ca}
    torii = Torii(lab.lb, one(lab, good, 443))
    # Made for nine days, of which a moment may have passed.
    assert re.search("the certificate ends in [89] days", proven(torii, up=True, reason="success")["warning"])
    torii.reload(one(lab, {**good, "http": {"host": "good.example"}, "tls": {"verify": True}}, 443))  # the system's authorities
    proven(torii, up=False, reason="tls", detail="unable to get local issuer certificate")
    torii.reload(one(lab, {**good, "http": {"body_regex": "this is other"}, "tls": {"expiry_warning": "1d"}}, 443))  # no name: the default server
    assert proven(torii, up=True)["warning"] == ""
    torii.reload(one(lab, {"type": "https", "http": {"body_regex": "this is good"}, "tls": {**ca, "server_name": "other.example"}}, 443))
    proven(torii, up=False, reason="mismatch", detail="the body does not match body_regex")
    torii.reload(one(lab, {**good, "tls": {**ca, "server_name": "third.example"}}, 443))
    proven(torii, up=False, reason="tls")
    torii.reload(one(lab, good, 80))  # plain text where TLS should be
    proven(torii, up=False, reason="tls")


def test_smtp(two_armed):
    lab, server = two_armed, two_armed.servers[0]
    start = lambda: server.start("/usr/bin/python3", "-m", "aiosmtpd", "-n", "-l", "0.0.0.0:25", name="smtpd")
    daemon = start()
    eventually(lambda: server.listening(25), what="the mail server listens")
    torii = Torii(lab.lb, one(lab, {"type": "smtp", "smtp": {"helo": "lb.example"}}, 25))
    proven(torii, up=True, reason="success")
    daemon.process.send_signal(signal.SIGSTOP)
    proven(torii, up=False, reason="timeout", detail="waiting for the greeting")
    daemon.process.send_signal(signal.SIGCONT)
    up_within(torii, "10.0.0.11:25")
    daemon.stop(signal.SIGKILL)
    proven(torii, up=False, reason="refused")
    start()
    up_within(torii, "10.0.0.11:25")
    torii.reload(one(lab, {"type": "smtp", "smtp": {"starttls": True}}, 25))
    proven(torii, up=False, reason="mismatch", detail="the server does not offer STARTTLS")


def test_dns_over_udp_and_tcp(two_armed):
    lab, server = two_armed, two_armed.servers[0]
    start = lambda: server.start("dnsmasq", "-k", "-C", "/dev/null", "-R", "-h", "-p", "53", "--address=/www.example/192.0.2.7", "--user=root", "--pid-file",
                                 "--local=/example/", name="dnsmasq")
    daemon = start()
    eventually(lambda: server.listening(53, "udp"), what="the name server listens")
    question = lambda **more: {"type": "dns", "dns": {"name": "www.example", "record": "A", **more}}
    torii = Torii(lab.lb, one(lab, question(answer=["192.0.2.7"]), 53, "udp"))
    proven(torii, up=True, reason="success")
    torii.reload(one(lab, question(answer=["192.0.2.8"]), 53, "udp"))
    proven(torii, up=False, reason="mismatch", detail="answered 192.0.2.7")
    torii.reload(one(lab, {"type": "dns", "dns": {"name": "none.example", "record": "A"}}, 53, "udp"))
    proven(torii, up=False, reason="bad_status", detail="NXDOMAIN")
    torii.reload(one(lab, question(answer=["192.0.2.7"], transport="tcp"), 53, "udp"))
    proven(torii, up=True, reason="success")
    daemon.stop(signal.SIGKILL)
    proven(torii, up=False, reason="refused")
    torii.reload(one(lab, question(), 53, "udp"))
    proven(torii, up=False, reason="refused")
    start()
    up_within(torii, "10.0.0.11:53")


def own_certificate(directory):
    if not (directory / "cert.pem").exists():
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out", "cert.pem",
            "-subj", "/CN=mail.example", "-addext", "subjectAltName=DNS:mail.example", "-days", "30", cwd=directory)
    return directory / "cert.pem", directory / "key.pem"


def start_mail(server, lab):
    certificate, key = own_certificate(lab.directory)
    return server.start("/usr/bin/python3", "-m", "aiosmtpd", "-n", "-l", "0.0.0.0:25", "--tlscert", certificate, "--tlskey", key, name="smtpd")


def start_names(server, _):
    return server.start("dnsmasq", "-k", "-C", "/dev/null", "-R", "-h", "-p", "53", "--address=/www.example/192.0.2.7", "--user=root", "--pid-file", name="dnsmasq")


def start_web(server, lab):
    certificate, key = own_certificate(lab.directory)
    return server.nginx(80, servers=f"server {{ listen 443 ssl; ssl_certificate {certificate}; ssl_certificate_key {key}; location / {{ return 200 ok; }} }}")


SERVERS = {  # how it is started, port, protocol, check, and the settings that it does not meet
    "starttls": (start_mail, 25, "tcp", {"type": "smtp", "smtp": {"starttls": True}, "tls": {"server_name": "mail.example", "verify": True, "ca": "CERT"}},
                 {"type": "smtp", "smtp": {"starttls": True}, "tls": {"server_name": "other.example", "verify": True, "ca": "CERT"}}, "tls"),
    "dns": (start_names, 53, "udp", {"type": "dns", "dns": {"name": "www.example", "record": "A", "answer": "192.0.2.7"}},
            {"type": "dns", "dns": {"name": "www.example", "record": "A", "answer": "192.0.2.9"}}, "mismatch"),
    "dns-tcp": (start_names, 53, "tcp", {"type": "dns", "dns": {"name": "www.example", "record": "A", "transport": "tcp"}},
                {"type": "dns", "dns": {"name": ".", "record": "MX", "transport": "tcp", "answer": "mail"}}, None),
    "https": (start_web, 443, "tcp", {"type": "https", "http": {"body_regex": "ok"}}, {"type": "https", "http": {"status": 404}}, "bad_status"),
}


def filled(settings, lab):
    """With the path of the certificate."""
    return {key: {k: str(lab.directory / "cert.pem") if v == "CERT" else v for k, v in value.items()} if isinstance(value, dict) else value
            for key, value in settings.items()}


@pytest.mark.parametrize("kind", SERVERS)
def test_every_trouble_of_every_kind(two_armed, kind):
    """Stopped, cut off by a firewall in both ways, answering wrongly, killed, and well again after each."""
    start, port, protocol, good, wrong, wrong_reason = SERVERS[kind]
    lab, server = two_armed, two_armed.servers[0]
    fill = lambda settings: filled(settings, lab)
    daemon = start(server, lab)
    eventually(lambda: server.listening(port, protocol), what=f"{kind} listens")
    torii = Torii(lab.lb, one(lab, fill(good), port, protocol))
    target = f"10.0.0.11:{port}"
    proven(torii, up=True, reason="success")

    def stop_and_continue(number):
        for pid in run("ip", "netns", "pids", server.namespace).stdout.split():
            run("kill", f"-{number}", pid)
    for begin, end, reason in [
            (lambda: stop_and_continue("STOP"), lambda: stop_and_continue("CONT"), "timeout"),
            (lambda: firewall(server, protocol, port, "drop"), lambda: server.run("nft", "delete table ip t"), "timeout"),
            (lambda: firewall(server, protocol, port, "reject"), lambda: server.run("nft", "delete table ip t"), "refused"),
            (lambda: torii.reload(one(lab, fill(wrong), port, protocol)), lambda: torii.reload(one(lab, fill(good), port, protocol)), wrong_reason)]:
        begin()
        eventually(lambda: not check(torii, target)["up"], 10, f"{kind}: {reason}")
        assert reason in (None, check(torii, target)["reason"]), check(torii, target)
        eventually(lambda: members(torii) == set(), 2, "it has left the table")
        end()
        up_within(torii, target)
        eventually(lambda: members(torii) == {"10.0.0.11"}, 2, "it is back in the table")
    stop_and_continue("KILL")
    daemon.wait()
    eventually(lambda: not check(torii, target)["up"], 10, f"{kind} is gone")
    assert check(torii, target)["reason"] == "refused"
    start(server, lab)
    eventually(lambda: check(torii, target)["up"], 10, f"{kind} is back")


def firewall(server, protocol, port, verdict):
    server.run("nft", f"add table ip t; add chain ip t c {{ type filter hook input priority 0; }}; add rule ip t c {protocol} dport {port} {verdict}")


def test_udp_and_icmp(two_armed):
    lab, server = two_armed, two_armed.servers[0]
    echo = server.udp_echo(7)
    torii = Torii(lab.lb, one(lab, {"type": "udp", "udp": {"payload": "hello", "reply": "web1 hello"}}, 7, "udp"))
    proven(torii, up=True, reason="success")
    echo.stop(signal.SIGKILL)
    proven(torii, up=False, reason="refused")
    server.udp_echo(7)
    up_within(torii, "10.0.0.11:7")
    torii.reload(one(lab, {"type": "icmp"}, 7, "udp"))
    proven(torii, type="icmp", up=True, reason="success")
    server.ip("link set eth0 down")
    proven(torii, up=False)
    server.ip("link set eth0 up")
    eventually(lambda: check(torii, "10.0.0.11:0")["up"], 10, "it answers again")


def script(lab, name, text):
    path = pathlib.Path(lab.directory) / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


def test_scripts_decide_weigh_and_cannot_do_harm(two_armed):
    lab, server = two_armed, two_armed.servers[0]
    lab.directory.chmod(0o755)
    server.nginx(80)
    status = lab.directory / "status"
    status.write_text("0")
    weigh = script(lab, "weigh", f'echo "for $TORII_SERVICE $TORII_ADDRESS:$TORII_PORT as $(id -un)"\nexit $(cat {status})\n')
    use = lambda path, **more: {"type": "script", "script": {"command": [path], "weight_from_exit": True, **more}, "fall": 1, "rise": 1}
    torii = Torii(lab.lb, one(lab, use(weigh, user="nobody"), 80))
    proven(torii, up=True, reason="success")
    weight = lambda: [line.split()[3] for line in torii.ipvsadm("-Ln").splitlines() if "10.0.0.11" in line]
    assert weight() == ["1"]
    status.write_text("42")
    eventually(lambda: weight() == ["40"], what="the script's weight")
    status.write_text("0")
    eventually(lambda: weight() == ["1"], what="the configured weight")
    status.write_text("1")
    assert proven(torii, up=False, reason="script")["detail"] == "exit status 1: for s 10.0.0.11:80 as nobody"
    assert members(torii) == set()
    plain = lab.directory / "plain"
    plain.write_text("#!/bin/sh\n")
    for path, reason, said in [
            (script(lab, "hangs", "sleep 600 & sleep 600 & wait\n"), "timeout", "the script did not end in time"),
            (script(lab, "floods", "exec yes\n"), "timeout", "the script did not end in time: y"),
            (script(lab, "killed", "kill -9 $$\n"), "script", "ended by signal 9"),
            (str(plain), "script", f"{plain} cannot be run: Permission denied"),
            ("/nonexistent", "script", "/nonexistent cannot be run: No such file or directory")]:
        torii.reload(one(lab, use(path), 80))
        assert proven(torii, up=False, reason=reason)["detail"] == said
    torii.reload(one(lab, {"type": "tcp"}, 80))
    proven(torii, type="tcp", up=True)
    eventually(lambda: not names(lab.lb) & {"sleep", "yes"}, 5, "no script is left")


def names(host):
    """Of the programs that run on the host."""
    found = set()
    for pid in run("ip", "netns", "pids", host.namespace).stdout.split():
        try:
            found.add(pathlib.Path(f"/proc/{pid}/comm").read_text().strip())
        except OSError:
            pass  # it has just ended
    return found
