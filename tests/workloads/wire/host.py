"""A host that is no model, in the clear or behind TLS: usage: host.py [CERTIFICATE KEY]. Prints its port.

To each line it answers after 0.3 s, for 0.4 s piece by piece, up to an empty line, and keeps the connection. As every server
of TLS 1.3, it sends session tickets before all that.
"""

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
        while connection.recv(4096):
            asked = time.monotonic()
            time.sleep(FIRST)
            while time.monotonic() < asked + FIRST + STREAM:
                connection.sendall(b"piece " * 100)
                time.sleep(EVERY)
            connection.sendall(b"\n")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Host)
print(server.server_address[1], flush=True)
server.serve_forever()
