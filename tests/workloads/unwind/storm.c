// Processes that live for a moment: COUNT children, PARALLEL at a time, each of which computes, sleeps, maps some code
// of its own or executes this program again, for 5 to 50 ms. Prints one line of truth: how many there were.
//
//   storm COUNT PARALLEL

#include "../truth.h"
#include <sys/mman.h>

static volatile unsigned long done;

noinline static void compute(double seconds) {
    double end = now() + seconds;
    while (now() < end) {
        for (int i = 0; i < 10000; i++) done = done * 31 + 7;
    }
}

noinline static void nap(double seconds) {
    struct timespec t = timespec_of(seconds);
    nanosleep(&t, NULL);
}

// Maps code, runs it and takes it away.
noinline static void churn(double seconds) {
    static const unsigned char code[] = {0x48, 0x8d, 0x47, 0x01, 0xc3};
    double end = now() + seconds;
    while (now() < end) {
        unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        check(page != MAP_FAILED, "mmap");
        memcpy(page, code, sizeof code);
        check(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0, "mprotect");
        for (int i = 0; i < 1000; i++) done = ((unsigned long (*)(unsigned long))(void *)page)(done);
        munmap(page, 4096);
    }
}

static void live(const char *self, int n) {
    double seconds = 0.005 + (n % 10) * 0.005;
    switch (n % 4) {
    case 0: compute(seconds); break;
    case 1: nap(seconds); break;
    case 2: churn(seconds); break;
    // A storm: it executes itself until the number is another's.
    default: {
        char next[16];
        snprintf(next, sizeof next, "%d", n - 1 - (n % 8 == 3 ? 0 : 8 * (n > 8)));
        execl(self, self, "-", next, (char *)NULL);
    }
    }
}

int main(int argc, char **argv) {
    check(argc == 3, "storm COUNT PARALLEL");
    if (strcmp(argv[1], "-") == 0) {
        live(argv[0], atoi(argv[2]));
        return 0;
    }
    int count = atoi(argv[1]), parallel = atoi(argv[2]), running = 0;
    for (int n = 0; n < count; n++) {
        if (running == parallel) {
            check(wait(NULL) > 0, "wait");
            running--;
        }
        pid_t child = fork();
        check(child >= 0, "fork");
        if (child == 0) {
            live(argv[0], n);
            _exit(0);
        }
        running++;
    }
    while (wait(NULL) > 0) {}
    printf("{\"pid\":%d,\"children\":%d}\n", getpid(), count);
    return 0;
}
