// Frames at the edges of what unwind information says, each held for the time that a test looks.
//
//   fault   a signal that the first instruction of a function brings about: main → before → faulty → on_fault → compute;
//           the function before `faulty` in memory is never called
//   vfork   children that live for 20 ms: main → before → spawn → vfork, where the return address is in a register

#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FRAME __attribute__((noinline))

static volatile unsigned long done;
static sigjmp_buf back;

FRAME void compute(unsigned long seed) {
    for (int i = 0; i < 3000000; i++) {
        seed = seed * 2862933555777941757UL + 3037000493UL;
    }
    done = seed;
}

FRAME void on_fault(int signal) {
    compute((unsigned long)signal);
    siglongjmp(back, 1);
}

void never_called(void);
void faulty(void);
__asm__(".text\n"
        ".globl never_called\n.type never_called, @function\n"
        "never_called: .cfi_startproc\n ret\n .cfi_endproc\n.size never_called, . - never_called\n"
        ".globl faulty\n.type faulty, @function\n"
        "faulty: .cfi_startproc\n mov 0, %eax\n ret\n .cfi_endproc\n.size faulty, . - faulty\n");

FRAME static void spawn(void) {
    pid_t child = vfork();
    if (child == 0) {
        struct timespec nap = {0, 20000000};
        nanosleep(&nap, NULL);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    done++;
}

FRAME static void before(int vforks) {
    if (vforks) {
        spawn();
    } else if (sigsetjmp(back, 1) == 0) {
        faulty();
    }
    done++;
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    puts("ready");
    fflush(stdout);
    int vforks = argc > 1 && strcmp(argv[1], "vfork") == 0;
    for (;;) {
        before(vforks);
        done++;
    }
}
