"""Records what real clients and a small provider say to each other, for the tests of `agent-daemon/src/wire`.

Each scenario gets a file `NAME.rec` in `agent-daemon/src/wire/testdata`: a line for each piece that went through a
plain TCP proxy (nanoseconds, connection, `>` or `<`, base64; `x` for the end of a connection), and before them lines
`= JSON`: what the client itself saw of each call, which the tests take for the truth.

Needs: node with `openai` and `@anthropic-ai/sdk` below NODE_PATH's folder; Python packages openai, anthropic, httpx[http2],
google-genai, boto3, ollama, mcp (1.x: the second has other names). Usage: python record.py FOLDER_OF_NODE_MODULES [SCENARIO...]
"""

import asyncio
import base64
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parents[1] / "agent-daemon/src/wire/testdata"
PROMPT = 'PLANTED-PROMPT "model":"planted" \\ ' + "long " * 40
KEY = "PLANTED-KEY"
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("get_weather", "search")]


class Proxy:
    """Forwards connections to a port and writes down each piece."""

    def __init__(self, target):
        self.target, self.lines, self.lock, self.count = target, [], threading.Lock(), 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start = time.monotonic_ns()
        self.threads = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            self.count += 1
            done = []
            for way, source, sink in ((">", client, server), ("<", server, client)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                thread = threading.Thread(target=self.forward, args=(self.count, way, source, sink, done), daemon=True)
                self.threads.append(thread)
                thread.start()

    def note(self, connection, way, data):
        with self.lock:
            at = time.monotonic_ns() - self.start
            self.lines.append(f"{at} {connection} {way} {base64.b64encode(data).decode()}")

    def forward(self, connection, way, source, sink, done):
        try:
            while data := source.recv(65536):
                self.note(connection, way, data)
                sink.sendall(data)
        except OSError:
            pass
        done.append(way)
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        if len(done) == 2:
            self.note(connection, "x", b"")

    def finish(self):
        time.sleep(0.1)
        self.listener.close()
        for thread in self.threads:
            thread.join(2)
        return self.lines


def serve(*arguments):
    process = subprocess.Popen(["node", HERE / "provider.mjs", *arguments], stdout=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline())


def chat_truth(answer, **more):
    usage = answer.usage
    tools = [call.function.name for choice in answer.choices for call in (choice.message.tool_calls or [])]
    return {"provider": "openai", "operation": "chat", "response_model": answer.model, "status": 200, "tools": tools,
            "finish": answer.choices[0].finish_reason, "stream": False, "input": usage.prompt_tokens,
            "output": usage.completion_tokens, "cache_read": usage.prompt_tokens_details.cached_tokens,
            "reasoning": usage.completion_tokens_details.reasoning_tokens, **more}


def openai_chat(port, note):
    import openai

    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY)
    ask = {"messages": [{"role": "user", "content": PROMPT}]}
    note(chat_truth(client.chat.completions.create(model="gpt-4.1", **ask), request_model="gpt-4.1"))
    note(chat_truth(client.chat.completions.create(model="gpt-4.1", tools=TOOLS, **ask), request_model="gpt-4.1"))
    answer = client.embeddings.create(model="text-embedding-3-small", input=PROMPT)
    note({"provider": "openai", "operation": "embeddings", "response_model": answer.model, "status": 200,
          "input": answer.usage.prompt_tokens, "output": None})
    client.close()


def openai_stream(port, note):
    import openai

    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY)
    for options in ({"stream_options": {"include_usage": True}}, {}):
        stream = client.chat.completions.create(
            model="gpt-4.1", stream=True, tools=TOOLS, messages=[{"role": "user", "content": PROMPT}], **options)
        usage, tools, chunks = None, [], 0
        for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                tools += [call.function.name for call in choice.delta.tool_calls or [] if call.function.name]
                chunks += bool(choice.delta.content or choice.delta.tool_calls)
        note({"provider": "openai", "operation": "chat", "request_model": "gpt-4.1", "response_model": chunk.model,
              "status": 200, "stream": True, "tools": tools, "finish": "tool_calls", "chunks": chunks,
              "input": usage and usage.prompt_tokens, "output": usage and usage.completion_tokens})
    client.close()


