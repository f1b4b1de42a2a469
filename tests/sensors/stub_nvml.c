/* A libnvidia-ml.so.1 without a GPU: every answer is looked up in the file that STUB_NVML names, anew at
 * each call, so that a test may change the world while the sensor looks. Lines are `key value`; a key is
 * the device (`0`, or `0.mig1` for an instance), a dot and the question. Values:
 *   123          the number
 *   !15          the NVML error of that number
 *   hang         never comes back
 *   rate 80 20   a counter in mJ that grows by 80 mW.. (80 mJ/s) and is renewed every 20 ms
 * `0.kind 2` is the type in which its fields claim to be.
 * A missing key is NVML_ERROR_NOT_SUPPORTED. `0.lost 1` makes every call on the device fail as lost. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <stdint.h>
#include <unistd.h>

enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, SMALL = 7, LOST = 15 };
typedef int result;
typedef void *device;

static int look(const char *key, char *value) {
    char line[512], name[128];
    int found = 0, at = 0;
    FILE *file = fopen(getenv("STUB_NVML"), "r");
    if (!file) return 0;
    while (!found && fgets(line, sizeof line, file))
        if (sscanf(line, "%127s %n", name, &at) == 1 && !strcmp(name, key)) {
            line[strcspn(line, "\n")] = 0;
            strcpy(value, line + at);
            found = 1;
        }
    fclose(file);
    return found;
}

/* A handle is 1000 + 100 * GPU + (instance + 1); no instance is 0. */
static void prefix(device d, char *out) {
    int n = (int)(intptr_t)d - 1000, gpu = n / 100, instance = n % 100 - 1;
    if (instance < 0) sprintf(out, "%d", gpu);
    else sprintf(out, "%d.mig%d", gpu, instance);
}

static result text(device d, const char *question, char *value) {
    char key[128], who[64], lost[512];
    prefix(d, who);
    sprintf(key, "%d.lost", ((int)(intptr_t)d - 1000) / 100);
    if (look(key, lost)) return LOST;
    sprintf(key, "%s.%s", who, question);
    if (!look(key, value)) return NOT_SUPPORTED;
    while (!strcmp(value, "hang")) sleep(1);
    return value[0] == '!' ? atoi(value + 1) : OK;
}

static result number(device d, const char *question, double *out) {
    char value[512];
    double rate, every;
    result r = text(d, question, value);
    if (r) return r;
    if (sscanf(value, "rate %lf %lf", &rate, &every) == 2) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        double ms = now.tv_sec * 1e3 + now.tv_nsec / 1e6;
        *out = 1e6 + rate * every * (double)(int64_t)(ms / every) / 1e3;
    } else *out = atof(value);
    return OK;
}

static result whole(device d, const char *question, unsigned *out) {
    double v = 0;
    result r = number(d, question, &v);
    if (!r) *out = (unsigned)v;
    return r;
}

