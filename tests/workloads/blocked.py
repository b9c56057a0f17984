"""Four processes in a line, each of which waits for the next one by the kind of link that is asked for. The last one sleeps.

blocked.py KIND [DEPTH]
"""

import ctypes
import os
import resource
import select
import socket
import subprocess
import sys
import threading
import time

LAST = 3
kind, depth = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0


def start(**streams):
    """Starts the next one, whose output is nobody's unless it is said whose."""
    streams.setdefault("stdout", subprocess.DEVNULL)
    return subprocess.Popen([sys.executable, __file__, kind, str(depth + 1)], stdin=subprocess.DEVNULL, **streams)


def pipe():
    start(stdout=subprocess.PIPE).stdout.read(1)


def many():
    """By one of the last of as many descriptors as the first process may have, 65,536 at most."""
    if depth == 0:
        most = 1 << 16
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        except ValueError:
            most = min(most, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        nothing = os.open(os.devnull, os.O_RDONLY)
        while os.dup(nothing) < most - 16:
            pass
    pipe()


def socketpair():
    mine, other = socket.socketpair()
    start(stdout=other)
    other.close()
    mine.recv(1)


def tcp():
    server = socket.create_server(("127.0.0.1", 0))
    os.environ["PORT"] = str(server.getsockname()[1])
    start()
    server.accept()[0].recv(1)


def child():
    os.waitpid(start().pid, 0)


def any_child():
    start()
    os.wait()


def pidfd():
    poll = select.poll()
    poll.register(os.pidfd_open(start().pid))
    poll.poll()


def epoll():
    """As an event loop: beside the output of the next one it watches pipes of its own."""
    loop = select.epoll()
    ends = [os.pipe() for _ in range(3)]
    for reader, _ in ends:
        loop.register(reader, select.EPOLLIN)
    loop.register(start(stdout=subprocess.PIPE).stdout, select.EPOLLIN)
    loop.poll()


def selected():
    reader, _writer = os.pipe()
    select.select([reader, start(stdout=subprocess.PIPE).stdout], [], [])


def lock():
    """The lock is held by a thread that waits for the next one."""
    libc, mutex, held = ctypes.CDLL(None), ctypes.create_string_buffer(64), threading.Event()

    def hold():
        libc.pthread_mutex_lock(mutex)
        held.set()
        pipe()

    threading.Thread(target=hold, daemon=True).start()
    held.wait()
    libc.pthread_mutex_lock(mutex)


def join():
    thread = threading.Thread(target=pipe, daemon=True)
    thread.start()
    thread.join()


if "PORT" in os.environ:
    connection = socket.create_connection(("127.0.0.1", int(os.environ.pop("PORT"))))
if depth == LAST:
    time.sleep(60)
else:
    globals()[kind]()