def openai_retry(port, note):
    import openai

    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY)
    answer = client.chat.completions.create(model="retry-1", messages=[{"role": "user", "content": PROMPT}])
    note({"provider": "openai", "status": 429, "error": "rate_limit_exceeded", "input": None, "output": None, "retries": 0})
    note(chat_truth(answer, retries=1))
    client.close()


def openai_drop(port, note):
    import httpx
    import openai

    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY, max_retries=0)
    try:
        for _ in client.chat.completions.create(model="drop", stream=True, messages=[{"role": "user", "content": PROMPT}]):
            pass
    except (httpx.HTTPError, openai.OpenAIError):
        pass
    note({"provider": "openai", "status": 200, "stream": True, "error": "cut_off", "input": None, "output": None, "partial": "cut_off"})
    client.close()


def openai_responses(port, note):
    import openai

    async def main():
        client = openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY)
        for stream in (False, True):
            answer = await client.responses.create(model="gpt-5", input=PROMPT, stream=stream)
            if stream:
                async for event in answer:
                    if event.type == "response.completed":
                        final = event.response
                answer = final
            usage = answer.usage
            note({"provider": "openai", "operation": "chat", "request_model": "gpt-5", "response_model": answer.model,
                  "status": 200, "stream": stream, "finish": "completed",
                  "tools": [item.name for item in answer.output if item.type == "function_call"],
                  "input": usage.input_tokens, "output": usage.output_tokens,
                  "cache_read": usage.input_tokens_details.cached_tokens,
                  "reasoning": usage.output_tokens_details.reasoning_tokens})
        await client.close()

    asyncio.run(main())


def anthropic_truth(answer, stream):
    usage = answer.usage
    return {"provider": "anthropic", "operation": "chat", "request_model": "claude-sonnet-4", "response_model": answer.model,
            "status": 200, "stream": stream, "finish": answer.stop_reason,
            "tools": [part.name for part in answer.content if part.type == "tool_use"],
            "input": usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens,
            "output": usage.output_tokens, "cache_read": usage.cache_read_input_tokens,
            "cache_write": usage.cache_creation_input_tokens}


def anthropic_messages(port, note):
    import anthropic

    client = anthropic.Anthropic(base_url=f"http://127.0.0.1:{port}", api_key=KEY, max_retries=0)
    ask = {"model": "claude-sonnet-4", "max_tokens": 100, "messages": [{"role": "user", "content": PROMPT}]}
    note(anthropic_truth(client.messages.create(**ask), False))
    with client.messages.stream(**ask) as stream:
        note(anthropic_truth(stream.get_final_message(), True))
    for stream in (False, True):
        try:
            for _ in client.messages.create(**{**ask, "model": "overloaded"}, stream=stream):
                pass
        except anthropic.APIError:
            pass
        note({"provider": "anthropic", "status": 200 if stream else 529, "stream": stream, "error": "overloaded_error"})
    client.close()


def gemini(port, note):
    from google import genai

    client = genai.Client(api_key=KEY, http_options={"base_url": f"http://127.0.0.1:{port}"})
    for stream in (False, True):
        ask = {"model": "gemini-2.5-flash", "contents": PROMPT}
        if stream:
            for answer in client.models.generate_content_stream(**ask):
                pass
        else:
            answer = client.models.generate_content(**ask)
        usage = answer.usage_metadata
        note({"provider": "gcp.gemini", "operation": "generate_content", "request_model": "gemini-2.5-flash",
              "response_model": answer.model_version, "status": 200, "stream": stream, "finish": "STOP",
              "tools": ["get_weather"], "input": usage.prompt_token_count,
              "output": usage.candidates_token_count + usage.thoughts_token_count,
              "cache_read": usage.cached_content_token_count, "reasoning": usage.thoughts_token_count})
    client.close()


