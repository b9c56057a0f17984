"""Calls a model by the public clients, as they are told line by line, and says what they made of each call.

Usage: client.py PORT CERTIFICATE. Commands: `LIBRARY WAY MODEL [COUNT]`; the library is `openai`, `anthropic` or `httpx`, the way
any of `async`, `stream`, `h2` joined by `+`, or `plain`. So many calls are made at once, of models `MODEL-N`. Each answer is a
list: of each call its model, status, tokens, seconds, and after how many seconds the first word came. With the library `again` it
executes itself.
"""

import asyncio
import json
import os
import ssl
import sys
import time

import anthropic
import httpx
import openai

PORT = sys.argv[1]
CONTEXT = ssl.create_default_context(cafile=sys.argv[2])
BASE = f"https://127.0.0.1:{PORT}"
KEY = "PLANTED-KEY"
MESSAGES = [{"role": "user", "content": "PLANTED-PROMPT " + "long " * 2000}]
# What is sent to a model that is called an `upload`, bytes.
LARGE = 50_000_000
USAGE = {"stream_options": {"include_usage": True}}


def messages(model):
    return [{"role": "user", "content": "long " * (LARGE // 5)}] if "upload" in model else MESSAGES


class Truth:
    """What one call was like."""

    def __init__(self, model):
        self.told, self.start = {"model": model, "status": 200, "first": None}, time.monotonic()

    def word(self):
        if self.told["first"] is None:
            self.told["first"] = time.monotonic() - self.start

    def over(self, answered=None, tokens=(None, None)):
        self.told |= {"answered": answered, "input": tokens[0], "output": tokens[1], "seconds": time.monotonic() - self.start}
        return self.told

    def failed(self, error):
        self.told |= {"status": getattr(error, "status_code", 200), "error": type(error).__name__}
        return self.over()


def of_chat(usage):
    return (usage.prompt_tokens, usage.completion_tokens) if usage else (None, None)


def of_messages(usage):
    return usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens, usage.output_tokens


class OpenAi:
    def __init__(self, ways):
        client, http = (openai.AsyncOpenAI, openai.DefaultAsyncHttpxClient) if "async" in ways else (openai.OpenAI, openai.DefaultHttpxClient)
        self.client = client(base_url=f"{BASE}/v1", api_key=KEY, http_client=http(verify=CONTEXT, http2="h2" in ways), max_retries=2)

    def ask(self, model, stream):
        return self.client.chat.completions.create(model=model, messages=messages(model), **({"stream": True, **USAGE} if stream else {}))

    def chunk(self, chunk, seen, truth):
        seen["model"], seen["usage"] = chunk.model, chunk.usage or seen.get("usage")
        if chunk.choices and chunk.choices[0].delta.content:
            truth.word()

    def whole(self, answer):
        return answer.model, of_chat(answer.usage)

    def sum(self, seen):
        return seen.get("model"), of_chat(seen.get("usage"))


class Anthropic(OpenAi):
    def __init__(self, ways):
        client, http = (
            (anthropic.AsyncAnthropic, anthropic.DefaultAsyncHttpxClient) if "async" in ways else (anthropic.Anthropic, anthropic.DefaultHttpxClient)
        )
        self.client = client(base_url=BASE, api_key=KEY, http_client=http(verify=CONTEXT, http2="h2" in ways), max_retries=2)

    def ask(self, model, stream):
        return self.client.messages.create(model=model, max_tokens=100, messages=messages(model), stream=stream)

    def chunk(self, event, seen, truth):
        if event.type == "message_start":
            seen["model"], seen["usage"] = event.message.model, event.message.usage
        elif event.type == "message_delta":
            seen["usage"].output_tokens = event.usage.output_tokens
        elif event.type == "content_block_delta":
            truth.word()

    def whole(self, answer):
        return answer.model, of_messages(answer.usage)

    def sum(self, seen):
        return seen.get("model"), of_messages(seen["usage"]) if "usage" in seen else (None, None)


class Httpx:
    def __init__(self, ways):
        client = httpx.AsyncClient if "async" in ways else httpx.Client
        self.client = client(base_url=BASE, verify=CONTEXT, http1="h2" not in ways, http2="h2" in ways, timeout=30)

    def request(self, model, stream):
        body = {"model": model, "messages": messages(model), **({"stream": True, **USAGE} if stream else {})}
        return {"method": "POST", "url": "/v1/chat/completions", "json": body, "headers": {"authorization": f"Bearer {KEY}"}}

    def line(self, line, seen, truth):
        if line.startswith("data: {"):
            event = json.loads(line[6:])
            seen["model"], seen["usage"] = event["model"], event.get("usage") or seen.get("usage")
            if '"content":"PLANTED' in line:
                truth.word()

    def sum(self, seen):
        usage = seen.get("usage") or {}
        return seen.get("model"), (usage.get("prompt_tokens"), usage.get("completion_tokens"))

    def one(self, model, stream):
        truth, seen = Truth(model), {}
        if stream:
            with self.client.stream(**self.request(model, True)) as answer:
                for line in answer.iter_lines():
                    self.line(line, seen, truth)
        else:
            answer = self.client.request(**self.request(model, False))
            seen = answer.json()
        truth.told["status"] = answer.status_code
        return truth.over(*self.sum(seen))

    async def one_async(self, model, stream):
        truth, seen = Truth(model), {}
        if stream:
            async with self.client.stream(**self.request(model, True)) as answer:
                async for line in answer.aiter_lines():
                    self.line(line, seen, truth)
        else:
            answer = await self.client.request(**self.request(model, False))
            seen = answer.json()
        truth.told["status"] = answer.status_code
        return truth.over(*self.sum(seen))



def one(client, model, stream):
    if isinstance(client, Httpx):
        return client.one(model, stream)
    truth, seen = Truth(model), {}
    try:
        answer = client.ask(model, stream)
        if not stream:
            return truth.over(*client.whole(answer))
        for chunk in answer:
            client.chunk(chunk, seen, truth)
        return truth.over(*client.sum(seen))
    except Exception as error:
        return truth.failed(error)


async def one_async(client, model, stream):
    if isinstance(client, Httpx):
        return await client.one_async(model, stream)
    truth, seen = Truth(model), {}
    try:
        answer = await client.ask(model, stream)
        if not stream:
            return truth.over(*client.whole(answer))
        async for chunk in answer:
            client.chunk(chunk, seen, truth)
        return truth.over(*client.sum(seen))
    except Exception as error:
        return truth.failed(error)


CLIENTS = {"openai": OpenAi, "anthropic": Anthropic, "httpx": Httpx}


async def at_once(library, ways, models):
    client = CLIENTS[library](ways)
    told = await asyncio.gather(*(one_async(client, model, "stream" in ways) for model in models))
    await (client.client.aclose() if library == "httpx" else client.client.close())
    return told


def main():
    if "AGAIN" not in os.environ:
        print(json.dumps({"ready": True}), flush=True)
    while line := sys.stdin.buffer.raw.readline().decode():
        library, ways, model, *count = line.split()
        if library == "again":
            print("[]", flush=True)
            os.environ["AGAIN"] = "yes"
            os.execv(sys.executable, [sys.executable, *sys.argv])
        ways, count = ways.split("+"), int(count[0]) if count else 1
        models = [f"{model}-{n}" for n in range(count)]
        if "async" in ways:
            told = asyncio.run(at_once(library, ways, models))
        else:
            client = CLIENTS[library](ways)
            told = [one(client, model, "stream" in ways) for model in models]
            client.client.close()
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
