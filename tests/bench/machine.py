"""What figures depend on: the machine, and huge pages lent for the time of a bench."""
import os
import pathlib
import platform
import subprocess
import tempfile

RESERVED = pathlib.Path("/proc/sys/vm/nr_hugepages")


def meminfo(key):
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return 0


def describe():
    words = dict(line.split(":", 1) for line in pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines() if ":" in line)
    words = {key.strip(): value.strip() for key, value in words.items()}
    model = f"{words.get('model name', platform.machine())} (family {words.get('cpu family', '?')}, model {words.get('model', '?')})"
    return {"cpu": model, "cores": os.cpu_count(), "memory_mib": meminfo("MemTotal") // 1024,
            "huge_pages_2m": meminfo("HugePages_Total"), "kernel": platform.release()}


def last_core():
    return max(os.sched_getaffinity(0))


class HugePages:
    """Reserves `pages` more 2 MiB pages and mounts a hugetlbfs, and undoes both. Without the right or the memory
    for it, ordinary pages are measured; `got` says how many there are."""

    def __init__(self, pages):
        self.pages, self.got, self.before, self.mount = pages, 0, None, None

    def __enter__(self):
        if os.geteuid() != 0 or self.pages == 0 or meminfo("MemAvailable") < self.pages * 2048 * 2:
            return self
        self.before = int(RESERVED.read_text())
        RESERVED.write_text(str(self.before + self.pages))
        self.got = int(RESERVED.read_text()) - self.before
        self.mount = tempfile.mkdtemp(prefix="torii-bench-huge-")
        subprocess.run(["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", self.mount], check=True)
        return self

    def __exit__(self, *_):
        if self.mount:
            # Lazily: a dataplane that somebody else runs may have put its table there.
            subprocess.run(["umount", "-l", self.mount], check=False)
            os.rmdir(self.mount)
        if self.before is not None:
            RESERVED.write_text(str(self.before))
