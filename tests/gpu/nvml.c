/*
 * A stand-in for libnvidia-ml.so.1 with its C ABI, so that the daemon's GPU code runs, unchanged, where no GPU is.
 *
 * It says what a script says: the file beside the library, its own path with ".script" added, which is read again
 * whenever it has changed. Each line is a key, a space and a value:
 *
 *   count N                  how many GPUs nvmlDeviceGetCount_v2 tells
 *   gpu.I.KEY VALUE          what GPU I answers; gpu.*.KEY for all; a key that is not there is "not supported"
 *   gpu.I.mig.J.KEY VALUE    what its MIG device J answers; one without a uuid is not there
 *   gpu.I.lost 1             the GPU has fallen off the bus
 *   error.FUNCTION CODE      the function fails with this code; error.FUNCTION.I for one GPU
 *   hang.FUNCTION 1          the function does not return while the line is there; hang.FUNCTION.I for one GPU
 *   xid.N I NUMBER           the Nth event: an XID on GPU I. Each is delivered once
 *
 *   gpu.I.energy.watts N     its counter of energy grows by N J a second, from 0
 *
 * Lists are words of numbers divided by colons; in process_samples and samples a time of 0 is now. What is initialised and freed is noted in PATH.log.
 *
 * Limits: 64 GPUs of 8 MIG devices. Structures are those of NVML 12, on 64-bit Linux.
 * -DSTANDIN_OLD leaves out what drivers before 510 do not have; -DSTANDIN_BARE leaves out all but nvmlInit_v2.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    TIMEOUT = 10,
    GPU_IS_LOST = 15,
    VERSION_MISMATCH = 25,
};
enum { GPUS = 64, MIGS = 8, SCRIPT = 1 << 20 };

typedef struct { int gpu, mig; } Device; /* mig: -1 for the GPU itself */
typedef int Return;
typedef unsigned int uint;
typedef unsigned long long ull;

static Device devices[GPUS][1 + MIGS];
static int initialised, delivered;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char script[SCRIPT + 2] = "\n";
static struct stat seen;

static const char *own_path(const char *suffix, char *path, size_t size) {
    Dl_info info;
    if (!dladdr((void *)own_path, &info)) abort();
    snprintf(path, size, "%s%s", info.dli_fname, suffix);
    return path;
}

static void note(const char *what) {
    char path[4096];
    FILE *file = fopen(own_path(".log", path, sizeof path), "a");
    if (!file) return;
    fprintf(file, "%s\n", what);
    fclose(file);
}

static void refresh(void) {
    char path[4096];
    struct stat now;
    own_path(".script", path, sizeof path);
    if (stat(path, &now)) return;
    if (now.st_ino == seen.st_ino && now.st_size == seen.st_size && now.st_mtim.tv_sec == seen.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == seen.st_mtim.tv_nsec)
        return;
    FILE *file = fopen(path, "r");
    if (!file) return;
    size_t length = fread(script + 1, 1, SCRIPT, file);
    fclose(file);
    script[1 + length] = 0;
    seen = now;
}

/* Copies the value of a key; 0 if there is none. */
static int get(const char *key, char *value, size_t size) {
    char line[512];
    snprintf(line, sizeof line, "\n%s ", key);
    pthread_mutex_lock(&lock);
    refresh();
    const char *found = strstr(script, line);
    if (found) {
        found += strlen(line);
        size_t length = strcspn(found, "\n");
        if (length >= size) length = size - 1;
        memcpy(value, found, length);
        value[length] = 0;
    }
    pthread_mutex_unlock(&lock);
    return found != NULL;
}

static int get_number(const char *key, ull *number) {
    char value[64];
    if (!get(key, value, sizeof value)) return 0;
    *number = strtoull(value, NULL, 0);
    return 1;
}

/* Microseconds of a clock. */
static ull now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (ull)time.tv_sec * 1000000 + (ull)time.tv_nsec / 1000;
}

static void nap(void) {
    struct timespec ten_ms = {0, 10 * 1000 * 1000};
    nanosleep(&ten_ms, NULL);
}

/* What was injected into a function, for one GPU or for all; gpu -1 is none in particular. */
static int injected(const char *kind, const char *function, int gpu, ull *number) {
    char key[256];
    snprintf(key, sizeof key, "%s.%s.%d", kind, function, gpu);
    if (gpu >= 0 && get_number(key, number)) return 1;
    snprintf(key, sizeof key, "%s.%s", kind, function);
    return get_number(key, number);
}

static Return enter(const char *function, int gpu) {
    ull code;
    while (injected("hang", function, gpu, &code)) nap();
    if (injected("error", function, gpu, &code)) return (Return)code;
    return initialised ? SUCCESS : UNINITIALIZED;
}

