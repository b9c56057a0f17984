// Code made at run time, as runtimes make it: with frame pointers, and named in the way that the first argument says.
//
//   map    in /tmp/perf-PID.map
//   dump   in jit-PID.dump in the working directory, which is mapped executable for a moment that never ends
//   none   nowhere
//
// main → generated_outer → generated_inner, which spins for ever.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CODE 64

static const unsigned char outer[] = {
    0x55,                   // push rbp
    0x48, 0x89, 0xe5,       // mov rbp, rsp
    0xe8, 0x37, 0, 0, 0,    // call inner, which begins at CODE
    0x5d, 0xc3,             // pop rbp; ret
};
static const unsigned char inner[] = {
    0x55,                   // push rbp
    0x48, 0x89, 0xe5,       // mov rbp, rsp
    0xff, 0xc0,             // again: inc eax
    0xeb, 0xfc,             // jmp again
};

static void map(uint64_t at) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/perf-%d.map", getpid());
    FILE *file = fopen(path, "w");
    fprintf(file, "%lx %x generated_outer\n%lx %x generated_inner\n", at, CODE, at + CODE, CODE);
    fclose(file);
}

static void put(FILE *file, uint64_t number, size_t bytes) {
    fwrite(&number, bytes, 1, file);
}

// The kernel's tools/perf/Documentation/jitdump-specification.txt.
static void load(FILE *file, uint64_t at, uint64_t index, const char *name) {
    put(file, 0, 4), put(file, 56 + strlen(name) + 1 + CODE, 4), put(file, 0, 8);
    put(file, (uint64_t)getpid(), 4), put(file, (uint64_t)getpid(), 4);
    put(file, at, 8), put(file, at, 8), put(file, CODE, 8), put(file, index, 8);
    fwrite(name, strlen(name) + 1, 1, file);
    fwrite((void *)at, CODE, 1, file);
}

static void dump(uint64_t at) {
    char path[64];
    snprintf(path, sizeof path, "jit-%d.dump", getpid());
    FILE *file = fopen(path, "w+");
    put(file, 0x4a695444, 4), put(file, 1, 4), put(file, 40, 4), put(file, 62, 4), put(file, 0, 4);
    put(file, (uint64_t)getpid(), 4), put(file, 0, 8), put(file, 0, 8);
    load(file, at, 1, "generated_outer"), load(file, at + CODE, 2, "generated_inner");
    fflush(file);
    mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fileno(file), 0);
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(code, outer, sizeof outer);
    memcpy(code + CODE, inner, sizeof inner);
    mprotect(code, 4096, PROT_READ | PROT_EXEC);
    if (strcmp(how, "map") == 0) {
        map((uint64_t)code);
    } else if (strcmp(how, "dump") == 0) {
        dump((uint64_t)code);
    }
    puts("ready");
    fflush(stdout);
    ((void (*)(void))code)();
    return 0;
}
