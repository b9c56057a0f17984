// Two functions that share the CPU 70 to 30, by the thread's own CPU clock, for S seconds of it. The
// clock is read every few tens of microseconds, so next to all time is in the two functions themselves;
// slices vary in length, so that no sampling frequency can run in step with them.

#include "truth.h"

static volatile uint64_t sink;

noinline static double seventy(double end) {
    double t;
    while ((t = clock_seconds(CLOCK_THREAD_CPUTIME_ID)) < end)
        for (uint64_t i = 0; i < 20000; i++) sink += i;
    return t;
}

noinline static double thirty(double end) {
    double t;
    while ((t = clock_seconds(CLOCK_THREAD_CPUTIME_ID)) < end)
        for (uint64_t i = 0; i < 20000; i++) sink ^= i;
    return t;
}

int main(int argc, char **argv) {
    double seconds = argc > 1 ? atof(argv[1]) : 5.0, in_seventy = 0, in_thirty = 0;
    double start = clock_seconds(CLOCK_THREAD_CPUTIME_ID), t = start;
    srandom(7030);
    while (t - start < seconds) {
        double slice = 0.005 + (double)(random() % 10000) / 1e6;
        double a = seventy(t + 0.7 * slice), b = thirty(a + 0.3 * slice);
        in_seventy += a - t;
        in_thirty += b - a;
        t = b;
    }
    printf("{\"pid\":%d,\"seventy\":%.9f,\"thirty\":%.9f}\n", getpid(), in_seventy, in_thirty);
    return 0;
}
