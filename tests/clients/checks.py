"""What the two Python conformance clients share: made-up content, comparisons, and the runner that prints one line an
operation. Knows no client and no wire format.

With FDFS_CLIENTS_SPOIL=1 every expectation is made wrong, so that every operation must fail: a test of the tests.
"""

import contextlib
import os
import signal
import sys
import tempfile
import zlib

OPERATION_TIMEOUT_S = 20
ENOENT = 2
SPOIL = os.environ.get("FDFS_CLIENTS_SPOIL") == "1"

scratch = tempfile.TemporaryDirectory(prefix="fdfs-python-")


def content(length, seed):
    """`length` bytes that differ by `seed`, the same in every run."""
    state, out = (seed * 2654435761 + 1) & 0xFFFFFFFF, bytearray(length)
    for i in range(length):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = state >> 24
    return bytes(out)


SMALL = content(1_000, 1)
LARGE = content(700_001, 2)  # more than two of the server's default buffers
PATCH = content(300, 3)


def both_crc_signs():
    """A content for each value of the CRC's highest bit: servers send the field as a signed number."""
    candidates = [content(100, seed) for seed in range(5, 25)]
    return [next(c for c in candidates if zlib.crc32(c) >> 31 == sign) for sign in (0, 1)]


def local_path(name):
    return os.path.join(scratch.name, name)


def local_file(name, data):
    path = local_path(name)
    with open(path, "wb") as out:
        out.write(data)
    return path


def read_file(path):
    with open(path, "rb") as source:
        return source.read()


def spoilt(value):
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1]) if value else b"spoilt"
    if isinstance(value, int):
        return value + 1
    if isinstance(value, dict):
        return {**value, "spoilt": "yes"}
    return f"{value}-spoilt"


def show(value):
    if isinstance(value, bytes) and len(value) > 40:
        return f"{len(value)} bytes, crc32 {zlib.crc32(value):x}"
    return repr(value)


def same(what, actual, expected):
    wanted = spoilt(expected) if SPOIL else expected
    if actual != wanted:
        raise AssertionError(f"{what}: expected {show(wanted)}, got {show(actual)}")


def refused(what, call, status, status_of):
    """`call` must be refused by the server with `status`; success, or an error that is not the server's, fails."""
    try:
        call()
    except Exception as error:
        actual = status_of(error)
        if actual is None:
            raise
    else:
        actual = 0
    same(f"{what}: status", actual, status)


def run(operations, left_out):
    """Runs every operation, prints its line, and returns the exit code."""

    def too_slow(_signal, _frame):
        raise TimeoutError(f"no end after {OPERATION_TIMEOUT_S} s")

    signal.signal(signal.SIGALRM, too_slow)
    failures = 0
    for name, operation in operations.items():
        signal.alarm(OPERATION_TIMEOUT_S)
        try:
            with contextlib.redirect_stdout(sys.stderr):  # one of the libraries prints what it sends
                operation()
            line = f"ok {name}"
        except (Exception, SystemExit) as error:  # SystemExit: a pool that cannot connect gives up that way
            failures += 1
            why = str(error).split("\n")[0]
            line = f"FAIL {name}: {type(error).__name__} {why}"
        finally:
            signal.alarm(0)
        print(line, flush=True)
    for name, reason in left_out.items():
        print(f"left out {name}: {reason}")
    return 1 if failures else 0


def tracker_argument():
    """TRACKER_HOST TRACKER_PORT, as (host, port)."""
    if len(sys.argv) != 3:
        print(f"usage: {sys.argv[0]} TRACKER_HOST TRACKER_PORT", file=sys.stderr)
        sys.exit(64)
    return sys.argv[1], int(sys.argv[2])
