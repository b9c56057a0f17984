"""Has a process wait at a terminal of its own: prints its pid, and ends it when its standard input does."""

import os
import pty
import sys

pid, terminal = pty.fork()
if pid == 0:
    os.execvp("cat", ["cat"])
# It has executed once it echoes.
os.write(terminal, b"ready\n")
os.read(terminal, 100)
print(pid, flush=True)
sys.stdin.read()
os.close(terminal)
os.waitpid(pid, 0)
