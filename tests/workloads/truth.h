// What the workloads share: clocks, and the printing of truth.
//
// A workload prints one JSON object a line: what it did, by its own clocks and counts. The tests hold
// agentperf's answers against these lines, never against numbers they made up.
#pragma once

#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define noinline __attribute__((noinline))

static inline double clock_seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline double now(void) { return clock_seconds(CLOCK_MONOTONIC); }

static inline struct timespec timespec_of(double seconds) {
    time_t whole = (time_t)seconds;
    return (struct timespec){whole, (long)((seconds - (double)whole) * 1e9)};
}

// A workload that cannot do what it is for must not pass for one that did.
static inline void check(int ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "workload: %s: %s\n", what, strerror(errno));
    exit(99);
}

static inline int reap(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0) check(errno == EINTR, "waitpid");
    return status;
}
