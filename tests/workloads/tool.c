// A tool that knows what it cost: MS of CPU time, MIB of memory, BLOCKS of 4096 bytes written to FILE past the page cache;
// ends by CODE, or by a signal if that is below 0.
//
//   tool MS MIB CODE [BLOCKS FILE]

#include "truth.h"
#include <fcntl.h>
#include <signal.h>

enum { BLOCK = 4096 };

static void burn(double seconds) {
    double end = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) + seconds;
    while (clock_seconds(CLOCK_PROCESS_CPUTIME_ID) < end) {}
}

static void write_past_the_cache(long blocks, const char *path) {
    void *block = NULL;
    check(posix_memalign(&block, BLOCK, BLOCK) == 0, "memory");
    memset(block, 7, BLOCK);
    int file = open(path, O_WRONLY | O_DIRECT);
    check(file >= 0, path);
    for (; blocks > 0; blocks--) check(write(file, block, BLOCK) == BLOCK, "write");
    close(file);
    free(block);
}

static long field(const char *path, const char *name) {
    char line[256];
    long value = -1;
    FILE *file = fopen(path, "r");
    check(file != NULL, path);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0) value = atol(line + strlen(name));
    fclose(file);
    return value;
}

int main(int argc, char **argv) {
    check(argc > 3, "arguments");
    size_t bytes = (size_t)atol(argv[2]) << 20;
    volatile char *memory = malloc(bytes + 1);
    for (size_t at = 0; at < bytes; at += BLOCK) memory[at] = 1;
    if (argc > 5) write_past_the_cache(atol(argv[4]), argv[5]);
    burn(atof(argv[1]) / 1000);
    long kib = field("/proc/self/status", "VmHWM:");
    long read = field("/proc/self/io", "read_bytes:"), written = field("/proc/self/io", "write_bytes:");
    printf("{\"tool\":%d,\"rss\":%ld,\"read\":%ld,\"written\":%ld}\n", getpid(), kib * 1024, read, written);
    fflush(stdout);
    int code = atoi(argv[3]);
    if (code < 0) raise(-code);
    return code;
}
