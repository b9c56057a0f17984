// Two threads on one CPU that hand a byte back and forth through pipes: each round trip is two blocks, two
// wake-ups and two switches. On two CPUs the time would be bimodal.
#include "load.h"

static int to_peer[2], to_us[2];

static void must(ssize_t done) {
    if (done != 1) {
        perror("pipe");
        exit(1);
    }
}

static void *peer(void *unused) {
    char byte;
    while (read(to_peer[0], &byte, 1) == 1)
        must(write(to_us[1], &byte, 1));
    return unused;
}

static void work(long times) {
    char byte = 0;
    for (long i = 0; i < times; i++) {
        must(write(to_peer[1], &byte, 1));
        must(read(to_us[0], &byte, 1));
    }
}

int main(void) {
    pthread_t thread;
    pin();
    if (pipe(to_peer) != 0 || pipe(to_us) != 0 || pthread_create(&thread, NULL, peer, NULL) != 0)
        return 1;
    obey();
    return 0;
}
