// Does what its standard input says, one command a line, and answers each with a line of truth. A test
// attaches to it first and commands it then, so nothing happens unseen. What must not mix with the
// puppet's own waits for commands runs as a child of its own: `run`.
//
//   getppid N      N calls of getppid
//   sleep S        one nanosleep of S seconds
//   spin S         S seconds of this thread's CPU
//   pool N         N threads that idle from now on
//   each N         N calls of getppid by every thread of the pool
//   run CMD ARG…   fork, exec, wait for it (no quoting: arguments hold no blanks)
//   exit CODE      as does the end of the input, with 0

#include "truth.h"
#include <pthread.h>
#include <sys/syscall.h>

static pthread_barrier_t begin, end;
static long calls_of_each;

static void getppids(long n) {
    while (n-- > 0) syscall(SYS_getppid);
}

static void *idle(void *unused) {
    for (;;) {
        pthread_barrier_wait(&begin);
        getppids(calls_of_each);
        pthread_barrier_wait(&end);
    }
    return unused;
}

static void pool(unsigned threads) {
    pthread_barrier_init(&begin, NULL, threads + 1);
    pthread_barrier_init(&end, NULL, threads + 1);
    for (pthread_t thread; threads > 0; threads--)
        check(!pthread_create(&thread, NULL, idle, NULL), "thread");
}

static void each(long calls) {
    calls_of_each = calls;
    pthread_barrier_wait(&begin);
    pthread_barrier_wait(&end);
}

static void run(char *words) {
    char *argv[64] = {0};
    for (size_t n = 0; n < 63 && (argv[n] = strsep(&words, " ")); n++) {}
    double start = now();
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        // The commands on our standard input are not for the child.
        check(freopen("/dev/null", "r", stdin) != NULL, "freopen");
        execvp(argv[0], argv);
        _exit(127);
    }
    int status = reap(child);
    printf("{\"did\":\"run\",\"pid\":%d,\"status\":%d,\"seconds\":%.9f}\n", child, status, now() - start);
}

noinline static void spin(double seconds) {
    double end = clock_seconds(CLOCK_THREAD_CPUTIME_ID) + seconds;
    volatile uint64_t x = 0;
    while (clock_seconds(CLOCK_THREAD_CPUTIME_ID) < end)
        for (int i = 0; i < 20000; i++) x += (uint64_t)i;
}

static void obey(char *verb, char *rest) {
    double start = now();
    if (strcmp(verb, "run") == 0) {
        run(rest);
        return;
    }
    if (strcmp(verb, "getppid") == 0) {
        getppids(atol(rest));
    } else if (strcmp(verb, "pool") == 0) {
        pool((unsigned)atoi(rest));
    } else if (strcmp(verb, "each") == 0) {
        each(atol(rest));
    } else if (strcmp(verb, "sleep") == 0) {
        struct timespec t = timespec_of(atof(rest));
        check(syscall(SYS_nanosleep, &t, NULL) == 0, "nanosleep");
    } else if (strcmp(verb, "spin") == 0) {
        spin(atof(rest));
    } else if (strcmp(verb, "exit") == 0) {
        exit(atoi(rest));
    } else {
        errno = EINVAL;
        check(0, verb);
    }
    printf("{\"did\":\"%s\",\"pid\":%d,\"seconds\":%.9f}\n", verb, getpid(), now() - start);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        char *rest = line, *verb = strsep(&rest, " ");
        obey(verb, rest ? rest : "");
    }
    return 0;
}
