// An agent that spends its time as its standard input says, one command a line, and answers each with how long that took
// by its own clock. In between it waits for the next command: idle, on a pipe that leads outside.
//
//   getppid N      nothing; answers
//   sleep S        one nanosleep
//   cpu S          spins for S seconds; `cpu` is what of that was CPU time
//   fsync N        writes 64 KiB and syncs them, N times
//   lock T S       T threads share a mutex for S seconds; who holds it sleeps for 5 ms
//   tool S         forks, executes sleep, waits for it by wait4
//   pipe S         the same, waiting at a pipe that the tool closes
//   llm PORT       connects, asks, waits for the first byte (`first`) and for the end (`stream`)
//   both PORT S    asks, and spins for S seconds while the answer is on its way, then waits for it

#include "truth.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static double until;

static void nap(double seconds) {
    struct timespec t = timespec_of(seconds);
    nanosleep(&t, NULL);
}

static void spin(double seconds) {
    double end = now() + seconds;
    volatile uint64_t x = 0;
    while (now() < end)
        for (int i = 0; i < 2000; i++) x += (uint64_t)i;
}

static void syncs(int times) {
    static char bytes[64 << 10];
    char path[] = "ledger-XXXXXX";
    int file = mkstemp(path);
    check(file >= 0 && unlink(path) == 0, "a file");
    while (times-- > 0) {
        check(pwrite(file, bytes, sizeof bytes, 0) == sizeof bytes, "pwrite");
        check(fsync(file) == 0, "fsync");
    }
    close(file);
}

static void *contend(void *unused) {
    while (now() < until) {
        pthread_mutex_lock(&mutex);
        nap(0.005);
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

static void locks(int count, double seconds) {
    pthread_t threads[64];
    until = now() + seconds;
    for (int i = 0; i < count && i < 64; i++)
        check(!pthread_create(&threads[i], NULL, contend, NULL), "thread");
    for (int i = 0; i < count && i < 64; i++) pthread_join(threads[i], NULL);
}

static void tool(const char *seconds, int by_pipe) {
    int ends[2];
    check(pipe2(ends, O_CLOEXEC) == 0, "pipe");
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        dup2(ends[1], 1);
        execlp("sleep", "sleep", seconds, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    char byte;
    if (by_pipe) check(read(ends[0], &byte, 1) == 0, "read");
    check(reap(child) == 0, "sleep");
    close(ends[0]);
}

static int ask(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    check(connect(connection, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    check(write(connection, "tell me\n", 8) == 8, "write");
    return connection;
}

static void hear(int connection) {
    char bytes[4096];
    double start = now(), first = 0;
    for (ssize_t n; (n = read(connection, bytes, sizeof bytes)) != 0;) {
        check(n > 0, "read");
        if (first == 0) first = now();
    }
    close(connection);
    printf("{\"did\":\"llm\",\"first\":%.9f,\"stream\":%.9f}\n", first - start, now() - first);
}

static void obey(char *verb, char *rest) {
    double start = now(), cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    char *more = rest;
    const char *word = strsep(&more, " ");
    if (strcmp(verb, "sleep") == 0) {
        nap(atof(word));
    } else if (strcmp(verb, "cpu") == 0) {
        spin(atof(word));
    } else if (strcmp(verb, "fsync") == 0) {
        syncs(atoi(word));
    } else if (strcmp(verb, "lock") == 0) {
        locks(atoi(word), atof(more));
    } else if (strcmp(verb, "tool") == 0 || strcmp(verb, "pipe") == 0) {
        tool(word, strcmp(verb, "pipe") == 0);
    } else if (strcmp(verb, "llm") == 0) {
        hear(ask(atoi(word)));
        return;
    } else if (strcmp(verb, "both") == 0) {
        int connection = ask(atoi(word));
        spin(atof(more));
        hear(connection);
        return;
    } else {
        check(strcmp(verb, "getppid") == 0, verb);
    }
    cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf("{\"did\":\"%s\",\"seconds\":%.9f,\"cpu\":%.9f}\n", verb, now() - start, cpu);
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
