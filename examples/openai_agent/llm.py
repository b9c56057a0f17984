"""A model provider on this machine: chat completions over TLS, streamed, with tool calls.

It speaks the wire format of the public API and plays a fixed script, with pauses of known length, so that
the example needs no account and its times can be checked. The certificate is made at the start.

Usage: llm.py DIRECTORY      prints its URL; its certificate authority is DIRECTORY/ca.pem
"""

import json
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

FIRST_TOKEN_SECONDS = 0.6
TOKEN_SECONDS = 0.05


def tool(name, **arguments):
    return {"name": name, "arguments": json.dumps(arguments)}


# What the model answers: tool calls or text, turn by turn.
SCRIPT = [
    [tool("bash", command="git --version; grep -c import agent.py")],
    [
        tool("python", code="import time; time.sleep(0.7); print('built')"),
        tool("bash", command="echo 1 test failed; sleep 0.4; exit 3"),
    ],
    [tool("bash", command="kill -9 $$")],
    "The build is fine, one test fails, and the last command was killed.".split(),
]


def deltas(reply):
    """The pieces in which a reply is streamed."""
    yield {"role": "assistant"}
    for index, part in enumerate(reply):
        if isinstance(part, str):
            yield {"content": part + " "}
        else:
            yield {"tool_calls": [{"index": index, "id": f"call_{index}", "type": "function", "function": part}]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        turn = sum(message["role"] == "assistant" for message in request["messages"])
        reply = SCRIPT[min(turn, len(SCRIPT) - 1)]
        time.sleep(FIRST_TOKEN_SECONDS)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for delta in deltas(reply):
            self.send_event(request["model"], delta)
            time.sleep(TOKEN_SECONDS)
        self.send_event(request["model"], {}, "stop" if isinstance(reply[0], str) else "tool_calls")
        self.send_chunk(b"data: [DONE]\n\n")
        self.send_chunk(b"")

    def send_event(self, model, delta, finish_reason=None):
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": model, "choices": [choice]}
        self.send_chunk(b"data: " + json.dumps(event).encode() + b"\n\n")

    def send_chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, *_):
        pass


def main():
    authority = trustme.CA()
    authority.cert_pem.write_to_path(Path(sys.argv[1]) / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(f"https://127.0.0.1:{server.server_port}/v1", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
