/* A libamd_smi.so without a GPU, under the real Python package amdsmi (7.0): one device, whose answers are
 * environment variables. `AMD_POWER=80` is the number, `!10` the status of that number, and a missing one
 * is AMDSMI_STATUS_NOT_SUPPORTED. AMD_WATTS moves the energy counter, which is renewed every 10 ms. The
 * functions that the package looks for and this file lacks are added by the test. Layouts are amdsmi.h's. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OK = 0, NOT_SUPPORTED = 2 };
typedef void *handle;

static int number(const char *name, double *out) {
    const char *value = getenv(name);
    if (!value) return NOT_SUPPORTED;
    if (value[0] == '!') return atoi(value + 1);
    *out = atof(value);
    return OK;
}

static int one(uint32_t *count, handle *handles, intptr_t value) {
    *count = 1;
    if (handles) handles[0] = (handle)value;
    return OK;
}

int amdsmi_init(uint64_t flags) {
    double ignored;
    int status = number("AMD_INIT", &ignored);
    return status == NOT_SUPPORTED ? OK : status;
}
int amdsmi_shut_down(void) { return OK; }
int amdsmi_get_socket_handles(uint32_t *count, handle *handles) { return one(count, handles, 100); }
int amdsmi_get_processor_handles(handle socket, uint32_t *count, handle *handles) { return one(count, handles, 200); }

int amdsmi_get_gpu_device_uuid(handle h, uint32_t *length, char *uuid) {
    strcpy(uuid, "00ff74a1-0000-1000-80aa-000000000001");
    return OK;
}

int amdsmi_get_energy_count(handle h, uint64_t *count, float *microjoules, uint64_t *ns) {
    double watts;
    struct timespec now;
    int status = number("AMD_WATTS", &watts);
    if (status) return status;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t steps = now.tv_sec * 100 + now.tv_nsec / 10000000;
    *microjoules = 15.3f;
    *count = (uint64_t)(watts * steps / 100 * 1e6 / 15.3);
    *ns = steps * 10000000;
    return OK;
}

int amdsmi_get_power_info(handle h, char *info) {
    double watts;
    int status = number("AMD_POWER", &watts);
    if (status) return status;
    *(uint64_t *)info = (uint64_t)watts;
    *(uint32_t *)(info + 8) = (uint32_t)watts;
    *(uint32_t *)(info + 12) = 0xFFFF; /* the average is not known */
    return OK;
}

int amdsmi_get_gpu_memory_usage(handle h, int type, uint64_t *bytes) {
    double value;
    int status = number("AMD_MEMORY", &value);
    if (!status) *bytes = (uint64_t)value;
    return status;
}

int amdsmi_get_gpu_activity(handle h, uint32_t *percent) {
    double value;
    int status = number("AMD_LOAD", &value);
    if (!status) percent[0] = (uint32_t)value, percent[1] = percent[2] = 0xFFFF;
    return status;
}

int amdsmi_get_clock_info(handle h, int type, uint32_t *megahertz) {
    double value;
    int status = number("AMD_CLOCK", &value);
    if (!status) *megahertz = (uint32_t)value;
    return status;
}

int amdsmi_get_temp_metric(handle h, int place, int metric, int64_t *degrees) {
    double value;
    int status = number(place == 1 ? "AMD_HOTSPOT" : "AMD_EDGE", &value);
    if (!status) *degrees = (int64_t)value;
    return status;
}

int amdsmi_get_gpu_vram_info(handle h, uint32_t *info) {
    double value;
    int status = number("AMD_VRAM_TYPE", &value);
    if (!status) *info = (uint32_t)value;
    return status;
}

int amdsmi_get_gpu_enumeration_info(handle h, uint32_t *info) {
    info[3] = 0; /* hip_id */
    strcpy((char *)(info + 4), "GPU-80aa000000000001");
    return OK;
}

int amdsmi_get_gpu_process_list(handle h, uint32_t *count, char *first) {
    double value;
    int status = number("AMD_PROCESS_MEMORY", &value);
    if (status) return status;
    strcpy(first, "stranger");
    *(uint32_t *)(first + 256) = 1;
    *(uint64_t *)(first + 256 + 8 + 8 + 64 + 16) = (uint64_t)value; /* memory_usage.vram_mem */
    *count = 1;
    return OK;
}
