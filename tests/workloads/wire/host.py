"""A host that is no model, in the clear or behind TLS: usage: host.py [CERTIFICATE KEY]. Prints its port,
which may be given in PORT.

To each line it answers after 0.3 s, for 0.4 s piece by piece, up to the end of a line, and keeps the connection; to one that
begins with `brief`, after 0.03 s in 100 bytes. As every server of TLS 1.3, it sends session tickets before all that.
"""

import os
import socketserver
import ssl
import sys
import time

FIRST, STREAM, EVERY = 0.3, 0.4, 0.005
context = None
if len(sys.argv) > 1:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])


class Host(socketserver.BaseRequestHandler):
    def handle(self):
        connection = context.wrap_socket(self.request, server_side=True) if context else self.request
        while line := connection.recv(4096):
            if line.startswith(b"brief"):
                time.sleep(0.03)
                connection.sendall(b"a" * 99 + b"\n")
                continue
            asked = time.monotonic()
            time.sleep(FIRST)
            while time.monotonic() < asked + FIRST + STREAM:
                connection.sendall(b"piece " * 100)
                time.sleep(EVERY)
            connection.sendall(b"\n")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


server = Server(("127.0.0.1", int(os.environ.get("PORT", 0))), Host)
print(server.server_address[1], flush=True)
server.serve_forever()
