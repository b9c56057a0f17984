"""A busy Python program of some 25 frames, in json, re and sort; the functions on its stack are known: obey, work,
level_01 to level_20. It listens as load.h says: a number on its input, that many times of its work, and the
nanoseconds that one time took.
"""

import json
import os
import re
import sys
import time

RECORDS = [{"name": f"agent {n}", "tools": ["grep", "cat", "sed"], "seconds": n / 7} for n in range(20)]
WORDS = re.compile(r"(\w+) (\w+)")


def level_01(n):
    return level_02(n) + 1


def level_02(n):
    return level_03(n) + 1


def level_03(n):
    return level_04(n) + 1


def level_04(n):
    return level_05(n) + 1


def level_05(n):
    return level_06(n) + 1


def level_06(n):
    return level_07(n) + 1


def level_07(n):
    return level_08(n) + 1


def level_08(n):
    return level_09(n) + 1


def level_09(n):
    return level_10(n) + 1


def level_10(n):
    return level_11(n) + 1


def level_11(n):
    return level_12(n) + 1


def level_12(n):
    return level_13(n) + 1


def level_13(n):
    return level_14(n) + 1


def level_14(n):
    return level_15(n) + 1


def level_15(n):
    return level_16(n) + 1


def level_16(n):
    return level_17(n) + 1


def level_17(n):
    return level_18(n) + 1


def level_18(n):
    return level_19(n) + 1


def level_19(n):
    return level_20(n) + 1


def level_20(n):
    text = json.dumps(RECORDS, indent=1)
    swapped = WORDS.sub(r"\2 \1", text)
    records = sorted(json.loads(text), key=lambda record: -record["seconds"])
    return len(swapped) + len(records) + n


def work(times):
    for n in range(times):
        level_01(n)


def obey():
    for line in sys.stdin:
        times = int(line)
        start = time.monotonic_ns()
        work(times)
        print((time.monotonic_ns() - start) / max(times, 1), flush=True)


os.sched_setaffinity(0, {os.cpu_count() - 1})
obey()
