// What the loads of the benches share: each waits for a line with a number on its standard input, does its
// work that many times, and prints the nanoseconds that one time took; it ends with its input.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// Does the work `times` times.
static void work(long times);

// One CPU for all threads, the last one: interrupts tend to the first.
static void pin(void) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sysconf(_SC_NPROCESSORS_ONLN) - 1, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0) {
        perror("sched_setaffinity");
        exit(1);
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

// What of the work's time it slept, which does not count.
static double asleep;

static void obey(void) {
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        long times = atol(line);
        double start = now();
        asleep = 0;
        work(times);
        printf("%.3f\n", (now() - start - asleep) / (times > 0 ? times : 1));
        fflush(stdout);
    }
}
