// Waits that are many and short, from a stack so deep that walking it takes more than its budget, and now and then
// one that is long: THREADS threads for SECONDS. Each wait, short or long, is made by a chain of 60 calls: main or
// worker → round → down… → short_wait or long_wait. They begin after a second. When they are done, prints one line of
// truth: how many waits of each kind there were, and by the threads' own clocks the seconds that the long ones took
// (long_seconds), that all took from call to return (napped), and that the threads spent off the CPU by the scheduler's
// account (off), the first one's second among them and not its waiting for the others. That account is short: a thread
// that wakes up an idle CPU is charged from the wake-up on, not from the switch (wakeup_preempt in kernel/sched/core.c
// saves the clock's second reading), which on a virtual machine is some 10 µs.

#include "../truth.h"
#include <pthread.h>
#include <sys/syscall.h>

enum { DEPTH = 60, SHORT_FOR_EACH_LONG = 100 };
static const double SHORT = 0.00005, LONG = 0.015;

static volatile unsigned long done;
static double seconds;
static __thread double napped;
static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;
static struct {
    long shorts, longs;
    double long_seconds, napped, off;
} truth;

static double nap(double length) {
    struct timespec t = timespec_of(length);
    double start = now();
    syscall(SYS_nanosleep, &t, NULL);
    double took = now() - start;
    napped += took;
    return took;
}

noinline static void short_wait(void) {
    nap(SHORT);
    done++;
}

noinline static double long_wait(void) {
    double took = nap(LONG);
    done++;
    return took;
}

noinline static double down(int depth, int is_long) {
    double waited = 0;
    if (depth > 0) {
        waited = down(depth - 1, is_long);
    } else if (is_long) {
        waited = long_wait();
    } else {
        short_wait();
    }
    done++;
    return waited;
}

noinline static void *rounds(void *unused) {
    double start = now(), cpu = clock_seconds(CLOCK_THREAD_CPUTIME_ID), waited = 0;
    long shorts = 0, longs = 0;
    while (now() < start + seconds) {
        for (int i = 0; i < SHORT_FOR_EACH_LONG; i++) down(DEPTH, 0);
        waited += down(DEPTH, 1);
        shorts += SHORT_FOR_EACH_LONG;
        longs++;
    }
    double off = now() - start - (clock_seconds(CLOCK_THREAD_CPUTIME_ID) - cpu);
    pthread_mutex_lock(&adding);
    truth.shorts += shorts;
    truth.longs += longs;
    truth.long_seconds += waited;
    truth.napped += napped;
    truth.off += off;
    pthread_mutex_unlock(&adding);
    return unused;
}

int main(int argc, char **argv) {
    pthread_t threads[64];
    int count = argc > 1 ? atoi(argv[1]) : 1;
    seconds = argc > 2 ? atof(argv[2]) : 1;
    check(count <= 64, "threads");
    double start = now(), cpu = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    truth.napped = nap(1);
    truth.off = now() - start - (clock_seconds(CLOCK_THREAD_CPUTIME_ID) - cpu);
    for (int i = 0; i < count; i++) check(!pthread_create(&threads[i], NULL, rounds, NULL), "thread");
    for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
    printf("{\"pid\":%d,\"shorts\":%ld,\"longs\":%ld,\"long_seconds\":%.9f,\"napped\":%.9f,\"off\":%.9f}\n",
           getpid(), truth.shorts, truth.longs, truth.long_seconds, truth.napped, truth.off);
    return 0;
}
