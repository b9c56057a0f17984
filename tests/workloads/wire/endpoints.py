"""A server of endpoints whose answers are known, by Python's own. Usage: endpoints.py [CERTIFICATE KEY]. Prints its port."""

import http.server
import socket
import ssl
import sys
import time

# In pieces, as a network brings them.
PIECES, PIECE, EVERY = 8, 1_000_000, 0.005


class Endpoints(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self, status, length):
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("Set-Cookie", "session=PLANTED-COOKIE")
        self.end_headers()
        self.wfile.write(b"PLANTED!" * (length // 8))

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.startswith("/v1/items/"):
            self.answer(200, 104)
        elif path == "/slow":
            time.sleep(0.2)
            self.answer(200, 8)
        elif path == "/large":
            self.send_response(200)
            self.send_header("Content-Length", str(PIECES * PIECE))
            self.end_headers()
            for _ in range(PIECES):
                self.wfile.write(b"PLANTED!" * (PIECE // 8))
                time.sleep(EVERY)
        elif path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for _ in range(3):
                self.wfile.write(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")
        elif path == "/drop":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self.answer(404, 16)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(201, 24)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoints)
if len(sys.argv) > 1:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
