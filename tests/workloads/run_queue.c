// Two threads that want one CPU: each waits for it about half of the time. The truth is the scheduler's
// own run delay (/proc/thread-self/schedstat, ns), summed over all threads, and for the two also their
// wall-clock time less their CPU time.

#include "truth.h"
#include <pthread.h>
#include <sched.h>

struct worker {
    pthread_t thread;
    double cpu, off, run_delay;
};

static double run_delay(void) {
    unsigned long long cpu_ns, delay_ns;
    FILE *file = fopen("/proc/thread-self/schedstat", "r");
    check(file && fscanf(file, "%llu %llu", &cpu_ns, &delay_ns) == 2, "schedstat");
    fclose(file);
    return (double)delay_ns / 1e9;
}

static void *spin(void *argument) {
    struct worker *worker = argument;
    double start = now(), used = clock_seconds(CLOCK_THREAD_CPUTIME_ID), cpu;
    volatile uint64_t x = 0;
    do {
        for (int i = 0; i < 20000; i++) x += (uint64_t)i;
        cpu = clock_seconds(CLOCK_THREAD_CPUTIME_ID) - used;
    } while (cpu < worker->cpu);
    worker->off = now() - start - cpu;
    worker->run_delay = run_delay();
    return NULL;
}

int main(int argc, char **argv) {
    double seconds = argc > 1 ? atof(argv[1]) : 1.0;
    cpu_set_t set;
    check(sched_getaffinity(0, sizeof set, &set) == 0, "sched_getaffinity");
    int cpu = CPU_SETSIZE - 1;
    while (!CPU_ISSET(cpu, &set)) cpu--;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    check(sched_setaffinity(0, sizeof set, &set) == 0, "sched_setaffinity");

    struct worker workers[2] = {{.cpu = seconds}, {.cpu = seconds}};
    for (int i = 0; i < 2; i++)
        check(!pthread_create(&workers[i].thread, NULL, spin, &workers[i]), "thread");
    for (int i = 0; i < 2; i++) pthread_join(workers[i].thread, NULL);
    printf("{\"pid\":%d,\"run_delay\":%.9f,\"off\":%.9f}\n", getpid(),
           run_delay() + workers[0].run_delay + workers[1].run_delay, workers[0].off + workers[1].off);
    return 0;
}
