// Pid reuse, forced: two processes that follow each other under one pid, by clone3 with set_tid (needs
// CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE). They do different work and leave with different codes.
//
//   reuse children     both are children of this process
//   reuse victim       prints the first one's pid, lets it live until a line comes on stdin, then starts
//                      the second under the same pid, which lives until the next line

#include "truth.h"
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>

enum { FIRST_CALLS = 1111, SECOND_CALLS = 2222, FIRST_CODE = 11, SECOND_CODE = 22 };

// A child under `pid`, or under any free pid if 0. Returns 0 in the child.
static pid_t child_under(pid_t pid) {
    struct clone_args args = {.exit_signal = SIGCHLD};
    if (pid) {
        args.set_tid = (uint64_t)(uintptr_t)&pid;
        args.set_tid_size = 1;
    }
    pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    check(child >= 0, "clone3");
    return child;
}

noinline static void first(void) {
    for (int n = 0; n < FIRST_CALLS; n++) syscall(SYS_getppid);
    _exit(FIRST_CODE);
}

noinline static void second(void) {
    for (int n = 0; n < SECOND_CALLS; n++) syscall(SYS_getpgid, 0);
    _exit(SECOND_CODE);
}

static void children(void) {
    pid_t pid = child_under(0);
    if (pid == 0) first();
    check(WEXITSTATUS(reap(pid)) == FIRST_CODE, "the first child's code");
    if (child_under(pid) == 0) second();
    check(WEXITSTATUS(reap(pid)) == SECOND_CODE, "the second child's code");
    printf("{\"pid\":%d,\"getppid\":%d,\"getpgid\":%d,\"codes\":[%d,%d]}\n", pid, FIRST_CALLS, SECOND_CALLS,
           FIRST_CODE, SECOND_CODE);
}

static void wait_for_line(void) {
    int c;
    while ((c = getchar()) != EOF && c != '\n') {}
}

// The child does nothing until it is killed.
static pid_t idle_child_under(pid_t pid) {
    pid_t child = child_under(pid);
    if (child == 0)
        for (;;) pause();
    printf("{\"pid\":%d}\n", child);
    return child;
}

static void victim(void) {
    pid_t pid = idle_child_under(0);
    wait_for_line();
    kill(pid, SIGKILL);
    reap(pid);
    idle_child_under(pid);
    wait_for_line();
    kill(pid, SIGKILL);
    reap(pid);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && strcmp(argv[1], "victim") == 0) victim();
    else children();
    return 0;
}
