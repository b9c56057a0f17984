// Files in every way that a program names them: relative, by directory descriptor, through links, with any bytes, of
// 4,096 characters, after their directory is gone. Prints what it did, by its own counts.
#include "truth.h"

#include <fcntl.h>
#include <sys/stat.h>

static int created, deleted, renamed, read_opens, write_opens, changes;
static long written, read_back;

static int make(int at, const char *path, int flags) {
    int fd = openat(at, path, O_CREAT | O_EXCL | O_WRONLY | flags, 0644);
    check(fd >= 0, path);
    created++;
    write_opens++;
    return fd;
}

static void put(int fd, const void *bytes, long length) {
    check(write(fd, bytes, (size_t)length) == length, "write");
    changes++;
    written += length;
}

static void get(int fd, void *bytes, long length) {
    check(read(fd, bytes, (size_t)length) == length, "read");
    read_back += length;
}

static void told(void) {
    printf("{\"created\":%d,\"deleted\":%d,\"renamed\":%d,\"read_opens\":%d,\"write_opens\":%d,\"changes\":%d,"
           "\"written\":%ld,\"read\":%ld}\n",
           created, deleted, renamed, read_opens, write_opens, changes, written, read_back);
}

// Creates `n` files in a/b, reads each, renames half of them and deletes the others.
static void names(int n) {
    char bytes[100] = {0}, path[64], other[64];
    check(!mkdir("a", 0755) && !mkdir("a/b", 0755) && !chdir("a") && !symlink("a/b", "../link"), "directories");
    created++;
    int directory = open("b", O_RDONLY | O_DIRECTORY);
    check(directory >= 0, "open b");
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "./b/../b//f%d", i);
        int fd = make(AT_FDCWD, path, 0);
        put(fd, bytes, sizeof bytes);
        check(!close(fd), "close");
        snprintf(path, sizeof path, "f%d", i);
        fd = openat(directory, path, O_RDONLY);
        check(fd >= 0, path);
        read_opens++;
        get(fd, bytes, sizeof bytes);
        check(!close(fd), "close");
        if (i % 2) {
            check(!unlinkat(directory, path, 0), "unlinkat");
            deleted++;
        } else {
            snprintf(other, sizeof other, "../../a/b/g%d", i);
            check(!renameat(directory, path, directory, other), "renameat");
            renamed++;
        }
    }
    int fd = open("../link/g0", O_RDWR);
    check(fd >= 0, "open through a link");
    write_opens++;
    put(fd, bytes, 5);
    check(!ftruncate(fd, 3), "ftruncate");
    check(!close(fd) && !truncate("b/g0", 2) && !link("b/g0", "b/hard"), "the end");
    changes += 2;
    created++;
}

// A path of 4,095 characters, and one that is longer than any that could be written.
static void longest(void) {
    char name[256], here[8192];
    memset(name, 'd', 250);
    name[250] = 0;
    for (;;) {
        check(getcwd(here, sizeof here) != NULL, "getcwd");
        if (strlen(here) >= 3839) break;
        check(!mkdir(name, 0755) && !chdir(name), "deeper");
    }
    long rest = 4095 - (long)strlen(here) - 1;
    memset(name, 'f', (size_t)rest);
    name[rest] = 0;
    close(make(AT_FDCWD, name, 0));
    printf("%s/%s\n", here, name);
    memset(name, 'd', 250);
    name[250] = 0;
    for (int i = 0; i < 3; i++) check(!mkdir(name, 0755) && !chdir(name), "too deep");
    close(make(AT_FDCWD, "deep", 0));
}

// A directory that is gone while its file is read.
static void gone(void) {
    char bytes[8];
    check(!mkdir("gone", 0755) && !chdir("gone"), "mkdir");
    int fd = make(AT_FDCWD, "file", 0);
    put(fd, "12345678", 8);
    close(fd);
    fd = open("file", O_RDONLY);
    check(fd >= 0, "open");
    read_opens++;
    check(!unlink("file") && !rmdir("../gone"), "rmdir");
    deleted++;
    get(fd, bytes, sizeof bytes);
    check(open("file", O_CREAT | O_WRONLY, 0644) < 0, "nothing can be made there");
}

// Past the page cache.
static void direct(int blocks) {
    void *block = NULL;
    check(!posix_memalign(&block, 4096, 4096), "memory");
    memset(block, 7, 4096);
    int fd = make(AT_FDCWD, "direct", O_DIRECT);
    for (int i = 0; i < blocks; i++) put(fd, block, 4096);
    double begun = now();
    check(!fsync(fd), "fsync");
    double took = now() - begun;
    check(!close(fd), "close");
    fd = open("direct", O_RDONLY | O_DIRECT);
    check(fd >= 0, "open");
    read_opens++;
    for (int i = 0; i < blocks; i++) get(fd, block, 4096);
    close(fd);
    printf("{\"sync_seconds\":%.9f}\n", took);
}

static void many(int n) {
    char path[64];
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "m%d", i);
        check(!close(make(AT_FDCWD, path, 0)), "close");
    }
}

int main(int argc, char **argv) {
    check(argc == 4 && !chdir(argv[1]), "files DIRECTORY WHAT N");
    int n = atoi(argv[3]);
    if (!strcmp(argv[2], "names")) names(n);
    else if (!strcmp(argv[2], "longest")) longest();
    else if (!strcmp(argv[2], "bytes")) close(make(AT_FDCWD, "\xff\n\x1b[2J\xe2\x80\xae", 0));
    else if (!strcmp(argv[2], "gone")) gone();
    else if (!strcmp(argv[2], "direct")) direct(n);
    else if (!strcmp(argv[2], "many")) many(n);
    else check(0, argv[2]);
    told();
    return 0;
}
