# An agent that runs tools: one command a line, as JSON, each answered by lines of truth, the last of which says what was
# done. It says of every tool what wait4 said of it.
#
#   {"do": "run", "argv": […], "times": N}   one after the other, each waited for
#   {"do": "serve", "argv": […]}             starts a server, and speaks to it once through pipes
#   {"do": "unserve"}                        ends the server
#   {"do": "pool"}                           workers by multiprocessing, started by spawn
#   {"do": "again"}                          executes this program again, in the same process

import json
import multiprocessing
import os
import subprocess
import sys


def tell(**truth):
    print(json.dumps(truth), flush=True)


def run(argv, times):
    for _ in range(times):
        quiet = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
        pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=quiet)
        _, status, used = os.wait4(pid, 0)
        tell(pid=pid, status=status, cpu=used.ru_utime + used.ru_stime)


def serve(argv):
    global server
    server = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    server.stdin.write(b"hello\n")
    server.stdin.flush()
    tell(pid=server.pid, heard=server.stdout.readline().decode())


def unserve():
    server.stdin.close()
    server.wait()


def double(x):
    return 2 * x


def pool():
    with multiprocessing.get_context("spawn").Pool(2) as workers:
        assert workers.map(double, range(10)) == list(range(0, 20, 2))


def main():
    for line in sys.stdin:
        if line.startswith("getppid"):
            tell(did="getppid")
            continue
        command = json.loads(line)
        match command["do"]:
            case "run":
                run(command["argv"], command.get("times", 1))
            case "serve":
                serve(command["argv"])
            case "unserve":
                unserve()
            case "pool":
                pool()
            case "again":
                tell(did="again")
                os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
        tell(did=command["do"])


if __name__ == "__main__":
    main()
