// Sends 100 bytes to itself over TCP and receives them, again and again, for who wants to know what that costs while it is
// watched. Usage: plain tls|raw|http ROUNDS. `tls` and `raw` begin as what is not read, `http` is an answer that is.
// Prints the nanoseconds of CPU that a send and a receive take, the least of ten stretches.
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double cpu(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1e9 + now.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc < 3) return 99;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0), ours = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (void *)&at, length) || listen(listener, 1)) return 99;
    getsockname(listener, (void *)&at, &length);
    if (connect(ours, (void *)&at, length)) return 99;
    int theirs = accept(listener, NULL, NULL);
    char bytes[100] = "xxxx";
    if (!strcmp(argv[1], "tls")) memcpy(bytes, "\x17\x03\x03", 3);
    if (!strcmp(argv[1], "http")) memcpy(bytes, "POST / HTTP/1.1\r\n", 17);
    long rounds = atol(argv[2]);
    for (;;) {
        double least = 1e18;
        for (int stretch = 0; stretch < 10; stretch++) {
            double start = cpu();
            for (long n = 0; n < rounds; n++) {
                if (send(ours, bytes, sizeof bytes, 0) != sizeof bytes) return 99;
                if (recv(theirs, bytes, sizeof bytes, MSG_WAITALL) != sizeof bytes) return 99;
            }
            double took = (cpu() - start) / rounds;
            if (took < least) least = took;
        }
        if (printf("%.0f\n", least) < 0 || fflush(stdout)) return 0;
    }
}