def bedrock(port, note):
    import boto3

    client = boto3.client("bedrock-runtime", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
                          aws_access_key_id=KEY, aws_secret_access_key=KEY)
    model = "anthropic.claude-3-5-sonnet-20241022-v2:0"
    truth = {"provider": "aws.bedrock", "operation": "chat", "request_model": model, "status": 200, "finish": "tool_use",
             "tools": ["get_weather"]}
    ask = {"modelId": model, "messages": [{"role": "user", "content": [{"text": PROMPT}]}]}
    usage = client.converse(**ask)["usage"]
    note({**truth, "stream": False, "input": usage["inputTokens"], "output": usage["outputTokens"]})
    for event in client.converse_stream(**ask)["stream"]:
        usage = event.get("metadata", {}).get("usage", usage)
    note({**truth, "stream": True, "input": usage["inputTokens"], "output": usage["outputTokens"], "chunks": 4})
    body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": PROMPT}]})
    usage = json.loads(client.invoke_model(modelId=model, body=body)["body"].read())["usage"]
    whole = usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
    note({**truth, "stream": False, "input": whole, "output": usage["output_tokens"]})
    for _ in client.invoke_model_with_response_stream(modelId=model, body=body)["body"]:
        pass
    note({**truth, "stream": True, "input": whole, "output": usage["output_tokens"]})
    client.close()


def ollama_native(port, note):
    import ollama

    client = ollama.Client(host=f"http://127.0.0.1:{port}")
    for stream in (True, False):
        answer = client.chat(model="qwen3:8b", messages=[{"role": "user", "content": PROMPT}], stream=stream)
        if stream:
            *_, answer = answer
        note({"provider": "ollama", "operation": "chat", "request_model": "qwen3:8b", "response_model": answer.model,
              "status": 200, "stream": stream, "finish": "stop", "input": answer.prompt_eval_count, "output": answer.eval_count})


def httpx_h2(port, note):
    import httpx

    async def one(client, n):
        body = {"messages": [{"role": "user", "content": PROMPT}], "model": f"llama-{n}", "stream": True,
                "stream_options": {"include_usage": True}}
        headers = {"authorization": f"Bearer {KEY}-{n}", "accept-encoding": "gzip" if n % 2 else "identity"}
        async with client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
            async for _ in answer.aiter_bytes():
                pass
        return {"provider": "llama_cpp", "request_model": f"llama-{n}", "response_model": f"llama-{n}-2026-01-01",
                "status": 200, "stream": True, "chunks": 3, "input": 1200, "output": 80, "finish": "stop"}

    async def main():
        async with httpx.AsyncClient(http1=False, http2=True, base_url=f"http://127.0.0.1:{port}") as client:
            await client.get("/hello/4711?key=" + KEY)
            for truth in await asyncio.gather(*(one(client, n) for n in range(12))):
                note(truth)

    asyncio.run(main())


def node_clients(port, note):
    text = subprocess.run(["node", HERE / "clients.mjs", str(port)], check=True, capture_output=True, text=True,
                          cwd=NODE, env={**os.environ, "MODULES": NODE}).stdout
    for line in text.splitlines():
        note(json.loads(line))


MCP_SERVER = '''
from mcp.server.fastmcp import FastMCP
import sys
server = FastMCP("weather-server", host="127.0.0.1", port=int(sys.argv[2]) if len(sys.argv) > 2 else 0)
@server.tool()
def get_weather(city: str) -> str:
    """Weather"""
    return "PLANTED-COMPLETION " + city
@server.tool()
def fail(city: str) -> str:
    """Fails"""
    raise ValueError("PLANTED-COMPLETION")
server.run(transport=sys.argv[1])
'''

MCP_TRUTH = [("initialize", None, None), ("tools/list", None, None), ("tools/call", "get_weather", None),
             ("tools/call", "fail", "tool_error")]


