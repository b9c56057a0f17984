// Waits of known length, each kind in a process of its own, so that a pid tells the kinds apart.
//
//   waits [KIND…]    every kind, or those named
//
// A line of truth: the kind, the pid, how many waits, their sum and the longest by CLOCK_MONOTONIC around
// the call, and `off`: the process's wall-clock time less its CPU time.

#include "truth.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>

enum { WAITS = 10 };
static const double LENGTH = 0.1;

struct truth {
    int waits;
    double sum, longest;
};

static void add(struct truth *truth, double start) {
    double waited = now() - start;
    truth->waits++;
    truth->sum += waited;
    if (waited > truth->longest) truth->longest = waited;
}

static void nap(double seconds) {
    struct timespec t = timespec_of(seconds);
    syscall(SYS_nanosleep, &t, NULL);
}

// A process that writes a byte to `fd` after each LENGTH.
static pid_t writer(int fd) {
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child) return child;
    for (int n = 0; n < WAITS; n++) {
        nap(LENGTH);
        check(write(fd, "\n", 1) == 1, "write");
    }
    _exit(0);
}

static void read_byte(int fd) {
    char byte;
    check(read(fd, &byte, 1) == 1, "read");
}

// Waits for each byte of a writer by `wait`, and reads it.
static struct truth await(int from, int to, void (*wait)(int fd)) {
    struct truth truth = {0};
    pid_t child = writer(to);
    for (int n = 0; n < WAITS; n++) {
        double start = now();
        wait(from);
        add(&truth, start);
        if (wait != read_byte) read_byte(from);
    }
    reap(child);
    return truth;
}

static struct truth nanosleeps(void) {
    struct truth truth = {0};
    for (int n = 0; n < WAITS; n++) {
        double start = now();
        nap(LENGTH);
        add(&truth, start);
    }
    return truth;
}

static struct truth clock_nanosleeps(void) {
    struct truth truth = {0};
    struct timespec t = timespec_of(LENGTH);
    for (int n = 0; n < WAITS; n++) {
        double start = now();
        clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
        add(&truth, start);
    }
    return truth;
}

// One wait that is longer than any window of the tests.
static struct truth long_sleep(void) {
    struct truth truth = {0};
    double start = now();
    nap(2.5);
    add(&truth, start);
    return truth;
}

static struct truth pipe_read(void) {
    int ends[2];
    check(pipe(ends) == 0, "pipe");
    return await(ends[0], ends[1], read_byte);
}

static struct truth unix_socket(void) {
    int ends[2];
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
    return await(ends[0], ends[1], read_byte);
}

static struct truth inet_socket(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    check(bind(server, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    check(listen(server, 1) == 0, "listen");
    check(getsockname(server, (struct sockaddr *)&address, &length) == 0, "getsockname");
    check(connect(client, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    int peer = accept(server, NULL, NULL);
    check(peer >= 0, "accept");
    return await(client, peer, read_byte);
}

static struct truth terminal(void) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    check(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0, "pty");
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    check(slave >= 0, "pty slave");
    return await(slave, master, read_byte);
}

static void poll_one(int fd) {
    struct pollfd set = {fd, POLLIN, 0};
    check(poll(&set, 1, -1) == 1, "poll");
}

static void poll_two(int fd) {
    static int other[2];
    if (!other[1]) check(pipe(other) == 0, "pipe");
    struct pollfd set[] = {{fd, POLLIN, 0}, {other[0], POLLIN, 0}};
    check(poll(set, 2, -1) == 1, "poll");
}

static void select_two(int fd) {
    static int other[2];
    if (!other[1]) check(pipe(other) == 0, "pipe");
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    FD_SET(other[0], &set);
    int highest = fd > other[0] ? fd : other[0];
    // Which call libc's select makes depends on the libc.
    check(syscall(SYS_pselect6, highest + 1, &set, NULL, NULL, NULL, NULL) == 1, "pselect6");
}

static void epoll_one(int fd) {
    static int epoll;
    struct epoll_event event = {.events = EPOLLIN};
    if (!epoll) {
        epoll = epoll_create1(0);
        check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
    }
    check(epoll_wait(epoll, &event, 1, -1) == 1, "epoll_wait");
}

static struct truth await_pipe(void (*wait)(int fd)) {
    int ends[2];
    check(pipe(ends) == 0, "pipe");
    return await(ends[0], ends[1], wait);
}

static struct truth poll_of_one(void) { return await_pipe(poll_one); }
static struct truth poll_of_two(void) { return await_pipe(poll_two); }
static struct truth select_of_two(void) { return await_pipe(select_two); }
static struct truth epoll_of_one(void) { return await_pipe(epoll_one); }

static struct truth child_exit(void) {
    struct truth truth = {0};
    for (int n = 0; n < WAITS; n++) {
        pid_t child = fork();
        check(child >= 0, "fork");
        if (child == 0) {
            nap(LENGTH);
            _exit(0);
        }
        double start = now();
        reap(child);
        add(&truth, start);
    }
    return truth;
}

static const struct {
    const char *name;
    struct truth (*run)(void);
} KINDS[] = {
    {"nanosleep", nanosleeps},    {"clock_nanosleep", clock_nanosleeps}, {"long_sleep", long_sleep},
    {"pipe", pipe_read},          {"unix_socket", unix_socket},          {"inet_socket", inet_socket},
    {"terminal", terminal},       {"poll_one", poll_of_one},             {"poll_two", poll_of_two},
    {"select", select_of_two},    {"epoll", epoll_of_one},               {"child", child_exit},
};

static void run(const char *name, struct truth (*kind)(void)) {
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child) {
        check(reap(child) == 0, name);
        return;
    }
    double start = now(), cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    struct truth truth = kind();
    double off = now() - start - (clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    printf("{\"kind\":\"%s\",\"pid\":%d,\"waits\":%d,\"seconds\":%.9f,\"longest\":%.9f,\"off\":%.9f}\n", name,
           getpid(), truth.waits, truth.sum, truth.longest, off);
    fflush(stdout);
    _exit(0);
}

int main(int argc, char **argv) {
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        int wanted = argc == 1;
        for (int n = 1; n < argc; n++) wanted |= strcmp(argv[n], KINDS[i].name) == 0;
        if (wanted) run(KINDS[i].name, KINDS[i].run);
    }
    return 0;
}