result nvmlInitWithFlags(unsigned flags) {
    char value[512];
    (void)flags;
    return look("init", value) && value[0] == '!' ? atoi(value + 1) : OK;
}
result nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(result r) {
    static char said[64];
    sprintf(said, "stub error %d", r);
    return said;
}
result nvmlSystemGetDriverVersion(char *out, unsigned size) {
    char value[512];
    if (!look("driver", value)) return NOT_SUPPORTED;
    snprintf(out, size, "%s", value);
    return OK;
}
result nvmlDeviceGetCount_v2(unsigned *count) {
    char value[512];
    *count = look("devices", value) ? atoi(value) : 0;
    return OK;
}
result nvmlDeviceGetHandleByIndex_v2(unsigned index, device *d) {
    *d = (device)(intptr_t)(1000 + 100 * index);
    return OK;
}
static result name(device d, const char *question, char *out, unsigned size) {
    char value[512];
    result r = text(d, question, value);
    if (!r) snprintf(out, size, "%s", value);
    return r;
}
result nvmlDeviceGetUUID(device d, char *out, unsigned size) { return name(d, "uuid", out, size); }
result nvmlDeviceGetName(device d, char *out, unsigned size) { return name(d, "name", out, size); }
result nvmlDeviceGetMigMode(device d, unsigned *current, unsigned *pending) {
    result r = whole(d, "mig", current);
    *current = *pending = r ? 0 : *current > 0;
    return r;
}
result nvmlDeviceGetMaxMigDeviceCount(device d, unsigned *count) { *count = 7; return whole(d, "mig", count) ? OK : OK; }
result nvmlDeviceGetMigDeviceHandleByIndex(device d, unsigned index, device *out) {
    char value[512];
    *out = (device)((intptr_t)d + index + 1);
    return text(*out, "uuid", value) ? NOT_FOUND : OK;
}
result nvmlDeviceGetTotalEnergyConsumption(device d, unsigned long long *mj) {
    double v = 0;
    result r = number(d, "energy", &v);
    if (!r) *mj = (unsigned long long)v;
    return r;
}
result nvmlDeviceGetPowerUsage(device d, unsigned *mw) { return whole(d, "power", mw); }
result nvmlDeviceGetClockInfo(device d, unsigned kind, unsigned *mhz) { (void)kind; return whole(d, "clock", mhz); }
result nvmlDeviceGetTemperature(device d, unsigned kind, unsigned *c) { (void)kind; return whole(d, "temperature", c); }
result nvmlDeviceGetCurrentClocksThrottleReasons(device d, unsigned long long *mask) {
    unsigned v = 0;
    result r = whole(d, "throttle", &v);
    if (!r) *mask = v;
    return r;
}
result nvmlDeviceGetUtilizationRates(device d, struct { unsigned gpu, memory; } *out) {
    out->memory = 0;
    return whole(d, "utilisation", &out->gpu);
}
result nvmlDeviceGetMemoryInfo(device d, struct { unsigned long long total, free, used; } *out) {
    double v = 0;
    result r = number(d, "memory", &v);
    if (!r) { out->used = (unsigned long long)v; out->total = 1ULL << 34; out->free = out->total - out->used; }
    return r;
}

typedef struct { unsigned pid; unsigned long long used; unsigned gpu, compute; } process;
/* `pid:bytes` with blanks between; `-` for bytes is "not available". */
result nvmlDeviceGetComputeRunningProcesses_v3(device d, unsigned *count, process *out) {
    char value[512], *save = NULL;
    unsigned n = 0, room = *count;
    result r = text(d, "processes", value);
    if (r) return r;
    for (char *word = strtok_r(value, " ", &save); word; word = strtok_r(NULL, " ", &save), n++) {
        char *used = strchr(word, ':');
        if (!used || !out || n >= room) continue;
        out[n].pid = (unsigned)atoi(word);
        out[n].used = used[1] == '-' ? ~0ULL : strtoull(used + 1, NULL, 10);
        out[n].gpu = out[n].compute = ~0u;
    }
    *count = n;
    return n && n > room ? SMALL : OK;
}

typedef struct {
    uint32_t id, scope;
    int64_t stamp, latency;
    unsigned kind;
    result status;
    union { double d; unsigned u; unsigned long ul; unsigned long long ull; } value;
} field;
result nvmlDeviceGetFieldValues(device d, int count, field *fields) {
    char value[512];
    result r = text(d, "fields", value);
    if (r && r != NOT_SUPPORTED) return r;
    for (int i = 0; i < count; i++) {
        const char *question = fields[i].id == 186 ? "instant" : fields[i].id == 185 ? "average" : "none";
        fields[i].kind = 1;
        whole(d, "kind", &fields[i].kind);
        fields[i].value.u = 0;
        fields[i].status = whole(d, question, &fields[i].value.u);
        if (fields[i].status == LOST) return LOST;
    }
    return OK;
}
