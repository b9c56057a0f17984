// A stack whose every frame is known, with the frames that unwinders find hard among them: main → run → d00 … d39
// → leaf. d10's size is known only at run time, d20 is 40 KB large, d25 realigns its stack, d30 calls d31 through
// libc's qsort. Says "ready", then goes through the stack for ever: with `spin`, leaf computes; with `sleep`, it
// sleeps for 20 ms; with `pause`, it waits for ever; with `signal`, it raises a signal whose handler computes; with
// `deep`, run calls itself 300 times first.
//
// Built without frame pointers; nothing is inlined, cloned or a tail call.

#define _GNU_SOURCE
#include <alloca.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef __clang__ // which clones no functions
#define FRAME __attribute__((noinline))
#else
#define FRAME __attribute__((noinline, noclone))
#endif

static volatile unsigned long done;
static const char *mode;

static void compute(unsigned long seed) {
    for (int i = 0; i < 2000000; i++) {
        seed = seed * 2862933555777941757UL + 3037000493UL;
    }
    done = seed;
}

FRAME void on_signal(int number) {
    compute((unsigned long)number);
    done++;
}

FRAME void leaf(int n) {
    if (strcmp(mode, "sleep") == 0) {
        struct timespec time = {0, 20000000};
        nanosleep(&time, NULL);
    } else if (strcmp(mode, "pause") == 0) {
        pause();
    } else if (strcmp(mode, "signal") == 0) {
        raise(SIGUSR1);
    } else {
        compute((unsigned long)n);
    }
    done++;
}

typedef float wide __attribute__((vector_size(64), aligned(64)));

FRAME void look(wide *vector) {
    done += (unsigned long)vector;
    __asm__ volatile("" : : "r"(vector) : "memory");
}

FRAME void d39(int n) {
    leaf(n);
    done++;
}

FRAME void d38(int n) {
    d39(n);
    done++;
}

FRAME void d37(int n) {
    d38(n);
    done++;
}

FRAME void d36(int n) {
    d37(n);
    done++;
}

FRAME void d35(int n) {
    d36(n + 1);
    done++;
}

FRAME void d34(int n) {
    d35(n);
    done++;
}

FRAME void d33(int n) {
    d34(n);
    done++;
}

FRAME void d32(int n) {
    d33(n);
    done++;
}

FRAME void d31(int n) {
    d32(n);
    done++;
}

static int called;

FRAME int compare(const void *a, const void *b) {
    if (!called) {
        called = 1;
        d31(*(const int *)a);
    }
    done++;
    return *(const int *)a - *(const int *)b;
}

FRAME void d30(int n) {
    int pair[2] = {n + 1, n};
    called = 0;
    qsort(pair, 2, sizeof pair[0], compare);
    done++;
}

FRAME void d29(int n) {
    d30(n);
    done++;
}

FRAME void d28(int n) {
    d29(n + 1);
    done++;
}

FRAME void d27(int n) {
    d28(n);
    done++;
}

FRAME void d26(int n) {
    d27(n);
    done++;
}

FRAME void d25(int n) {
    wide vector = {(float)n};
    look(&vector);
    d26(n);
    look(&vector);
}

FRAME void d24(int n) {
    d25(n);
    done++;
}

FRAME void d23(int n) {
    d24(n);
    done++;
}

FRAME void d22(int n) {
    d23(n);
    done++;
}

FRAME void d21(int n) {
    d22(n + 1);
    done++;
}

FRAME void d20(int n) {
    char room[40000];
    memset(room, n, sizeof room);
    done += (unsigned long)room[n];
    d21(n);
    done += (unsigned long)room[n + 1];
}

FRAME void d19(int n) {
    d20(n);
    done++;
}

FRAME void d18(int n) {
    d19(n);
    done++;
}

FRAME void d17(int n) {
    d18(n);
    done++;
}

FRAME void d16(int n) {
    d17(n);
    done++;
}

FRAME void d15(int n) {
    d16(n);
    done++;
}

FRAME void d14(int n) {
    d15(n + 1);
    done++;
}

FRAME void d13(int n) {
    d14(n);
    done++;
}

FRAME void d12(int n) {
    d13(n);
    done++;
}

FRAME void d11(int n) {
    d12(n);
    done++;
}

FRAME void d10(int n) {
    size_t size = (size_t)n * 16 + 64;
    char *room = alloca(size);
    memset(room, n, size);
    done += (unsigned long)room[3];
    d11(n);
    done += (unsigned long)room[n];
}

FRAME void d09(int n) {
    d10(n);
    done++;
}

FRAME void d08(int n) {
    d09(n);
    done++;
}

FRAME void d07(int n) {
    d08(n + 1);
    done++;
}

FRAME void d06(int n) {
    d07(n);
    done++;
}

FRAME void d05(int n) {
    d06(n);
    done++;
}

FRAME void d04(int n) {
    d05(n);
    done++;
}

FRAME void d03(int n) {
    d04(n);
    done++;
}

FRAME void d02(int n) {
    d03(n);
    done++;
}

FRAME void d01(int n) {
    d02(n);
    done++;
}

FRAME void d00(int n) {
    d01(n + 1);
    done++;
}

FRAME void run(int depth) {
    if (depth > 0) {
        run(depth - 1);
    } else {
        d00(1);
    }
    done++;
}

int main(int count, char **arguments) {
    mode = count > 1 ? arguments[1] : "spin";
    signal(SIGUSR1, on_signal);
    puts("ready");
    fflush(stdout);
    for (;;) {
        run(strcmp(mode, "deep") == 0 ? 300 : 0);
    }
}
