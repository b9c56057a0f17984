"""Calls a model over TLS by Python's own HTTP client, as it is told line by line, and says what it saw of each call.

Usage: client.py PORT CERTIFICATE. Commands: `chat MODEL`, `stream MODEL`, `messages MODEL`, `noise BYTES`, `plain PORT`.
"""

import http.client
import json
import ssl
import sys
import time

PORT, CERTIFICATE = int(sys.argv[1]), sys.argv[2]
CONTEXT = ssl.create_default_context(cafile=CERTIFICATE)
SECRET = "PLANTED-PROMPT " + "long " * 2000


def body(command, model):
    messages = [{"role": "user", "content": SECRET}]
    if command == "messages":
        return "/v1/messages", {"model": model, "max_tokens": 100, "stream": True, "messages": messages}
    options = {"stream": True, "stream_options": {"include_usage": True}} if command == "stream" else {}
    return "/v1/chat/completions", {"model": model, "messages": messages, **options}


def call(connection, command, model):
    path, asked = body(command, model)
    headers = {"Content-Type": "application/json", "Authorization": "Bearer PLANTED-KEY", "x-api-key": "PLANTED-KEY"}
    data = json.dumps(asked)
    start, first = time.monotonic(), None
    connection.request("POST", path, data, headers)
    answer = connection.getresponse()
    if asked.get("stream") and answer.status == 200:
        for line in answer:
            if first is None and (b'"content":"PLANTED' in line or b'"text":"PLANTED' in line):
                first = time.monotonic() - start
    else:
        answer.read()
    return {"status": answer.status, "seconds": time.monotonic() - start, "first": first}


def main():
    connection = http.client.HTTPSConnection("127.0.0.1", PORT, context=CONTEXT)
    connection.connect()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        command, argument = line.split()
        if command == "noise":
            connection.request("GET", f"/noise?bytes={argument}")
            said = {"bytes": len(connection.getresponse().read())}
        elif command == "plain":
            plain = http.client.HTTPConnection("127.0.0.1", int(argument))
            plain.request("GET", "/", headers={"x-padding": "x" * 300})
            said = {"status": plain.getresponse().status}
        else:
            said = call(connection, command, argument)
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
