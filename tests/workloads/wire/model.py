"""A model behind TLS that answers slowly, or in the clear: usage: model.py [CERTIFICATE KEY]. Prints its port.

To each request it says at once that it will answer, after 0.3 s what it has to say, for 0.4 s piece by piece, and it keeps
the connection; a model that `hangs` says nothing. As every server of TLS 1.3, it sends session tickets before all that.
"""

import json
import socketserver
import ssl
import sys
import time

FIRST, STREAM, EVERY = 0.3, 0.4, 0.02
context = None
if len(sys.argv) > 1:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])


def chunk(**choice):
    event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m-1", "choices": [{"index": 0, **choice}]}
    data = f"data: {json.dumps(event)}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


class Model(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        if context:
            self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)

    def handle(self):
        while line := self.rfile.readline():
            length = 0
            while line.strip():
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
                line = self.rfile.readline()
            if b'"model": "hangs"' in self.rfile.read(length):
                self.rfile.read(1)
                return
            self.answer()

    def answer(self):
        asked = time.monotonic()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.wfile.write(head + chunk(delta={"role": "assistant", "content": ""}, finish_reason=None))
        time.sleep(FIRST)
        while time.monotonic() < asked + FIRST + STREAM:
            self.wfile.write(chunk(delta={"content": "word "}, finish_reason=None))
            time.sleep(EVERY)
        done = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
        self.wfile.write(chunk(delta={}, finish_reason="stop") + done)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # A client that is gone.


with Server(("127.0.0.1", 0), Model) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
