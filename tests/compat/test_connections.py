"""What the kernel's connection table holds after scripted packets, torii's holds too: states, timeouts,
servers, counts, persistence; and what it has counted of services and servers.
"""
import counter_and_sctp_cases  # noqa: F401, adds its own
import pytest
from connection_cases import CASES
from scenarios import on_the_kernel, on_torii

# Seconds that the guest's clock may have gone on since the packet; and torii counts from the next whole second.
LATER, EARLIER = 8, 1


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    return on_the_kernel(CASES, tmp_path_factory.mktemp("guest"), at_once=8)


@pytest.fixture(scope="module")
def torii():
    return on_torii(CASES)


def untimed(lines):
    """Without the seconds that are left, and those by line."""
    shown = [(" ".join(l.split()[:-1]), int(l.split()[-1])) if l.startswith("entry") else (l, None) for l in lines]
    return [line for line, _ in shown], [left for _, left in shown]


@pytest.mark.parametrize("name", CASES)
def test_the_connection_is_as_in_the_kernel(name, kernel, torii):
    (want, left), (got, mine) = untimed(kernel[name]), untimed(torii[name])
    steps = CASES[name]
    assert got == want, f"{steps}\nkernel:\n" + "\n".join(kernel[name]) + "\ntorii:\n" + "\n".join(torii[name])
    for line, k, t in zip(want, left, mine):
        assert k is None or k - EARLIER <= t <= k + LATER, f"{steps}\n{line}: {k} seconds are left, torii has {t}"


def test_the_cases_are_worth_comparing(kernel):
    entries = [line.split() for lines in kernel.values() for line in lines if line.startswith("entry")]
    assert {"INIT1", "INIT", "C-SENT", "ESTABLISHED", "CLOSED"} <= {words[5] for words in entries if words[1] == "SCTP"}
    assert {"NONE", "ASSURED", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "UDP"} <= {
        words[5] for words in entries}
    assert len(entries) >= 50
