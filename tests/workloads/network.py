# An agent that speaks to others: one command a line, as JSON, each answered by one line that says what was done.
#
#   {"do": "exchange", "host": H, "port": P, "times": N, "send": S, "receive": R}   TCP, a connection each time
#   {"do": "child", ...}            an exchange by a child process; "pid" is the child's
#   {"do": "refused", "host": H, "port": P}     a connection that nobody accepts
#   {"do": "full"}                  a listener that is full: one attempt times out, one is given up, one waits and succeeds
#   {"do": "serve", "times": N, "send": S, "receive": R}   listens, says the port, and serves so many when told
#   {"do": "served"}
#   {"do": "datagrams", "host": H, "port": P, "times": N, "size": S, "connected": B}   sent, and echoed
#   {"do": "echo", "times": N}      a datagram socket that serves
#   {"do": "pair", "size": S}       unix sockets
#   {"do": "resolve", "name": H}    asks the resolver
#   {"do": "ask", "host": H, "by": "recvfrom" | "recvmsg" | "read", "query": hex}   asks a name server by itself

import json
import os
import socket
import sys
import threading
import time

SYN_COUNT = 7


def tell(**truth):
    print(json.dumps(truth), flush=True)


def receive(connection, size):
    left = size
    while left > 0:
        got = connection.recv(min(left, 65536))
        assert got, "the peer has ended"
        left -= len(got)


def exchange(command):
    times = []
    for _ in range(command.get("times", 1)):
        family = socket.AF_INET6 if ":" in command["host"] else socket.AF_INET
        with socket.socket(family) as connection:
            begun = time.monotonic()
            connection.connect((command["host"], command["port"]))
            times.append(time.monotonic() - begun)
            connection.sendall(b"x" * command["send"])
            receive(connection, command["receive"])
    return {"connect": sum(times), "longest": max(times)}


def child(command):
    pid = os.fork()
    if pid == 0:
        exchange(command)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return {"pid": pid, "status": status}


def refused(command):
    with socket.socket() as connection:
        return {"errno": connection.connect_ex((command["host"], command["port"]))}


def full(_):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    address = listener.getsockname()
    first = socket.create_connection(address)
    late = socket.socket()
    late.setsockopt(socket.IPPROTO_TCP, SYN_COUNT, 1)
    timed_out = late.connect_ex(address)
    impatient = socket.socket()
    impatient.setblocking(False)
    impatient.connect_ex(address)
    impatient.close()
    patient = socket.socket()
    threading.Timer(0.3, listener.accept).start()
    begun = time.monotonic()
    patient.connect(address)
    waited = time.monotonic() - begun
    for each in (first, late, patient, listener):
        each.close()
    return {"port": address[1], "errno": timed_out, "waited": waited}


def serve(command):
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        for _ in range(command["times"]):
            connection, _ = listener.accept()
            with connection:
                receive(connection, command["receive"])
                connection.sendall(b"x" * command["send"])
        listener.close()

    global server
    server = threading.Thread(target=run)
    server.start()
    return {"port": listener.getsockname()[1]}


def served(_):
    server.join()
    return {}


def datagrams(command):
    address = (command["host"], command["port"])
    with socket.socket(socket.AF_INET6 if ":" in command["host"] else socket.AF_INET, socket.SOCK_DGRAM) as sender:
        if command["connected"]:
            sender.connect(address)
        for _ in range(command["times"]):
            data = b"x" * command["size"]
            sender.send(data) if command["connected"] else sender.sendto(data, address)
            # What is only looked at is not received twice.
            assert len(sender.recv(65536, socket.MSG_PEEK)) == command["size"]
            assert len(sender.recv(65536)) == command["size"]
    return {}


def echo(command):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def run():
        for _ in range(command["times"]):
            data, address = server.recvfrom(65536)
            server.sendto(data, address)
        server.close()

    threading.Thread(target=run).start()
    return {"port": server.getsockname()[1]}


def pair(command):
    one, other = socket.socketpair()
    one.sendall(b"x" * command["size"])
    receive(other, command["size"])
    one.close()
    other.close()
    return {}


def resolve(command):
    found = socket.getaddrinfo(command["name"], None, socket.AF_INET, socket.SOCK_STREAM)
    return {"address": found[0][4][0]}


def ask(command):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        query, server = bytes.fromhex(command["query"]), (command["host"], 53)
        if command["by"] == "read":
            asker.connect(server)
            os.write(asker.fileno(), query)
            answer = os.read(asker.fileno(), 4096)
        elif command["by"] == "recvmsg":
            asker.sendmsg([query], [], 0, server)
            answer = asker.recvmsg(4096)[0]
        else:
            asker.sendto(query, server)
            answer = asker.recvfrom(4096)[0]
    return {"bytes": len(answer)}


COMMANDS = {
    "exchange": exchange,
    "child": child,
    "refused": refused,
    "full": full,
    "serve": serve,
    "served": served,
    "datagrams": datagrams,
    "echo": echo,
    "pair": pair,
    "resolve": resolve,
    "ask": ask,
}


def main():
    for line in sys.stdin:
        if line.startswith("getppid"):
            tell(did="getppid")
            continue
        command = json.loads(line)
        tell(did=command["do"], **COMMANDS[command["do"]](command))


if __name__ == "__main__":
    main()
