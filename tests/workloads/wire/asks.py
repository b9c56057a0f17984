"""Asks a server of endpoints by Python's own client, as it is told line by line. Usage: asks.py PORT [CERTIFICATE].

Command: `ask N`: for everything it has, so many times, on one connection as long as that holds; says how long the slow ones
took together. `large N`: for what is large.
"""

import http.client
import json
import ssl
import sys
import time

PORT, CERTIFICATE = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
HEADERS = {"Authorization": "Bearer PLANTED-KEY", "Cookie": "session=PLANTED-COOKIE"}
ITEM = "/v1/items/PLANTED0a1b2c3d4e5f6071"


def connect():
    if not CERTIFICATE:
        return http.client.HTTPConnection("127.0.0.1", PORT)
    context = ssl.create_default_context(cafile=CERTIFICATE)
    return http.client.HTTPSConnection("127.0.0.1", PORT, context=context)


def ask(connection, path, body=None):
    start = time.monotonic()
    connection.request("POST" if body else "GET", path, body, HEADERS)
    connection.getresponse().read()
    return time.monotonic() - start


def ask_for_all(connection):
    ask(connection, f"{ITEM}?key=PLANTED-QUERY")
    ask(connection, "/v1/items", "PLANTED-BODY " * 100)
    ask(connection, "/nowhere")
    ask(connection, "/chunked")
    seconds = ask(connection, "/slow")
    try:
        ask(connection, "/drop")
    except (ConnectionError, http.client.HTTPException, ssl.SSLError):
        connection.close()
    return seconds


connection = connect()
connection.connect()
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    command, count = line.split()
    if command == "large":
        times = [ask(connection, "/large") for _ in range(int(count))]
    else:
        times = [ask_for_all(connection) for _ in range(int(count))]
    print(json.dumps({"seconds": sum(times)}), flush=True)