static Return enter_device(const char *function, const Device *device) {
    const Device *first = &devices[0][0], *end = first + GPUS * (1 + MIGS);
    ull lost;
    char key[64];
    if (device < first || device >= end) return INVALID_ARGUMENT;
    Return result = enter(function, device->gpu);
    if (result) return result;
    snprintf(key, sizeof key, "gpu.%d.lost", device->gpu);
    return get_number(key, &lost) && lost ? GPU_IS_LOST : SUCCESS;
}

static int device_get(const Device *device, const char *key, char *value, size_t size) {
    char full[256];
    if (device->mig >= 0) {
        snprintf(full, sizeof full, "gpu.%d.mig.%d.%s", device->gpu, device->mig, key);
        return get(full, value, size);
    }
    snprintf(full, sizeof full, "gpu.%d.%s", device->gpu, key);
    if (get(full, value, size)) return 1;
    snprintf(full, sizeof full, "gpu.*.%s", key);
    return get(full, value, size);
}

static Return device_number(const Device *device, const char *key, ull *number) {
    char value[64];
    if (!device_get(device, key, value, sizeof value)) return NOT_SUPPORTED;
    *number = strtoull(value, NULL, 0);
    return SUCCESS;
}

static Return device_uint(const Device *device, const char *key, uint *number) {
    ull wide = 0;
    Return result = device_number(device, key, &wide);
    if (!result) *number = (uint)wide;
    return result;
}

static Return device_text(const Device *device, const char *key, char *text, uint size) {
    char value[4096];
    if (!device_get(device, key, value, sizeof value)) return NOT_SUPPORTED;
    if (strlen(value) >= size) return INSUFFICIENT_SIZE;
    strcpy(text, value);
    return SUCCESS;
}

#define ENTER() do { Return entered_ = enter(__func__, -1); if (entered_) return entered_; } while (0)
#define ENTER_DEVICE() do { Return entered_ = enter_device(__func__, device); if (entered_) return entered_; } while (0)

Return nvmlInit_v2(void) {
    initialised++; /* for enter; taken back where it fails */
    Return result = enter(__func__, -1);
    if (result) { initialised--; return result; }
    for (int gpu = 0; gpu < GPUS; gpu++)
        for (int mig = -1; mig < MIGS; mig++) devices[gpu][1 + mig] = (Device){gpu, mig};
    note("init");
    return SUCCESS;
}

#ifndef STANDIN_BARE

Return nvmlShutdown(void) {
    ENTER();
    initialised--;
    note("shutdown");
    return SUCCESS;
}

static Return text_of(const char *key, const char *otherwise, char *text, uint size) {
    char value[256];
    if (!get(key, value, sizeof value)) snprintf(value, sizeof value, "%s", otherwise);
    if (strlen(value) >= size) return INSUFFICIENT_SIZE;
    strcpy(text, value);
    return SUCCESS;
}

Return nvmlSystemGetDriverVersion(char *version, uint length) {
    ENTER();
    return text_of("driver", "570.00.01", version, length);
}

Return nvmlSystemGetNVMLVersion(char *version, uint length) {
    ENTER();
    return text_of("nvml", "12.570.00.01", version, length);
}

Return nvmlDeviceGetCount_v2(uint *count) {
    ENTER();
    ull number = 0;
    get_number("count", &number);
    *count = (uint)number;
    return SUCCESS;
}

Return nvmlDeviceGetHandleByIndex_v2(uint index, Device **device) {
    Return result = enter(__func__, (int)index);
    if (result) return result;
    ull count = 0;
    get_number("count", &count);
    if (index >= count || index >= GPUS) return INVALID_ARGUMENT;
    *device = &devices[index][0];
    return SUCCESS;
}

Return nvmlDeviceGetIndex(Device *device, uint *index) {
    ENTER_DEVICE();
    *index = (uint)device->gpu;
    return SUCCESS;
}

Return nvmlDeviceGetUUID(Device *device, char *uuid, uint length) {
    ENTER_DEVICE();
    return device_text(device, "uuid", uuid, length);
}

Return nvmlDeviceGetName(Device *device, char *name, uint length) {
    ENTER_DEVICE();
    return device_text(device, "name", name, length);
}

typedef struct { uint gpu, memory; } Utilization;

Return nvmlDeviceGetUtilizationRates(Device *device, Utilization *rates) {
    ENTER_DEVICE();
    Return result = device_uint(device, "utilization.gpu", &rates->gpu);
    return result ? result : device_uint(device, "utilization.memory", &rates->memory);
}

#ifndef STANDIN_OLD
typedef struct { uint version; ull total, reserved, free, used; } Memory2;
_Static_assert(sizeof(Memory2) == 40, "nvmlMemory_v2_t");

