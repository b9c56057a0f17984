// Calls main → outer → middle → last → stop, and prints the addresses of that stack as hexadecimal numbers,
// innermost first: one in stop itself, then the return addresses. Exits when its input ends.
//
// last ends in its call, so that the address it would return to belongs to the next function.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) static void *here(void) {
    return __builtin_return_address(0);
}

__attribute__((noinline, noreturn)) void stop(int depth) {
    void *here_in_stop = here();
    printf("%lx", (unsigned long)(uintptr_t)here_in_stop);
    void **frame = __builtin_frame_address(0);
    for (int i = 0; i < depth; i++) {
        printf(" %lx", (unsigned long)(uintptr_t)frame[1]);
        frame = (void **)frame[0];
    }
    printf("\n");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    exit(0);
}

__attribute__((noinline)) void last(int depth) {
    stop(depth); // last calls stop
}

__attribute__((noinline)) int middle(int depth) {
    last(depth); // middle calls last
    return depth;
}

__attribute__((noinline)) int outer(int depth) {
    return middle(depth) + 1; // outer calls middle
}

int main(void) {
    return outer(4) + 1; // main calls outer
}
