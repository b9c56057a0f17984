"""Saves and loads checkpoints as libraries do: written aside, synced and renamed; mapped; in a database."""

import json
import mmap
import os
import sqlite3
import sys
import time

directory, what = sys.argv[1:3]


def save():
    """As safetensors are saved with care: nobody ever sees a half."""
    aside, path = os.path.join(directory, "model.tmp"), os.path.join(directory, "model.safetensors")
    begun = time.monotonic()
    with open(aside, "wb", buffering=0) as file:
        for _ in range(16):
            file.write(b"\x07" * 65536)
        time.sleep(0.2)
        syncing = time.monotonic()
        os.fsync(file.fileno())
        synced = time.monotonic()
    os.rename(aside, path)
    print(json.dumps({"bytes": 16 * 65536, "seconds": time.monotonic() - begun, "sync_seconds": synced - syncing}))


def load():
    """Mapped, as most are: hardly anything is read."""
    path = os.path.join(directory, "model.safetensors")
    with open(path, "rb", buffering=0) as file:
        file.read(8)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            total = sum(mapped[::4096])
    print(json.dumps({"bytes": os.path.getsize(path), "sum": total}))


def database():
    """As agents' frameworks keep theirs."""
    connection = sqlite3.connect(os.path.join(directory, "checkpoints.sqlite"))
    connection.execute("CREATE TABLE checkpoint (id INTEGER, state BLOB)")
    for n in range(20):
        connection.execute("INSERT INTO checkpoint VALUES (?, ?)", (n, b"x" * 5000))
        connection.commit()
    connection.close()
    print(json.dumps({"commits": 21}))


{"save": save, "load": load, "database": database}[what]()
