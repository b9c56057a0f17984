// N short children, never more than 50 alive at once: odd ones by fork and _exit, even ones by vfork and
// an exec of /bin/true (exit code 0). Prints how many children left with which exit code.

#include "truth.h"

enum { ALIVE = 50 };

static long exits[256];

static void reap_one(void) {
    int status;
    check(wait(&status) > 0, "wait");
    check(WIFEXITED(status), "a child was killed");
    exits[WEXITSTATUS(status)]++;
}

static void spawn(long n) {
    static char *const argv[] = {"true", NULL};
    pid_t child = n % 2 ? fork() : vfork();
    check(child >= 0, "fork");
    if (child) return;
    if (n % 2) _exit((int)(n % 256));
    execv("/bin/true", argv);
    _exit(127);
}

int main(int argc, char **argv) {
    long total = argc > 1 ? atol(argv[1]) : 10000;
    for (long n = 0; n < total; n++) {
        if (n >= ALIVE) reap_one();
        spawn(n);
    }
    for (long n = 0; n < total && n < ALIVE; n++) reap_one();
    printf("{\"pid\":%d,\"children\":%ld,\"exits\":[%ld", getpid(), total, exits[0]);
    for (int code = 1; code < 256; code++) printf(",%ld", exits[code]);
    puts("]}");
    return 0;
}
