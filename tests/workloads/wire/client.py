"""Calls a model by Python's own HTTP client, as it is told line by line, and says what it saw of each call.

Usage: client.py PORT [CERTIFICATE], without TLS where there is none. Commands: `chat MODEL`, `stream MODEL`,
`messages MODEL`, `anew MODEL`: a chat on a new connection, `noise BYTES`, `raw PORT`: 300 bytes that are not HTTP, `bytes N`:
so many to itself, `itself MODEL`: a call that this very process answers, `tool NAME`: a chat whose answer asks for a tool of
that name, `key MODEL`: a stream whose prompt has a key in it, `long MODEL`: a chat at the end of a long conversation,
`run PROGRAM`: a tool.
"""

import http.client
import http.server
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time

PORT, CERTIFICATE = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
CONTEXT = ssl.create_default_context(cafile=CERTIFICATE)
SECRET = "PLANTED-PROMPT " + "long " * 2000
KEY = "PLANTED-PROMPT: use sk-ant-api03-PLANTEDKEY0123456789, please"


def body(command, model):
    messages = [{"role": "user", "content": SECRET}]
    if command == "messages":
        return "/v1/messages", {"model": model, "max_tokens": 100, "stream": True, "messages": messages}
    if command == "tool":
        tools = [{"type": "function", "function": {"name": model}}]
        return "/v1/chat/completions", {"model": "gpt-4.1", "messages": messages, "tools": tools}
    if command == "long":
        said = [SECRET * 20, "PLANTED: what else?", "PLANTED-PROMPT: the newest"]
        messages = [{"role": role, "content": text} for role, text in zip(("user", "assistant", "user"), said)]
        # Of a call the kernel side tells the end as well: the newest is not to be in it.
        tools = [{"type": "function", "function": {"name": "f", "description": "long " * 10_000}}]
        return "/v1/chat/completions", {"model": model, "messages": messages, "tools": tools}
    if command == "key":
        messages, command = [{"role": "user", "content": KEY}], "stream"
    options = {"stream": True, "stream_options": {"include_usage": True}} if command == "stream" else {}
    if command == "untold":
        options = {"stream": True}
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
    return {"bytes": len(data), "status": answer.status, "seconds": time.monotonic() - start, "first": first}


def to_itself(count):
    """Sends random bytes from one socket of its own to another."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
        data, got = os.urandom(1 << 16), 0
        while got < count:
            ours.sendall(data)
            left = len(data)
            while left:
                left -= len(theirs.recv(left))
            got += len(data)
        ours.close()
        theirs.close()
        return got


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        message = {"role": "assistant", "content": "PLANTED"}
        usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        answer = {"id": "c", "object": "chat.completion", "model": "own", "choices": choices, "usage": usage}
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def answered_by_itself(model):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    said = call(http.client.HTTPConnection("127.0.0.1", server.server_address[1]), "chat", model)
    server.shutdown()
    return said


def main():
    if CERTIFICATE:
        connection = http.client.HTTPSConnection("127.0.0.1", PORT, context=CONTEXT)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", PORT)
    connection.connect()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        command, argument = line.split()
        if command == "noise":
            connection.request("GET", f"/noise?bytes={argument}")
            said = {"bytes": len(connection.getresponse().read())}
        elif command == "raw":
            socket.create_connection(("127.0.0.1", int(argument))).sendall(b"x" * 300)
            said = {"bytes": 300}
        elif command == "bytes":
            said = {"bytes": to_itself(int(argument))}
        elif command == "run":
            said = {"status": subprocess.run([argument, "0.1"]).returncode}
        elif command == "anew":
            connection.close()
            said = call(connection, "chat", argument)
        elif command == "itself":
            said = answered_by_itself(argument)
        else:
            said = call(connection, command, argument)
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
