"""A server of MCP by the public SDK for Python. Usage: server.py stdio, or server.py http, which says on which port.

Tools: `echo`, `slow` (50 ms), `broken`, which raises, and `stuck` (a minute). Each says how long it took by its own clock.
"""

import asyncio
import json
import socket
import sys
import time

import uvicorn
from mcp.server.mcpserver import MCPServer

server = MCPServer("python-sdk-server", version="1", log_level="CRITICAL")
SLEEPS = {"echo": 0, "slow": 0.05, "stuck": 60}


def tool(name, seconds):
    async def run(secret: str) -> str:
        began = time.monotonic()
        await asyncio.sleep(seconds)
        return f"{secret} PLANTED-RESULT {time.monotonic() - began}"

    server.add_tool(run, name=name, description="PLANTED")


@server.tool()
async def broken(secret: str) -> str:
    """PLANTED"""
    raise ValueError(f"PLANTED-ERROR {secret}")


for each, sleep in SLEEPS.items():
    tool(each, sleep)

if sys.argv[1] == "stdio":
    server.run("stdio")
else:
    listener = socket.create_server(("127.0.0.1", 0))
    print(json.dumps({"ready": True, "port": listener.getsockname()[1]}), flush=True)
    config = uvicorn.Config(server.streamable_http_app(), log_level="critical")
    uvicorn.Server(config).run(sockets=[listener])
