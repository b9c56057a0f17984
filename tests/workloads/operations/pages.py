"""Serves a page that has agentperf's script in it, and something for it to time: `DOOR SCRIPT PORT`; prints its port. PROJECT_KEY
holds the key."""
import http.server
import os
import pathlib
import sys

DOOR, SCRIPT, PORT = sys.argv[1:]
KEY = os.environ["PROJECT_KEY"]
PAGE = f"""<!doctype html><title>page</title>
<script src="/agentperf.js" data-url="{DOOR}" data-key="{KEY}" data-session="PLANTED0SECRET"></script>
<script>
  addEventListener("load", function () {{
    var end = performance.now() + 120;
    while (performance.now() < end) {{}}
    fetch("/api/items/4711?token=PLANTED0SECRET");
    fetch("/api/broken");
  }});
</script>"""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.split("?")[0]
        body = {"/shop/page": PAGE, "/agentperf.js": pathlib.Path(SCRIPT).read_text()}.get(path, "{}")
        kind = {"/shop/page": "text/html", "/agentperf.js": "text/javascript"}.get(path, "application/json")
        self.send_response(500 if path == "/api/broken" else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(PORT)), Handler)
print(server.server_port, flush=True)
server.serve_forever()
