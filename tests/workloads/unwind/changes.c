// A program whose code changes while it runs, as its standard input says; "done" answers each command.
//
//   own S          S seconds in its own functions: main → repeat → own → compute
//   load PATH      dlopen
//   library S      S seconds through the library: main → repeat → through_library → plugin_outer → plugin_inner →
//                  compute
//   unload         dlclose
//   exec PATH ARG  becomes another program, which answers by what it prints itself
//   churn S        S seconds in which one thread maps copies of some code, runs it and unmaps it, while two
//                  others spin in own

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define FRAME __attribute__((noinline))

static volatile unsigned long done;
static void *library;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

FRAME void compute(unsigned long seed) {
    for (int i = 0; i < 1000000; i++) {
        seed = seed * 2862933555777941757UL + 3037000493UL;
    }
    done = seed;
}

FRAME void own(unsigned long seed) {
    compute(seed);
    done++;
}

FRAME void through_library(unsigned long seed) {
    void (*outer)(void (*)(unsigned long), unsigned long) =
        (void (*)(void (*)(unsigned long), unsigned long))dlsym(library, "plugin_outer");
    outer(compute, seed);
    done++;
}

FRAME static void repeat(void (*what)(unsigned long), double seconds) {
    double end = now() + seconds;
    while (now() < end) {
        what(done);
    }
}

FRAME static void *spin(void *seconds) {
    repeat(own, *(double *)seconds);
    return NULL;
}

// `lea 1(%rdi), %rax; ret` again and again: code that no file has.
FRAME static void churn(double seconds) {
    static const unsigned char code[] = {0x48, 0x8d, 0x47, 0x01, 0xc3};
    size_t size = 1 << 16;
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, spin, &seconds);
    }
    double end = now() + seconds;
    while (now() < end) {
        unsigned char *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memcpy(page, code, sizeof code);
        mprotect(page, size, PROT_READ | PROT_EXEC);
        for (int i = 0; i < 2000; i++) {
            done = ((unsigned long (*)(unsigned long))(void *)page)(done);
        }
        munmap(page, size);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(void) {
    char line[4096];
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        char *rest = line, *verb = strsep(&rest, " ");
        if (strcmp(verb, "own") == 0) {
            repeat(own, atof(rest));
        } else if (strcmp(verb, "load") == 0) {
            library = dlopen(rest, RTLD_NOW);
        } else if (strcmp(verb, "library") == 0) {
            repeat(through_library, atof(rest));
        } else if (strcmp(verb, "unload") == 0) {
            dlclose(library);
        } else if (strcmp(verb, "churn") == 0) {
            churn(atof(rest));
        } else if (strcmp(verb, "exec") == 0) {
            char *path = strsep(&rest, " ");
            execl(path, path, rest, (char *)NULL);
        }
        puts(library || strcmp(verb, "load") != 0 ? "done" : dlerror());
        fflush(stdout);
    }
    return 0;
}