Return nvmlDeviceGetMemoryInfo_v2(Device *device, Memory2 *memory) {
    ENTER_DEVICE();
    if (memory->version != (sizeof(Memory2) | 2u << 24)) return VERSION_MISMATCH;
    Return result = device_number(device, "memory.total", &memory->total);
    if (result) return result;
    result = device_number(device, "memory.used", &memory->used);
    if (result) return result;
    memory->reserved = 1 << 20;
    memory->free = memory->total - memory->used - memory->reserved;
    return SUCCESS;
}
#endif

#define UINT(FUNCTION, KEY) \
    Return FUNCTION(Device *device, uint *value) { ENTER_DEVICE(); return device_uint(device, KEY, value); }
#define ULL(FUNCTION, KEY) \
    Return FUNCTION(Device *device, ull *value) { ENTER_DEVICE(); return device_number(device, KEY, value); }
UINT(nvmlDeviceGetPowerUsage, "power")
UINT(nvmlDeviceGetEnforcedPowerLimit, "power.limit")
ULL(nvmlDeviceGetCurrentClocksThrottleReasons, "throttle")
UINT(nvmlDeviceGetGpuInstanceId, "gi")
UINT(nvmlDeviceGetComputeInstanceId, "ci")
UINT(nvmlDeviceGetMaxMigDeviceCount, "mig.max")
ULL(nvmlDeviceGetSupportedEventTypes, "events")

Return nvmlDeviceGetTotalEnergyConsumption(Device *device, ull *millijoules) {
    ull watts;
    ENTER_DEVICE();
    if (device_number(device, "energy.watts", &watts)) return device_number(device, "energy", millijoules);
    *millijoules = watts * now(CLOCK_MONOTONIC) / 1000;
    return SUCCESS;
}

#define INDEXED(FUNCTION, KEY) \
    Return FUNCTION(Device *device, uint which, uint *value) { \
        char key[64]; \
        ENTER_DEVICE(); \
        snprintf(key, sizeof key, KEY ".%u", which); \
        return device_uint(device, key, value); \
    }
INDEXED(nvmlDeviceGetTemperature, "temperature")
INDEXED(nvmlDeviceGetClockInfo, "clock")
INDEXED(nvmlDeviceGetPcieThroughput, "pcie")

#define PERIODIC(FUNCTION, KEY) \
    Return FUNCTION(Device *device, uint *value, uint *period) { \
        ENTER_DEVICE(); \
        *period = 167000; \
        return device_uint(device, KEY, value); \
    }
PERIODIC(nvmlDeviceGetEncoderUtilization, "encoder")
PERIODIC(nvmlDeviceGetDecoderUtilization, "decoder")

Return nvmlDeviceGetTotalEccErrors(Device *device, uint type, uint counter, ull *count) {
    char key[64];
    ENTER_DEVICE();
    snprintf(key, sizeof key, "ecc.%u.%u", type, counter);
    return device_number(device, key, count);
}

Return nvmlDeviceGetMigMode(Device *device, uint *current, uint *pending) {
    ENTER_DEVICE();
    *pending = 0;
    return device_uint(device, "mig", current);
}

Return nvmlDeviceGetMigDeviceHandleByIndex(Device *device, uint index, Device **mig) {
    char key[64], uuid[128];
    ENTER_DEVICE();
    if (index >= MIGS) return INVALID_ARGUMENT;
    snprintf(key, sizeof key, "gpu.%d.mig.%u.uuid", device->gpu, index);
    if (!get(key, uuid, sizeof uuid)) return NOT_FOUND;
    *mig = &devices[device->gpu][1 + index];
    return SUCCESS;
}

/* The numbers of the next word of a list, divided by colons; 0 at the end of the list. */
static int next_word(char **list, ull *numbers, int most) {
    char *word = strsep(list, " ");
    while (word && !*word) word = strsep(list, " ");
    if (!word) return 0;
    for (int i = 0; i < most; i++) {
        numbers[i] = word ? strtoull(word, &word, 0) : ~0ull;
        word = word && *word == ':' ? word + 1 : NULL;
    }
    return 1;
}

static uint words(const char *list) {
    uint count = 0;
    for (const char *c = list; *c; c++) count += *c != ' ' && (c == list || c[-1] == ' ');
    return count;
}

#ifndef STANDIN_OLD
typedef struct { uint pid; ull memory; uint gi, ci; } Process;
_Static_assert(sizeof(Process) == 24, "nvmlProcessInfo_t, version 2");

static Return processes(Device *device, const char *key, uint *count, Process *infos) {
    static _Thread_local char value[65536];
    ull told;
    char *list = value, full[64];
    ull n[4];
    snprintf(full, sizeof full, "%s.count", key);
    if (!infos && !device_number(device, full, &told)) { *count = (uint)told; return INSUFFICIENT_SIZE; }
    if (!device_get(device, key, value, sizeof value)) return NOT_SUPPORTED;
    uint room = *count, needed = words(value);
    *count = needed;
    if (!needed) return SUCCESS;
    if (room < needed || !infos) return INSUFFICIENT_SIZE;
    for (uint i = 0; i < needed && next_word(&list, n, 4); i++)
        infos[i] = (Process){(uint)n[0], n[1], (uint)n[2], (uint)n[3]};
    return SUCCESS;
}

