"""An agent on an event loop. It spends its time as its standard input says, one command a line, and answers each with
how long that took by its own clock. Everything is waited for in one epoll, or by the loop's own threads.

    getppid N      nothing; answers
    sleep S        asyncio.sleep
    tool S         a child by asyncio.create_subprocess_exec
    llm PORT       connects, asks, waits for the first byte (`first`) and for the end (`stream`)
    fetch PORT S [CERTIFICATE]
                   asks another host and reads the answer (`waited`), over TLS where there is a certificate; sleeps for S
                   seconds and asks again on the same connection
    brief PORT S [CERTIFICATE]
                   asks another host for little, which comes at once (`waited`), and sleeps for S seconds on the connection
    keep PORT      asks for little, and keeps the connection
    again          asks for much on it (`waited`)
    listen         serves who connects (`port`): an echo
    accept S       has a thread wait for S seconds that somebody connects
    upstream PORT  starts a server on pipes, on an event loop, that asks another host
    forward        has it ask much of that host
    helper         starts a server on pipes, as an MCP server is one, and asks it once
    ask S          has it work for S seconds
    event S        waits for an event that never comes, S seconds at most
    join S         joins a thread that does that
    fork S         waits for a child that executes nothing and sleeps
    eventfd S      reads an eventfd, which such a child writes after S seconds
    sigwait S      waits for a signal that never comes, S seconds at most
    record S       waits for a lock on a file, which such a child holds for S seconds
    background     has a shell start a server and its wrapper in the background, and ends that shell
"""

import asyncio
import fcntl
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

SERVER = """
import sys, time
for line in sys.stdin:
    time.sleep(float(line))
    print("done", flush=True)
"""
FORWARDER = """
import asyncio, sys
async def main():
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]), limit=1 << 20)
        writer.write(b"tell me\\n")
        await reader.readline()
        writer.close()
        print("done", flush=True)
asyncio.run(main())
"""
servers = []
kept = []


async def sleep(seconds):
    await asyncio.sleep(float(seconds))


async def tool(seconds):
    child = await asyncio.create_subprocess_exec("sleep", seconds)
    await child.wait()


async def llm(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    writer.write(b"tell me\n")
    start = time.monotonic()
    await reader.read(1)
    first = time.monotonic()
    await reader.read()
    writer.close()
    return {"first": first - start, "stream": time.monotonic() - first}


async def connect(port, certificate=None):
    context = ssl.create_default_context(cafile=certificate) if certificate else None
    return await asyncio.open_connection("127.0.0.1", int(port), ssl=context, limit=1 << 20)


async def question(reader, writer, text):
    start = time.monotonic()
    writer.write(text * 6 + b"\n")
    await reader.readline()
    return time.monotonic() - start


async def fetch(port, seconds, certificate=None):
    reader, writer = await connect(port, certificate)
    waited = 0
    for _ in range(2):
        waited += await question(reader, writer, b"tell me ")
        await asyncio.sleep(float(seconds))
    writer.close()
    return {"waited": waited}


async def brief(port, seconds, certificate=None):
    reader, writer = await connect(port, certificate)
    waited = await question(reader, writer, b"brief ")
    await asyncio.sleep(float(seconds))
    writer.close()
    return {"waited": waited}


async def keep(port):
    kept.append(await connect(port))
    await question(*kept[-1], b"brief ")


async def again():
    return {"waited": await question(*kept[-1], b"tell me ")}


async def listen():
    async def echo(reader, writer):
        while line := await reader.readline():
            writer.write(line)

    kept.append(await asyncio.start_server(echo, "127.0.0.1", 0))
    return {"port": kept[-1].sockets[0].getsockname()[1]}


async def event(seconds):
    threading.Event().wait(float(seconds))


async def join(seconds):
    thread = threading.Thread(target=lambda: threading.Event().wait(float(seconds)))
    thread.start()
    thread.join()


async def fork(seconds):
    child = os.fork()
    if child == 0:
        time.sleep(float(seconds))
        os._exit(0)
    os.waitpid(child, 0)


def after(seconds, act):
    """A process of the agent's own that sleeps, and then acts."""
    child = os.fork()
    if child == 0:
        time.sleep(float(seconds))
        act()
        os._exit(0)
    return child


async def eventfd(seconds):
    event = os.eventfd(0)
    child = after(seconds, lambda: os.eventfd_write(event, 1))
    os.eventfd_read(event)
    os.close(event)
    os.waitpid(child, 0)


async def sigwait(seconds):
    signal.sigtimedwait([signal.SIGUSR1], float(seconds))


async def record(seconds):
    with tempfile.TemporaryFile() as file:
        held, holds = os.pipe()
        child = after(0, lambda: (fcntl.lockf(file, fcntl.LOCK_EX), os.write(holds, b"x"), time.sleep(float(seconds))))
        os.read(held, 1)
        fcntl.lockf(file, fcntl.LOCK_EX)
        os.waitpid(child, 0)


async def accept(seconds):
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.accept)
        thread.start()
        await asyncio.sleep(float(seconds))
        socket.create_connection(server.getsockname()).close()
        thread.join()


async def upstream(port):
    servers.append(
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", FORWARDER, port, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    )
    await forward()


async def forward():
    servers[-1].stdin.write(b"ask\n")
    await servers[-1].stdout.readline()


async def helper():
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-S", "-c", SERVER, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    servers.append(server)
    await ask("0")


async def ask(seconds):
    server = servers[-1]
    server.stdin.write(f"{seconds}\n".encode())
    await server.stdout.readline()


async def background():
    ready, tells = os.pipe()
    waits = f"{sys.executable} -S -c 'import os, select; os.write({tells}, bytes(1)); select.epoll().poll()'; true"
    started = f'sh -c "{waits}" </dev/null >/dev/null 2>&1 &'
    shell = await asyncio.create_subprocess_exec("sh", "-c", started, pass_fds=[tells])
    await shell.wait()
    told = asyncio.StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(told), os.fdopen(ready, "rb")
    )
    await told.readexactly(1)
    pipe.close()
    os.close(tells)
    await asyncio.sleep(0.3)


async def getppid(_):
    pass


async def main():
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := (await lines.readline()).decode().split():
        start = time.monotonic()
        told = await globals()[line[0]](*line[1:]) or {}
        print(json.dumps({"did": line[0], "seconds": time.monotonic() - start, **told}), flush=True)


asyncio.run(main())
