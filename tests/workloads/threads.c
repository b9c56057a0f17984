// What threads do to the life of a process.
//
//   threads leader-exits   the main thread ends first; the process goes on for 0.3 s and leaves with 7
//   threads exec           a thread that is not the leader executes `/bin/sh -c 'exit 33'`: the kernel
//                          gives it the leader's pid
//   threads churn N        N threads, each of which makes one getppid call and ends

#include "truth.h"
#include <pthread.h>
#include <sys/syscall.h>

static void *leave_later(void *unused) {
    (void)unused;
    struct timespec t = timespec_of(0.3);
    nanosleep(&t, NULL);
    printf("{\"pid\":%d,\"code\":7}\n", getpid());
    fflush(stdout);
    _exit(7);
}

static void *become_a_shell(void *unused) {
    (void)unused;
    printf("{\"pid\":%d,\"code\":33}\n", getpid());
    fflush(stdout);
    execl("/bin/sh", "sh", "-c", "exit 33", "exec-by-thread", NULL);
    _exit(98);
}

static void *one_call(void *unused) {
    syscall(SYS_getppid);
    return unused;
}

static void churn(int total) {
    for (int n = 0; n < total; n++) {
        pthread_t thread;
        check(!pthread_create(&thread, NULL, one_call, NULL), "thread");
        pthread_join(thread, NULL);
    }
    printf("{\"pid\":%d,\"getppid\":%d}\n", getpid(), total);
}

int main(int argc, char **argv) {
    pthread_t thread;
    check(argc > 1, "usage: threads leader-exits|exec|churn N");
    if (strcmp(argv[1], "churn") == 0) {
        churn(argc > 2 ? atoi(argv[2]) : 1000);
        return 0;
    }
    void *(*body)(void *) = strcmp(argv[1], "exec") == 0 ? become_a_shell : leave_later;
    check(!pthread_create(&thread, NULL, body, NULL), "thread");
    pthread_exit(NULL);
}
