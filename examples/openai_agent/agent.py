"""A small agent: it asks a model what to do, runs the tools that the model names, and answers.

It reads one task a line from its standard input. What it did it prints as JSON lines, by its own clock: an
`llm` line for each request, a `tool` line for each tool, and an `answer`. It knows nothing of agentperf.

Usage: OPENAI_BASE_URL=… OPENAI_API_KEY=… SSL_CERT_FILE=… agent.py
"""

import json
import subprocess
import sys
import time

from openai import OpenAI

MODEL = "gpt-4o-mini"


def schema(name, argument, description):
    parameters = {"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TOOLS = [schema("bash", "command", "Run a shell command."), schema("python", "code", "Run a Python program.")]
COMMANDS = {
    "bash": lambda arguments: ["bash", "-c", arguments["command"]],
    "python": lambda arguments: [sys.executable, "-c", arguments["code"]],
}


def report(**event):
    print(json.dumps(event), flush=True)


def ask(client, messages):
    """One request. Returns the assistant's message, put together from the stream."""
    start, cpu, first = time.monotonic(), time.process_time(), None
    text, calls = "", {}
    for chunk in client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS, stream=True):
        first = first or time.monotonic() - start
        delta = chunk.choices[0].delta
        text += delta.content or ""
        for call in delta.tool_calls or []:
            entry = calls.setdefault(call.index, {"id": call.id, "type": "function", "function": {"name": "", "arguments": ""}})
            entry["function"]["name"] += call.function.name or ""
            entry["function"]["arguments"] += call.function.arguments or ""
    seconds = time.monotonic() - start
    waited = seconds - (time.process_time() - cpu)
    report(event="llm", first_token_seconds=first, seconds=seconds, waited_seconds=waited)
    message = {"role": "assistant", "content": text}
    return message | ({"tool_calls": list(calls.values())} if calls else {})


def use_tool(call):
    """Runs a tool as a child process, to its end. Returns its output as the message for the model."""
    name, arguments = call["function"]["name"], json.loads(call["function"]["arguments"])
    start = time.monotonic()
    tool = subprocess.Popen(
        COMMANDS[name](arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    output, _ = tool.communicate()
    report(event="tool", name=name, pid=tool.pid, status=tool.returncode, seconds=time.monotonic() - start)
    return {"role": "tool", "tool_call_id": call["id"], "content": f"status {tool.returncode}\n{output}"}


def work(client, task):
    messages = [{"role": "user", "content": task}]
    while True:
        message = ask(client, messages)
        messages.append(message)
        if "tool_calls" not in message:
            report(event="answer", text=message["content"].strip())
            return
        messages += [use_tool(call) for call in message["tool_calls"]]


def main():
    client = OpenAI()
    report(event="ready")
    for task in sys.stdin:
        work(client, task.strip())


if __name__ == "__main__":
    main()
