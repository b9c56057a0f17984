// A stand-in for CUDA's driver library, with the ABI of those functions that the tests call. Nothing is computed: what
// counts is who calls what, with which arguments, and how long that takes. A stream says how the wait for it goes: its
// value is microseconds << 1, or-ed with 1 if the wait spins on the CPU, as CUDA's own does unless told otherwise.
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <time.h>

typedef int CUresult;
typedef unsigned long long CUdeviceptr;
typedef void *CUstream;

#define EXPORT __attribute__((visibility("default"), noinline))
enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2 };

static volatile unsigned long work;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

EXPORT CUresult cuInit(unsigned flags) { return flags ? INVALID_VALUE : SUCCESS; }

EXPORT CUresult cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                               unsigned shared, CUstream stream, void **parameters, void **extra) {
    (void)f, (void)stream, (void)parameters, (void)extra;
    work += gx + gy + gz + bx + by + bz + shared;
    return SUCCESS;
}

EXPORT CUresult cuGraphLaunch(void *graph, CUstream stream) {
    (void)graph, (void)stream;
    work++;
    return SUCCESS;
}

EXPORT CUresult cuMemAlloc_v2(CUdeviceptr *pointer, size_t bytes) {
    if (bytes == 0) return INVALID_VALUE;
    if (bytes > 1ull << 40) return OUT_OF_MEMORY;
    *pointer = 0x700000000000 + bytes;
    return SUCCESS;
}

EXPORT CUresult cuMemFree_v2(CUdeviceptr pointer) { return pointer ? SUCCESS : INVALID_VALUE; }

EXPORT CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) {
    (void)to, (void)from;
    work += bytes;
    return SUCCESS;
}

EXPORT CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
    (void)to, (void)from, (void)stream;
    work += bytes;
    return SUCCESS;
}

EXPORT CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
    (void)to, (void)from, (void)stream;
    work += bytes;
    return SUCCESS;
}

EXPORT CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t words) {
    (void)to;
    work += value + words;
    return SUCCESS;
}

EXPORT CUresult cuStreamSynchronize(CUstream stream) {
    double seconds = (double)((uintptr_t)stream >> 1) / 1e6, end = now() + seconds;
    if ((uintptr_t)stream & 1) {
        while (now() < end) work++;
    } else {
        struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
        nanosleep(&t, NULL);
    }
    return SUCCESS;
}

// Calls another exported function, which is not to be counted once more.
EXPORT CUresult cuCtxSynchronize(void) { return cuStreamSynchronize((CUstream)(uintptr_t)(10000 << 1)); }