async def mcp_calls(read, write):
    import mcp

    async with mcp.ClientSession(read, write) as session:
        await session.initialize()
        await session.list_tools()
        for tool in ("get_weather", "fail"):
            await session.call_tool(tool, {"city": "PLANTED-ARGUMENT"})


def mcp_truth(note, transport):
    for method, tool, error in MCP_TRUTH:
        note({"mcp": method, "tool": tool, "error": error, "server": "weather-server", "transport": transport})


def mcp_http(transport):
    def scenario(_, note, record):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        process = subprocess.Popen([sys.executable, "-c", MCP_SERVER, transport, str(port)], stderr=subprocess.DEVNULL)
        try:
            for _ in range(100):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.1)
            proxy = Proxy(port)

            async def main():
                from mcp.client.sse import sse_client
                from mcp.client.streamable_http import streamablehttp_client

                if transport == "sse":
                    async with sse_client(f"http://127.0.0.1:{proxy.port}/sse") as (read, write):
                        await mcp_calls(read, write)
                else:
                    async with streamablehttp_client(f"http://127.0.0.1:{proxy.port}/mcp") as (read, write, _):
                        await mcp_calls(read, write)

            asyncio.run(main())
            mcp_truth(note, "sse" if transport == "sse" else "http")
            record(proxy.finish())
        finally:
            process.terminate()

    return scenario


TEE = '''
import base64, os, subprocess, sys, threading, time
child = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
log, lock, start = open(sys.argv[1], "w"), threading.Lock(), time.monotonic_ns()
def forward(way, source, sink):
    while data := os.read(source, 65536):
        with lock:
            log.write(f"{time.monotonic_ns() - start} 1 {way} {base64.b64encode(data).decode()}\\n")
            log.flush()
        os.write(sink, data)
    os.close(sink)
threading.Thread(target=forward, args=(">", 0, child.stdin.fileno())).start()
forward("<", child.stdout.fileno(), 1)
'''


def mcp_stdio(_, note, record):
    from mcp import StdioServerParameters
    from mcp.client.stdio import stdio_client

    log = OUT / "stdio.tmp"

    async def main():
        arguments = ["-c", TEE, str(log), sys.executable, "-c", MCP_SERVER, "stdio"]
        async with stdio_client(StdioServerParameters(command=sys.executable, args=arguments), open(os.devnull, "w")) as (read, write):
            await mcp_calls(read, write)

    asyncio.run(main())
    mcp_truth(note, "stdio")
    record(log.read_text().splitlines())
    log.unlink()


PROVIDER = [openai_chat, openai_stream, openai_retry, openai_drop, openai_responses, anthropic_messages, gemini, bedrock,
            ollama_native, node_clients]
OTHERS = {"mcp_http": mcp_http("streamable-http"), "mcp_sse": mcp_http("sse"), "mcp_stdio": mcp_stdio}


def write(name, truths, lines):
    text = "".join(f"= {json.dumps(truth)}\n" for truth in truths) + "".join(f"{line}\n" for line in lines)
    (OUT / f"{name}.rec").write_text(text)
    print(name, len(truths), "calls,", len(lines), "pieces,", len(text), "bytes")


def through_proxy(scenario, *arguments):
    process, port = serve(*arguments)
    try:
        proxy, truths = Proxy(port), []
        scenario(proxy.port, truths.append)
        write(scenario.__name__, truths, proxy.finish())
    finally:
        process.terminate()


def main():
    OUT.mkdir(exist_ok=True)
    wanted = sys.argv[2:]
    for scenario in PROVIDER:
        if not wanted or scenario.__name__ in wanted:
            through_proxy(scenario)
    if not wanted or "httpx_h2" in wanted:
        through_proxy(httpx_h2, "h2c")
    for name, scenario in OTHERS.items():
        if not wanted or name in wanted:
            truths = []
            scenario(None, truths.append, lambda lines, name=name, truths=truths: write(name, truths, lines))


NODE = str(pathlib.Path(sys.argv[1]).resolve())
main()
