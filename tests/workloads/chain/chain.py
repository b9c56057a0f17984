"""A known chain of Python frames, which prints itself and then blocks until a line comes on standard input.

Each line printed is `THREAD|FUNCTION|FILE|LINE`, innermost frame first, and `ready` ends them: THREAD is `main` or
`worker`, FUNCTION the qualified name where Python has one for code (3.11 and later), else the bare name. It is
what Python itself thinks: what is read from outside must be the same.
"""

import asyncio
import functools
import os
import sys
import threading

import chain_other

read, write = os.pipe()


def report(thread):
    """Prints the frames from the caller's on."""
    frame, lines = sys._getframe(1), []
    while frame is not None:
        code = frame.f_code
        name = getattr(code, "co_qualname", code.co_name)
        lines.append("|".join((thread, name, code.co_filename, str(frame.f_lineno))))
        frame = frame.f_back
    sys.stdout.buffer.write(("\n".join(lines) + "\n").encode())


class Measure:
    """Methods, with names outside ASCII: of Latin-1, of the first plane, and of another one."""

    def größe(self):
        return self.测量(1)

    @staticmethod
    def 𐐷𐐯𐐻(value):
        # One line, so that what is printed is where it blocks.
        return (report("main"), ready(), os.read(0, 1), value)

    @classmethod
    def of(cls, value):
        return cls.𐐷𐐯𐐻(value)

    def 测量(self, value):
        return functools.partial(self.of)(value)


def ready():
    os.read(read, 1)
    sys.stdout.buffer.write(b"ready\n")
    sys.stdout.buffer.flush()


async def inner():
    await asyncio.sleep(0)
    return Measure().größe()


async def outer():
    return await inner()


def generator(depth):
    if depth:
        yield from generator(depth - 1)
    else:
        yield asyncio.run(outer())


def closure(times):
    def called(value):
        total = 0
        for _ in range(times):
            total += sum(len(each) for each in generator(value))

        return total

    return called


def worker():
    def in_thread():
        report("worker"); os.write(write, b"x"); os.read(blocked, 1)  # noqa: E702

    blocked, _ = os.pipe()
    in_thread()


def main():
    threading.Thread(target=worker, daemon=True).start()
    return chain_other.through_c(closure(2))


if __name__ == "__main__":
    main()
