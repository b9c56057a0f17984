"""Threads that each wait for ever at the end of a chain of calls of another kind, and one that computes.

Says "ready" when all are there. For each line of its input it prints one line of truth, by CPython's own account:
for each thread its name and its frames, innermost first, as [qualified name, file, line].
"""

import asyncio
import ctypes
import json
import sys
import threading
import time

FOREVER = 100_000


def wait():
    time.sleep(FOREVER)


def plain(depth):
    if depth:
        plain(depth - 1)
    else:
        wait()


class Shape:
    def method(self):
        self.of_class()

    @classmethod
    def of_class(cls):
        cls.static()

    @staticmethod
    def static():
        (lambda: wait())()

    @property
    def attribute(self):
        wait()


class Inner(Shape):
    class Nested:
        def __init__(self):
            Inner().method()


def naïve_größe():
    def 内側():
        wait()

    内側()


def counting():
    yield 1
    wait()
    yield 2


def delegating():
    yield from counting()


def generators():
    for _ in delegating():
        pass


async def awaited():
    wait()


async def awaiting():
    await asyncio.sleep(0)
    await awaited()


def coroutines():
    asyncio.run(awaiting())


def key(number):
    wait()
    return number


def by_sorting():
    sorted([2, 1], key=key)


def by_mapping():
    list(map(key, [1, 2]))


def by_property():
    Shape().attribute


def by_ctypes():
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(compare_pointers)
    numbers = (ctypes.c_int * 2)(2, 1)
    ctypes.CDLL(None).qsort(numbers, ctypes.c_size_t(2), ctypes.c_size_t(4), compare)


def compare_pointers(a, b):
    wait()
    return 0


def comprehension():
    return [key(n) for n in range(2)]


def long_lines():
    return plain(
        0
        if time.time() > 0
        else 1
    )


def compute():
    total = 0
    for n in range(1_000_000):
        total += n * n
    return total


def busy():
    while True:
        compute()


WAITING = {
    "plain": lambda: plain(30),
    "methods": Inner.Nested,
    "unicode": naïve_größe,
    "generators": generators,
    "coroutines": coroutines,
    "sorting": by_sorting,
    "mapping": by_mapping,
    "property": by_property,
    "ctypes": by_ctypes,
    "comprehension": comprehension,
    "lines": long_lines,
}


def truth():
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    told = {}
    for ident, frame in sys._current_frames().items():
        frames = []
        while frame:
            code = frame.f_code
            name = getattr(code, "co_qualname", code.co_name)
            frames.append([name, code.co_filename, frame.f_lineno])
            frame = frame.f_back
        told[names[ident]] = frames
    return told


def main():
    for name, target in WAITING.items():
        threading.Thread(target=target, name=name, daemon=True).start()
    if "busy" in sys.argv:
        threading.Thread(target=busy, name="busy", daemon=True).start()
    waits = {"wait"}
    while any(frames[0][0] not in waits for name, frames in truth().items() if name in WAITING):
        time.sleep(0.01)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(truth()), flush=True)


main()
