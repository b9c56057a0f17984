// A library for changes.c. ROOM makes two builds of it differ in the sizes of their frames.

#include <string.h>

#define FRAME __attribute__((noinline))

static volatile unsigned long done;

FRAME void plugin_inner(void (*callback)(unsigned long), unsigned long seed) {
    volatile char room[ROOM];
    room[seed % ROOM] = 1;
    callback(seed);
    done += (unsigned long)room[seed % ROOM];
}

void plugin_outer(void (*callback)(unsigned long), unsigned long seed) {
    plugin_inner(callback, seed);
    done++;
}
