// N children one after the other, each of which lives for a millisecond of its own CPU and leaves with a
// code of its own (its number modulo 200, plus 1).

#include "truth.h"

static void live_for_a_millisecond(void) {
    double end = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) + 0.001;
    while (clock_seconds(CLOCK_PROCESS_CPUTIME_ID) < end) {}
}

int main(int argc, char **argv) {
    int total = argc > 1 ? atoi(argv[1]) : 200;
    for (int n = 0; n < total; n++) {
        pid_t child = fork();
        check(child >= 0, "fork");
        if (child == 0) {
            live_for_a_millisecond();
            _exit(n % 200 + 1);
        }
        int status = reap(child);
        printf("{\"pid\":%d,\"code\":%d}\n", child, WEXITSTATUS(status));
    }
    return 0;
}
