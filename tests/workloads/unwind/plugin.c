// A library for changes.c. ROOM makes two builds of it differ in the sizes of their frames, INNER in the name of a
// function alone.

#include <string.h>

#define FRAME __attribute__((noinline))

#ifndef INNER
#define INNER plugin_inner
#endif

static volatile unsigned long done;

FRAME void INNER(void (*callback)(unsigned long), unsigned long seed) {
    volatile char room[ROOM];
    room[seed % ROOM] = 1;
    callback(seed);
    done += (unsigned long)room[seed % ROOM];
}

void plugin_outer(void (*callback)(unsigned long), unsigned long seed) {
    INNER(callback, seed);
    done++;
}
