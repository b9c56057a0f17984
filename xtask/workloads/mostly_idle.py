"""A Python agent that waits most of the time, with the libraries loaded that agents load."""

import asyncio
import decimal  # noqa: F401
import hashlib
import json
import random
import sqlite3  # noqa: F401
import ssl
import urllib.request  # noqa: F401

ssl.create_default_context()


async def main():
    while True:
        text = json.dumps({str(n): n * n for n in range(2000)})
        hashlib.sha256(text.encode()).hexdigest()
        await asyncio.sleep(random.uniform(0.1, 0.5))


asyncio.run(main())
