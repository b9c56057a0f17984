# An agent that works on a disk: one command a line, as JSON, each answered by one line that says what was done.
#
#   {"do": "direct", "path": P, "times": N, "size": S}   writes past the page cache
#   {"do": "read", "path": P, "times": N, "size": S}     reads past the page cache
#   {"do": "synced", "path": P, "size": S}               writes through the page cache, and waits for it to be written
#   {"do": "left", "path": P, "size": S}                 writes through the page cache, and leaves it there
#   {"do": "child", "path": P, "size": S}                a child process that does what "synced" does; "pid" is its

import json
import mmap
import os
import sys


def tell(**truth):
    print(json.dumps(truth), flush=True)


def direct(command):
    # Memory that devices can write from begins at a page.
    data = mmap.mmap(-1, command["size"])
    data.write(b"x" * command["size"])
    file = os.open(command["path"], os.O_WRONLY | os.O_DIRECT)
    for _ in range(command["times"]):
        assert os.write(file, data) == command["size"]
    os.close(file)
    return {"bytes": command["times"] * command["size"]}


def read(command):
    data = mmap.mmap(-1, command["size"])
    file = os.open(command["path"], os.O_RDONLY | os.O_DIRECT)
    for _ in range(command["times"]):
        assert os.readv(file, [data]) == command["size"]
    os.close(file)
    return {"bytes": command["times"] * command["size"]}


def left(command, sync=False):
    # A file that is truncated would be written when it is closed.
    os.unlink(command["path"])
    file = os.open(command["path"], os.O_WRONLY | os.O_CREAT, 0o600)
    for _ in range(command["size"] >> 16):
        os.write(file, b"y" * 65536)
    if sync:
        os.fsync(file)
    os.close(file)
    return {"bytes": command["size"]}


def synced(command):
    return left(command, sync=True)


def child(command):
    pid = os.fork()
    if pid == 0:
        synced(command)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return {"pid": pid, "status": status}


COMMANDS = {"direct": direct, "read": read, "synced": synced, "left": left, "child": child}


def main():
    for line in sys.stdin:
        if line.startswith("getppid"):
            tell(did="getppid")
            continue
        command = json.loads(line)
        tell(did=command["do"], **COMMANDS[command["do"]](command))


if __name__ == "__main__":
    main()
