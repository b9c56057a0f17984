"""An agent that asks its model: usage: ledger_tls.py PORT CERTIFICATE|- blocking|asyncio; `-` is without TLS. It spends its time as
its standard input says, one command a line, and answers each with how long that took by its own clock.

    getppid N     nothing; answers
    turn N S      asks N times, one after the other on one connection, each followed by a tool of S seconds; `first` and
                  `stream` are how long it waited for the first words, and for the last, in all
    hang N S      asks N times, one after the other, what is never answered, and gives up after S seconds each
    fan N         asks N times at once: `first` and `stream` likewise, of the time in which any call was so
"""

import asyncio
import http.client
import json
import ssl
import subprocess
import sys
import threading
import time

PORT, CERTIFICATE, WAY = int(sys.argv[1]), sys.argv[2], sys.argv[3]
CONTEXT = None if CERTIFICATE == "-" else ssl.create_default_context(cafile=CERTIFICATE)
BODY = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "PLANTED " * 2000}]})
HANGS = BODY.replace('"m"', '"hangs"', 1)
WORD = b'"content": "word'


class Blocking:
    def __init__(self, timeout=None):
        if CONTEXT:
            self.connection = http.client.HTTPSConnection("127.0.0.1", PORT, context=CONTEXT, timeout=timeout)
        else:
            self.connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=timeout)

    def ask(self):
        start, first = time.monotonic(), None
        self.connection.request("POST", "/v1/chat/completions", BODY, {"Content-Type": "application/json"})
        for line in self.connection.getresponse():
            if first is None and WORD in line:
                first = time.monotonic()
        return start, first, time.monotonic()

    def turn(self, times, seconds):
        asked = []
        for _ in range(int(times)):
            asked.append(self.ask())
            subprocess.run(["sleep", seconds], check=True)
        return asked

    def hang(self, times, seconds):
        asked = []
        for _ in range(int(times)):
            connection, start = Blocking(float(seconds)).connection, time.monotonic()
            try:
                connection.request("POST", "/v1/chat/completions", HANGS, {"Content-Type": "application/json"})
                connection.getresponse()
            except TimeoutError:
                connection.close()
            end = time.monotonic()
            asked.append((start, end, end))
        return asked

    def fan(self, times):
        asked = []
        threads = [threading.Thread(target=lambda: asked.append(Blocking().ask())) for _ in range(int(times))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return asked


async def ask_by(reader, writer):
    start, first = time.monotonic(), None
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\nContent-Length: {len(BODY)}\r\n"
    writer.write((head + "Content-Type: application/json\r\n\r\n").encode())
    writer.write(BODY.encode())
    while (line := await reader.readline()) != b"0\r\n":
        if first is None and WORD in line:
            first = time.monotonic()
    await reader.readline()
    return start, first, time.monotonic()


async def turn_on_a_loop(times, seconds):
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT, ssl=CONTEXT)
    asked = []
    for _ in range(int(times)):
        asked.append(await ask_by(reader, writer))
        child = await asyncio.create_subprocess_exec("sleep", seconds)
        await child.wait()
    return asked


async def fan_on_a_loop(times):
    async def one():
        return await ask_by(*await asyncio.open_connection("127.0.0.1", PORT, ssl=CONTEXT))

    return await asyncio.gather(*[one() for _ in range(int(times))])


def told(asked):
    """Of calls side by side, the time in which any waits for its first words counts once, and likewise of the rest."""
    covered = {"first": 0.0, "stream": 0.0}
    ends = {"first": 0.0, "stream": 0.0}
    for start, first, end in sorted(asked):
        for name, (a, b) in {"first": (start, first), "stream": (first, end)}.items():
            covered[name] += max(0.0, b - max(a, ends[name]))
            ends[name] = max(ends[name], b)
    return covered


def main():
    blocking = Blocking()
    for line in iter(sys.stdin.readline, ""):
        verb, *words = line.split()
        start = time.monotonic()
        if verb == "getppid":
            asked = []
        elif WAY == "asyncio":
            asked = asyncio.run((turn_on_a_loop if verb == "turn" else fan_on_a_loop)(*words))
        else:
            asked = getattr(blocking, verb)(*words)
        print(json.dumps({"did": verb, "seconds": time.monotonic() - start, **told(asked)}), flush=True)


main()
