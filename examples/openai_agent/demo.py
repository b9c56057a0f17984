"""Watches the example agent by a running agentperf, and shows what comes out beside what the agent says.

Start agentperf first (`cargo xtask run`), then `examples/openai_agent/run.sh`. AGENTPERF_URL names
another daemon than the one at http://127.0.0.1:7575.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
AGENTPERF = os.environ.get("AGENTPERF_URL", "http://127.0.0.1:7575")


def call(method, path, body=None):
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(AGENTPERF + path, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request) as response:
            return json.loads(response.read() or "null")
    except urllib.error.HTTPError as error:
        sys.exit(f"agentperf: {json.load(error).get('detail', error)}")
    except urllib.error.URLError:
        sys.exit(f"no agentperf answers at {AGENTPERF}: start it by `cargo xtask run`")


def start(script, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, HERE / script, *arguments],
        cwd=HERE,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def follow(agent):
    """Gives the agent its task and prints its own account of it."""
    print("the task", file=agent.stdin, flush=True)
    for line in agent.stdout:
        event = json.loads(line)
        if event["event"] == "llm":
            print(f"  llm   {event['seconds']:6.3f} s, the first token after {event['first_token_seconds']:.3f} s")
        elif event["event"] == "tool":
            print(f"  tool  {event['seconds']:6.3f} s, {event['name']}, pid {event['pid']}, status {event['status']}")
        else:
            print(f"  \"{event['text']}\"")
            return


def show(agent_id):
    print("\nWhat agentperf saw\n  processes")
    for process in call("GET", f"/api/v1/agents/{agent_id}/processes")["processes"]:
        end = "lives" if process["end"] is None else f"signal {process['signal']}" if process["signal"] else f"exit {process['exit_code']}"
        command = " ".join(process["argv"])
        print(f"  {process['pid']:>8} {process['cpu_seconds']:6.3f} s CPU  {end:9} {command[:70]}")
    print("  off-CPU time")
    for cause in call("GET", f"/api/v1/agents/{agent_id}/off-cpu")["causes"]:
        print(f"  {cause['blocked_seconds']:8.3f} s blocked {cause['run_queue_seconds']:6.3f} s run queue  {cause['count']:>5} times  {cause['cause']}")
    print(f"  flame graph: {AGENTPERF}/api/v1/agents/{agent_id}/profile?type=off_cpu&format=svg")


def main():
    with tempfile.TemporaryDirectory() as directory:
        llm = start("llm.py", directory)
        url = llm.stdout.readline().strip()
        agent = start("agent.py", OPENAI_BASE_URL=url, OPENAI_API_KEY="none", SSL_CERT_FILE=f"{directory}/ca.pem")
        try:
            agent.stdout.readline()
            agent_id = call("POST", "/api/v1/agents", {"pid": agent.pid, "name": "example"})["id"]
            print("What the agent says")
            follow(agent)
            call("DELETE", f"/api/v1/agents/{agent_id}")
            show(agent_id)
        finally:
            for process in (agent, llm):
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()
