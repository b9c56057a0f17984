"""Starts short programs, as many in a minute as PER_MINUTE says, and waits for each. It listens as load.h says: a number
on its input, that many programs, and the nanoseconds between two of them.
"""

import os
import sys
import time

PER_MINUTE = 10_000

for line in sys.stdin:
    times = int(line)
    start = time.monotonic_ns()
    for n in range(times):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], os.environ), 0)
        due = start + (n + 1) * 60_000_000_000 // PER_MINUTE
        time.sleep(max(0, due - time.monotonic_ns()) / 1e9)
    print((time.monotonic_ns() - start) // max(times, 1), flush=True)
