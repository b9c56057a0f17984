"""A server of MCP on standard input and output, as the public SDK for Python has them: a message a line, its own copies of the
descriptors, and a thread that reads ahead. Tools: `echo`, `slow` (20 ms), `broken` (says that it failed), and any
other is unknown. Each answer says how long it took by the server's own clock.
"""

import json
import os
import queue
import threading
import time

requests, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")

lines = queue.Queue()


def read():
    for line in requests:
        lines.put(line)
    lines.put("")


def result(message):
    method, name = message["method"], message.get("params", {}).get("name")
    if method == "initialize":
        server = {"name": "python-server", "version": "1"}
        return {"result": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": server}}
    if name == "slow":
        time.sleep(0.02)
    if name in ("echo", "slow", "broken"):
        content = [{"type": "text", "text": "PLANTED-RESULT " * 1000}]
        return {"result": {"content": content, "isError": name == "broken"}}
    return {"error": {"code": -32602, "message": "PLANTED unknown tool"}}


threading.Thread(target=read).start()
while line := lines.get():
    began = time.monotonic()
    message = json.loads(line)
    if "id" in message:
        answer = {"jsonrpc": "2.0", "id": message["id"], **result(message)}
        answer["took"] = time.monotonic() - began
        print(json.dumps(answer), file=answers, flush=True)
