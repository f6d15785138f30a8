"""Configurations and loads that several tests share."""
import collections
import copy

NAT_PORTS = [{"name": "outside", "driver": "af_xdp", "interface": "out0"}, {"name": "inside", "driver": "af_xdp", "interface": "in0"}]
DR_PORTS = [{"name": "lan", "driver": "af_xdp", "interface": "lan0"}]


def virtual(address, port, protocol="tcp"):
    return f"[{address}]:{port}/{protocol}" if ":" in address else f"{address}:{port}/{protocol}"


def url(address, path="/name", port=80):
    return f"http://[{address}]:{port}{path}" if ":" in address else f"http://{address}:{port}{path}"


def nat(services, workers=(0,), connections="64k", **more):
    return {"dataplane": {"workers": list(workers), "connections": connections, "backends": 1024, "ports": copy.deepcopy(NAT_PORTS)}, "services": services, **more}


def dr(services, workers=(0,), connections="64k", **more):
    return {"dataplane": {"workers": list(workers), "connections": connections, "backends": 1024, "ports": copy.deepcopy(DR_PORTS)}, "services": services, **more}


def service(name, address, port, backends, scheduler="rr", forward="nat", protocol="tcp", **more):
    """`backends`: addresses, or dictionaries."""
    listed = [{"address": b} if isinstance(b, str) else dict(b) for b in backends]
    return {"name": name, "virtual": [virtual(address, port, protocol)], "scheduler": scheduler, "forward": forward,
            "backends": listed, **more}


def nat_backends(port, numbers=(1, 2, 3), v6=False, **more):
    return [{"address": f"2001:db8:2::1{n}" if v6 else f"10.0.0.1{n}", "port": port, **more} for n in numbers]


def dr_backends(numbers=(1, 2, 3), v6=False, **more):
    return [{"address": f"2001:db8::1{n}" if v6 else f"10.0.0.1{n}", **more} for n in numbers]


def spread(host, address, count, **options):
    """Asks `count` times with a new connection each and counts the servers that answered."""
    names = host.curl(url(address, f"/name?[1-{count}]", **options), "-H", "Connection: close", seconds=30).stdout.split()
    return collections.Counter(names)


def random_file(lab, name, megabytes):
    """A file of random bytes for servers to offer, and its SHA-256."""
    import hashlib
    import os
    path = lab.directory / name
    data = os.urandom(megabytes << 20)
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest()


def downloads(lab, host, address, path, count, *, seconds, port=80):
    """Starts `count` parallel downloads; the returned function waits and gives every SHA-256."""
    targets = [lab.directory / f"{host.name}-{address}-{path.strip('/')}-{n}" for n in range(count)]
    processes = [host.start("curl", "-gsS", "--max-time", seconds, "-o", target, url(address, path, port)) for target in targets]

    def finish():
        for process in processes:
            assert process.wait(seconds + 10) == 0, process.output()
        sums = [host.run("sha256sum", target).stdout.split()[0] for target in targets]
        for target in targets:
            target.unlink()
        return sums

    finish.targets = targets
    return finish


class Sniffer:
    """tcpdump on one interface of a host, counting lines that match a filter."""

    def __init__(self, host, interface, expression):
        import lab as _lab
        self.process = host.start("tcpdump", "-i", interface, "-lnne", "--immediate-mode", expression, name=f"{host.name}-tcpdump")
        _lab.eventually(lambda: "listening on" in self.process.output(), what="tcpdump listens")

    def lines(self):
        return [line for line in self.process.output().splitlines() if " > " in line]

    def stop(self):
        self.process.stop(2)
        return self.lines()
