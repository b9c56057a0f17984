// Syscalls in known numbers, from several threads: N getppid in all, failing calls of known errno, and
// sleeps of known length. The calls are ones that neither the loader nor libc makes on its own.

#include "truth.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>

enum { THREADS = 4, BAD_CLOSES = 321, MISSING_FILES = 123, SLEEPS = 20 };

static long calls_per_thread;

static void *ask_for_parent(void *unused) {
    for (long n = 0; n < calls_per_thread; n++) syscall(SYS_getppid);
    return unused;
}

int main(int argc, char **argv) {
    calls_per_thread = (argc > 1 ? atol(argv[1]) : 100000) / THREADS;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) check(!pthread_create(&threads[i], NULL, ask_for_parent, NULL), "thread");
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);

    for (int i = 0; i < BAD_CLOSES; i++) check(syscall(SYS_close, -1) < 0, "close");
    for (int i = 0; i < MISSING_FILES; i++)
        check(syscall(SYS_unlinkat, AT_FDCWD, "/nonexistent/file", 0) < 0, "unlinkat");

    double start = now(), longest = 0;
    for (int i = 0; i < SLEEPS; i++) {
        double before = now();
        struct timespec t = timespec_of(0.01);
        syscall(SYS_nanosleep, &t, NULL);
        if (now() - before > longest) longest = now() - before;
    }
    printf("{\"pid\":%d,\"getppid\":%ld,\"close_ebadf\":%d,\"unlinkat_enoent\":%d,"
           "\"nanosleep\":%d,\"nanosleep_seconds\":%.9f,\"nanosleep_max\":%.9f}\n",
           getpid(), calls_per_thread * THREADS, BAD_CLOSES, MISSING_FILES, SLEEPS, now() - start, longest);
    return 0;
}
