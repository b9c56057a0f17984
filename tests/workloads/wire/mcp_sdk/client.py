"""A client of MCP servers by the public SDK for Python, which does as it is told line by line, and says what it saw.

Commands: `stdio MODE COMMAND…` and `http MODE URL` begin a session, by the SDK's mode `auto` or `legacy`; `list`, `call TOOL`,
`give_up TOOL` after 0.3 s, and `end`.
"""

import asyncio
import json
import sys
import time

from mcp import Client, MCPError, StdioServerParameters

SECRET = {"secret": "PLANTED-ARGUMENT"}
session = None


async def began(kind, mode, target, *arguments):
    global session
    server = StdioServerParameters(command=target, args=arguments) if kind == "stdio" else target
    session = Client(server, mode=mode)
    await session.__aenter__()
    return {"protocol": session.protocol_version}


async def called(tool, patience):
    try:
        result = await session.call_tool(tool, SECRET, read_timeout_seconds=patience)
    except MCPError as error:
        return {"error": str(error.error.code)}
    if result.is_error:
        return {"error": "tool_error"}
    return {"took": float(result.content[0].text.split()[-1])}


async def told(command, *words):
    if command in ("stdio", "http"):
        return await began(command, *words)
    if command == "list":
        return {"tools": len((await session.list_tools()).tools)}
    if command == "end":
        await session.__aexit__(None, None, None)
        return {}
    return await called(words[0], 0.3 if command == "give_up" else None)


async def main():
    print(json.dumps({"ready": True}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        start = time.monotonic()
        saw = await told(*line.split())
        print(json.dumps({**saw, "seconds": time.monotonic() - start}), flush=True)


asyncio.run(main())