#define PROCESSES(FUNCTION, KEY) \
    Return FUNCTION(Device *device, uint *count, Process *infos) { \
        ENTER_DEVICE(); \
        return processes(device, KEY, count, infos); \
    }
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, "compute")
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, "graphics")
#endif

typedef struct { uint pid; ull at; uint sm, memory, encoder, decoder; } ProcessSample;
_Static_assert(sizeof(ProcessSample) == 32, "nvmlProcessUtilizationSample_t");

Return nvmlDeviceGetProcessUtilization(Device *device, ProcessSample *samples, uint *count, ull since) {
    static _Thread_local char value[65536];
    char *list = value;
    ull n[6];
    uint found = 0, room = samples ? *count : 0;
    ENTER_DEVICE();
    if (!device_get(device, "process_samples", value, sizeof value)) return NOT_SUPPORTED;
    while (next_word(&list, n, 6)) {
        if (!n[1]) n[1] = now(CLOCK_REALTIME);
        if (n[1] <= since) continue;
        if (found < room)
            samples[found] = (ProcessSample){(uint)n[0], n[1], (uint)n[2], (uint)n[3], (uint)n[4], (uint)n[5]};
        found++;
    }
    *count = found;
    if (!found) return NOT_FOUND;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

typedef union { double d; int si; uint ui; unsigned long ul; ull ull_; long long sll; unsigned short us; } Value;
typedef struct { ull at; Value value; } Sample;
_Static_assert(sizeof(Sample) == 16, "nvmlSample_t");

Return nvmlDeviceGetSamples(Device *device, uint type, ull since, uint *value_type, uint *count, Sample *samples) {
    static _Thread_local char value[65536];
    char *list = value, key[64];
    ull n[2];
    uint found = 0, room = samples ? *count : 0;
    ENTER_DEVICE();
    snprintf(key, sizeof key, "samples.%u", type);
    if (!device_get(device, key, value, sizeof value)) return NOT_SUPPORTED;
    *value_type = 1;
    while (next_word(&list, n, 2)) {
        if (!n[0]) n[0] = now(CLOCK_REALTIME);
        if (n[0] <= since) continue;
        if (found < room) samples[found] = (Sample){n[0], {.ull_ = n[1]}};
        found++;
    }
    *count = found;
    if (!found) return NOT_FOUND;
    return found > room && samples ? INSUFFICIENT_SIZE : SUCCESS;
}

#ifndef STANDIN_OLD
typedef struct { uint field, scope; long long at, latency; uint type; Return result; Value value; } Field;
_Static_assert(sizeof(Field) == 40, "nvmlFieldValue_t");

Return nvmlDeviceGetFieldValues(Device *device, int count, Field *fields) {
    ENTER_DEVICE();
    for (int i = 0; i < count; i++) {
        char key[64];
        snprintf(key, sizeof key, "field.%u.%u", fields[i].field, fields[i].scope);
        fields[i].type = 3;
        fields[i].result = device_number(device, key, &fields[i].value.ull_);
    }
    return SUCCESS;
}

typedef struct { Device *device; ull type, data; uint gi, ci; } Event;
_Static_assert(sizeof(Event) == 32, "nvmlEventData_t");
typedef struct { uint64_t registered; } Set;

Return nvmlEventSetCreate(Set **set) {
    ENTER();
    *set = calloc(1, sizeof **set);
    note("set");
    return SUCCESS;
}

Return nvmlEventSetFree(Set *set) {
    ENTER();
    free(set);
    note("free");
    return SUCCESS;
}

Return nvmlDeviceRegisterEvents(Device *device, ull types, Set *set) {
    ENTER_DEVICE();
    if (types != 8) return INVALID_ARGUMENT;
    set->registered |= 1ull << device->gpu;
    return SUCCESS;
}

Return nvmlEventSetWait_v2(Set *set, Event *event, uint timeout_ms) {
    for (uint waited = 0;; waited += 10) {
        char key[64], value[64];
        ENTER();
        snprintf(key, sizeof key, "xid.%d", delivered + 1);
        if (get(key, value, sizeof value)) {
            uint gpu = 0;
            ull number = 0;
            sscanf(value, "%u %llu", &gpu, &number);
            delivered++;
            if (gpu < GPUS && set->registered >> gpu & 1) {
                *event = (Event){&devices[gpu][0], 8, number, ~0u, ~0u};
                return SUCCESS;
            }
        }
        if (waited >= timeout_ms) return TIMEOUT;
        nap();
    }
}
#endif
#endif
