// Calls a CUDA library as its standard input says, one command a line, and answers each with a line of truth.
//
//   load PATH         loads the library
//   launch N          N launches of a kernel
//   to_gpu N BYTES    N asynchronous copies
//   copy N BYTES      N copies that return when they are done
//   to_host N BYTES   N asynchronous copies
//   fill N WORDS      N fills
//   allocate N BYTES  N allocations; of no bytes they fail
//   free N            N times memory is given back
//   sleep S           waits S seconds for the GPU, asleep
//   spin S            the same, on the CPU
//   context           waits for the context, by a call that makes another one
//   thread COMMAND    another thread does it
//   fork COMMAND      a child does it, after a moment
//   exec              executes this program anew

#include "truth.h"
#include <dlfcn.h>
#include <pthread.h>

typedef unsigned long long pointer;

static int (*launch_kernel)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *,
                            void **, void **);
static int (*allocate)(pointer *, size_t), (*release)(pointer);
static int (*to_gpu)(pointer, const void *, size_t, void *), (*to_host)(void *, pointer, size_t, void *);
static int (*copy)(pointer, const void *, size_t), (*fill)(pointer, unsigned, size_t);
static int (*synchronize)(void *), (*synchronize_all)(void);

static void *symbol(void *library, const char *name) {
    void *found = dlsym(library, name);
    check(found != NULL, name);
    return found;
}

static void load(const char *path) {
    void *library = dlopen(path, RTLD_NOW);
    check(library != NULL, path);
    launch_kernel = symbol(library, "cuLaunchKernel");
    allocate = symbol(library, "cuMemAlloc_v2");
    release = symbol(library, "cuMemFree_v2");
    to_gpu = symbol(library, "cuMemcpyHtoDAsync_v2");
    to_host = symbol(library, "cuMemcpyDtoHAsync_v2");
    copy = symbol(library, "cuMemcpyHtoD_v2");
    fill = symbol(library, "cuMemsetD32_v2");
    synchronize = symbol(library, "cuStreamSynchronize");
    synchronize_all = symbol(library, "cuCtxSynchronize");
}

noinline static void wait_for_gpu(double seconds, unsigned spins) {
    check(synchronize((void *)((uintptr_t)(seconds * 1e6) << 1 | spins)) == 0, "synchronize");
}

static void obey(char *line);

static void *obey_there(void *line) {
    obey(line);
    return NULL;
}

static void fork_and_obey(char *line) {
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        // As long as a child has that is to do work of its own.
        usleep(300000);
        obey(line);
        exit(0);
    }
    check(reap(child) == 0, "the child");
}

static void call(const char *verb, long n, size_t bytes) {
    pointer memory = 0x1000;
    for (; n > 0; n--) {
        if (strcmp(verb, "launch") == 0) launch_kernel(NULL, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL);
        else if (strcmp(verb, "to_gpu") == 0) to_gpu(memory, &memory, bytes, NULL);
        else if (strcmp(verb, "to_host") == 0) to_host(&memory, memory, bytes, NULL);
        else if (strcmp(verb, "copy") == 0) copy(memory, &memory, bytes);
        else if (strcmp(verb, "fill") == 0) fill(memory, 7, bytes);
        else if (strcmp(verb, "allocate") == 0) allocate(&memory, bytes);
        else if (strcmp(verb, "free") == 0) release(memory);
        else check(0, verb);
    }
}

static void obey(char *line) {
    char *rest = line, *verb = strsep(&rest, " ");
    if (!rest) rest = "";
    if (strcmp(verb, "load") == 0) {
        load(rest);
    } else if (strcmp(verb, "sleep") == 0) {
        wait_for_gpu(atof(rest), 0);
    } else if (strcmp(verb, "spin") == 0) {
        wait_for_gpu(atof(rest), 1);
    } else if (strcmp(verb, "context") == 0) {
        check(synchronize_all() == 0, "context");
    } else if (strcmp(verb, "thread") == 0) {
        pthread_t thread;
        check(!pthread_create(&thread, NULL, obey_there, rest) && !pthread_join(thread, NULL), "thread");
    } else if (strcmp(verb, "fork") == 0) {
        fork_and_obey(rest);
    } else if (strcmp(verb, "exec") == 0) {
        execl("/proc/self/exe", "cuda", "anew", NULL);
        check(0, "exec");
    } else if (strcmp(verb, "getppid") != 0) {
        char *bytes = rest, *n = strsep(&bytes, " ");
        call(verb, atol(n), bytes ? (size_t)atol(bytes) : 0);
    }
}

static void answer(const char *did, double start) {
    printf("{\"did\":\"%s\",\"pid\":%d,\"seconds\":%.9f}\n", did, getpid(), now() - start);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(stdin, NULL, _IONBF, 0);
    if (argc > 1) answer(argv[1], now());
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        double start = now();
        obey(line);
        answer("it", start);
    }
    return 0;
}
