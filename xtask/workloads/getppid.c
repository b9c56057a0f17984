// The cheapest system call, in a loop: what a tracer adds to it, it adds to every call.
#include "load.h"

static void work(long times) {
    for (long i = 0; i < times; i++)
        syscall(SYS_getppid);
}

int main(void) {
    pin();
    obey();
    return 0;
}
