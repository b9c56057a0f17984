// A program that computes for 0.3 s of CPU in NAME, and becomes the program that its first argument names, which gets
// the second one for its first: main → NAME → compute. After six rounds it says "done". OTHER (1 or 0) makes the two builds of it
// differ in where their functions lie.

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define FRAME __attribute__((noinline))

static volatile unsigned long done;

static double cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#if OTHER
FRAME void padding(unsigned long seed) {
    done = seed;
}
#endif

FRAME void compute(unsigned long seed) {
    for (int i = 0; i < 100000; i++) {
        seed = seed * 2862933555777941757UL + 3037000493UL;
    }
    done = seed;
}

FRAME void NAME(double until) {
    while (cpu() < until) {
        compute(done);
    }
    done++;
}

int main(int argc, char **argv) {
    char line[16], round[16];
    int rounds = argc > 3 ? atoi(argv[3]) : 0;
    if (rounds == 0) {
        puts("ready");
        fflush(stdout);
        if (!fgets(line, sizeof line, stdin)) return 1;
    }
    NAME(cpu() + 0.3);
    if (rounds == 5) {
        puts("done");
        fflush(stdout);
        pause();
    }
    snprintf(round, sizeof round, "%d", rounds + 1);
    execl(argv[1], argv[1], argv[2], argv[1], round, (char *)NULL);
    return 1;
}
