// Waits for locks, of known length, each kind in a process of its own.
//
//   mutex      one thread waits for a pthread mutex that another holds for 0.1 s, ten times
//   contended  four threads share one mutex; each holds it for 20 ms, fifteen times
//   flock      a process waits for a file lock that another holds for 0.1 s, ten times
//
// A line of truth: the kind, the pid, and the waits for the lock by CLOCK_MONOTONIC, summed over threads;
// `joining` is the time the main thread waited for the others (also a futex, but not a lock).

#include "truth.h"
#include <pthread.h>
#include <sys/file.h>
#include <sys/syscall.h>

enum { WAITS = 10, THREADS = 4, ROUNDS = 15 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int held[2], released[2];

static void nap(double seconds) {
    struct timespec t = timespec_of(seconds);
    syscall(SYS_nanosleep, &t, NULL);
}

// The two sides take turns by pipes: those waits are not for a lock.
static void tell(int *pipe) { check(write(pipe[1], "", 1) == 1, "write"); }

static void hear(int *pipe) {
    char byte;
    check(read(pipe[0], &byte, 1) == 1, "read");
}

static void *hold_mutex(void *unused) {
    for (int n = 0; n < WAITS; n++) {
        pthread_mutex_lock(&mutex);
        tell(held);
        nap(0.1);
        pthread_mutex_unlock(&mutex);
        hear(released);
    }
    return unused;
}

static double wait_for_mutex(double *joining) {
    pthread_t holder;
    double waited = 0;
    check(!pthread_create(&holder, NULL, hold_mutex, NULL), "thread");
    for (int n = 0; n < WAITS; n++) {
        hear(held);
        double start = now();
        pthread_mutex_lock(&mutex);
        waited += now() - start;
        pthread_mutex_unlock(&mutex);
        tell(released);
    }
    double start = now();
    pthread_join(holder, NULL);
    *joining = now() - start;
    return waited;
}

static void *contend(void *waited) {
    for (int n = 0; n < ROUNDS; n++) {
        double start = now();
        pthread_mutex_lock(&mutex);
        *(double *)waited += now() - start;
        nap(0.02);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static double contend_for_mutex(double *joining) {
    pthread_t threads[THREADS];
    double waited[THREADS] = {0}, sum = 0;
    for (int i = 0; i < THREADS; i++) check(!pthread_create(&threads[i], NULL, contend, &waited[i]), "thread");
    double start = now();
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    *joining = now() - start;
    for (int i = 0; i < THREADS; i++) sum += waited[i];
    return sum;
}

static void hold_file(const char *path) {
    int fd = open(path, O_RDWR);
    check(fd >= 0, "open");
    for (int n = 0; n < WAITS; n++) {
        check(flock(fd, LOCK_EX) == 0, "flock");
        tell(held);
        nap(0.1);
        check(flock(fd, LOCK_UN) == 0, "flock");
        hear(released);
    }
    _exit(0);
}

static double wait_for_file(double *joining) {
    char path[] = "/tmp/agentperf-flock-XXXXXX";
    int fd = mkstemp(path);
    check(fd >= 0, "mkstemp");
    pid_t holder = fork();
    check(holder >= 0, "fork");
    if (holder == 0) hold_file(path);
    double waited = 0;
    for (int n = 0; n < WAITS; n++) {
        hear(held);
        double start = now();
        check(flock(fd, LOCK_EX) == 0, "flock");
        waited += now() - start;
        check(flock(fd, LOCK_UN) == 0, "flock");
        tell(released);
    }
    reap(holder);
    unlink(path);
    *joining = 0;
    return waited;
}

static void run(const char *name, double (*kind)(double *)) {
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child) {
        check(reap(child) == 0, name);
        return;
    }
    check(pipe(held) == 0 && pipe(released) == 0, "pipe");
    double joining, waited = kind(&joining);
    printf("{\"kind\":\"%s\",\"pid\":%d,\"seconds\":%.9f,\"joining\":%.9f}\n", name, getpid(), waited, joining);
    fflush(stdout);
    _exit(0);
}

int main(void) {
    run("mutex", wait_for_mutex);
    run("contended", contend_for_mutex);
    run("flock", wait_for_file);
    return 0;
}
