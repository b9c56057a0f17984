"""A client of MCP servers, which speaks to them by pipes: commands are `start COMMAND…`, `call TOOL`, `last TOOL`, which
closes the server's standard input before the answer comes, and `end`. Says how long each took, by its own clock and by the
server's.
"""

import json
import subprocess
import sys
import time

server, number = None, 0


def ask(method, params, is_last=False):
    global number
    number += 1
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    start = time.monotonic()
    server.stdin.write(json.dumps(message) + "\n")
    server.stdin.flush()
    if is_last:
        server.stdin.close()
    answer = json.loads(server.stdout.readline())
    assert answer["id"] == number
    return {"seconds": time.monotonic() - start, "took": answer["took"]}


print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    command, *words = line.split()
    if command == "start":
        pipe = subprocess.PIPE
        server = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, bufsize=1)
        said = {"pid": server.pid, **ask("initialize", {"protocolVersion": "2025-06-18"})}
    elif command in ("call", "last"):
        said = ask("tools/call", {"name": words[0], "arguments": {"secret": "PLANTED-ARGUMENT"}}, command == "last")
    else:
        server.stdin.close()
        said = {"status": server.wait()}
    print(json.dumps(said), flush=True)
