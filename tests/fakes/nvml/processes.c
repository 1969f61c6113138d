/* Processes on a GPU, their names and their samples, and the field values. */
#include <string.h>
#include <time.h>

#include "fake.h"

/* Versions 2 and 3 of the call share this layout. */
typedef struct {
    unsigned pid;
    unsigned long long usedGpuMemory;
    unsigned gpuInstanceId, computeInstanceId;
} nvmlProcessInfo_t;

typedef struct {
    unsigned pid;
    unsigned long long timeStamp;
    unsigned smUtil, memUtil, encUtil, decUtil;
} nvmlProcessUtilizationSample_t;

typedef struct {
    unsigned long long timeStamp;
    unsigned pid, smUtil, memUtil, encUtil, decUtil, jpgUtil, ofaUtil;
} nvmlProcessUtilizationInfo_v1_t;

typedef struct {
    unsigned version, processSamplesCount;
    unsigned long long lastSeenTimeStamp;
    nvmlProcessUtilizationInfo_v1_t *procUtilArray;
} nvmlProcessesUtilizationInfo_v1_t;

/* A test may replace the list at any moment: read again when it did. */
#define READ_CONSISTENTLY(gpu, body) \
    for (uint32_t begun = ABSENT; begun != LOAD((gpu)->sequence);) { \
        while ((begun = LOAD((gpu)->sequence)) & 1u) \
            pause_briefly(); \
        body; \
        __atomic_thread_fence(__ATOMIC_ACQUIRE); \
    }

static unsigned list_processes(struct gpu *gpu, uint32_t kind, nvmlProcessInfo_t *out, unsigned room) {
    unsigned found = 0;
    for (unsigned i = 0; i < gpu->process_count; i++) {
        struct process *process = &gpu->processes[i];
        if (!(process->kinds & kind))
            continue;
        if (out && found < room)
            out[found] = (nvmlProcessInfo_t){process->pid, process->memory, ABSENT, ABSENT};
        found++;
    }
    return found;
}

static nvmlReturn_t answer_processes(struct gpu *gpu, uint32_t kind, unsigned *count, nvmlProcessInfo_t *out) {
    unsigned room = *count, found = 0;
    READ_CONSISTENTLY(gpu, found = list_processes(gpu, kind, out, room))
    *count = found;
    return found > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

#define PROCESS_CALL(function, kind) \
    EXPORT nvmlReturn_t function(nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *out) { \
        struct visit visit = visit_device(device, CALL_##function); \
        if (visit.open) \
            visit.answer = answer_processes(visit.gpu, kind, count, out); \
        return leave(&visit); \
    }

PROCESS_CALL(nvmlDeviceGetComputeRunningProcesses_v2, KIND_COMPUTE)
PROCESS_CALL(nvmlDeviceGetComputeRunningProcesses_v3, KIND_COMPUTE)
PROCESS_CALL(nvmlDeviceGetGraphicsRunningProcesses_v2, KIND_GRAPHICS)
PROCESS_CALL(nvmlDeviceGetGraphicsRunningProcesses_v3, KIND_GRAPHICS)
PROCESS_CALL(nvmlDeviceGetMPSComputeRunningProcesses_v2, KIND_MPS)
PROCESS_CALL(nvmlDeviceGetMPSComputeRunningProcesses_v3, KIND_MPS)

static unsigned list_samples(struct gpu *gpu, uint64_t since, nvmlProcessUtilizationSample_t *out, unsigned room) {
    unsigned found = 0;
    for (unsigned i = 0; i < gpu->process_count; i++) {
        struct process *process = &gpu->processes[i];
        uint64_t at = process->sampled_at ? process->sampled_at : now_microseconds(CLOCK_REALTIME);
        if (!process->sampled || at <= since)
            continue;
        if (out && found < room)
            out[found] = (nvmlProcessUtilizationSample_t){
                process->pid, at, process->utilization[0], process->utilization[1], process->utilization[2],
                process->utilization[3]};
        found++;
    }
    return found;
}

EXPORT nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device, nvmlProcessUtilizationSample_t *out,
                                                    unsigned *count, unsigned long long since) {
    struct visit visit = visit_device(device, CALL_nvmlDeviceGetProcessUtilization);
    if (visit.open) {
        unsigned room = *count, found = 0;
        READ_CONSISTENTLY(visit.gpu, found = list_samples(visit.gpu, since, out, room))
        *count = found;
        visit.answer = !found ? NVML_ERROR_NOT_FOUND : found > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
    }
    return leave(&visit);
}

EXPORT nvmlReturn_t nvmlDeviceGetProcessesUtilizationInfo(nvmlDevice_t device, nvmlProcessesUtilizationInfo_v1_t *info) {
    struct visit visit = visit_device(device, CALL_nvmlDeviceGetProcessesUtilizationInfo);
    if (visit.open && info->version != (sizeof *info | 1u << 24)) {
        visit.answer = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    } else if (visit.open) {
        nvmlProcessUtilizationSample_t samples[MAX_PROCESSES];
        unsigned room = info->procUtilArray ? info->processSamplesCount : 0, found = 0;
        READ_CONSISTENTLY(visit.gpu, found = list_samples(visit.gpu, info->lastSeenTimeStamp, samples, MAX_PROCESSES))
        for (unsigned i = 0; i < found && i < room; i++)
            info->procUtilArray[i] = (nvmlProcessUtilizationInfo_v1_t){
                samples[i].timeStamp, samples[i].pid, samples[i].smUtil, samples[i].memUtil, samples[i].encUtil,
                samples[i].decUtil, 0, 0};
        info->processSamplesCount = found;
        visit.answer = !found ? NVML_ERROR_NOT_FOUND : found > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
    }
    return leave(&visit);
}

/* nvml.h: the name is cropped to the given length. */
static void copy_name(const struct process *process, char *name, unsigned length) {
    unsigned size = process->name_length < length ? process->name_length : length - 1;
    memcpy(name, process->name, size);
    name[size] = '\0';
}

static bool name_on(struct gpu *gpu, unsigned pid, char *name, unsigned length) {
    for (unsigned i = 0; i < gpu->process_count; i++) {
        if (gpu->processes[i].pid != pid || !gpu->processes[i].named)
            continue;
        copy_name(&gpu->processes[i], name, length);
        return true;
    }
    return false;
}

static nvmlReturn_t find_name(unsigned pid, char *name, unsigned length) {
    for (unsigned slot = 0; slot < MAX_GPUS; slot++) {
        bool found = false;
        READ_CONSISTENTLY(&fake_page->gpus[slot], found = name_on(&fake_page->gpus[slot], pid, name, length))
        if (found)
            return NVML_SUCCESS;
    }
    return NVML_ERROR_NOT_FOUND;
}

EXPORT nvmlReturn_t nvmlSystemGetProcessName(unsigned pid, char *name, unsigned length) {
    struct visit visit = visit_system(CALL_nvmlSystemGetProcessName);
    if (visit.open)
        visit.answer = name && length ? find_name(pid, name, length) : NVML_ERROR_INVALID_ARGUMENT;
    return leave(&visit);
}
