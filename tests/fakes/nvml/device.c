/* Handles, and what one GPU answers about itself. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "fake.h"

/* Indices count the cards that are present, as the driver does: without the first, the second is number 0. */
static unsigned slot_of_index(unsigned index) {
    for (unsigned slot = 0; slot < MAX_GPUS; slot++)
        if (LOAD(fake_page->gpus[slot].present) && !index--)
            return slot;
    return MAX_GPUS;
}

static unsigned count_before(unsigned end) {
    unsigned count = 0;
    for (unsigned slot = 0; slot < end; slot++)
        count += LOAD(fake_page->gpus[slot].present) != 0;
    return count;
}

static unsigned slot_of_uuid(const char *uuid) {
    for (unsigned slot = 0; slot < MAX_GPUS; slot++)
        if (LOAD(fake_page->gpus[slot].present) && !strcmp(fake_page->gpus[slot].uuid, uuid))
            return slot;
    return MAX_GPUS;
}

struct bus_address {
    unsigned domain, bus, device;
};

/* Both 0000:01:00.0 and 00000000:01:00.0 are written in the field. */
static bool read_bus_id(const char *text, struct bus_address *address) {
    return sscanf(text, "%x:%x:%x", &address->domain, &address->bus, &address->device) == 3;
}

static unsigned slot_of_bus_id(const char *text) {
    struct bus_address wanted, found;
    if (!read_bus_id(text, &wanted))
        return MAX_GPUS;
    for (unsigned slot = 0; slot < MAX_GPUS; slot++)
        if (LOAD(fake_page->gpus[slot].present) && read_bus_id(fake_page->gpus[slot].bus_id, &found) &&
            !memcmp(&wanted, &found, sizeof wanted))
            return slot;
    return MAX_GPUS;
}

static nvmlReturn_t answer_handle(unsigned slot, enum call call, nvmlReturn_t otherwise, nvmlDevice_t *device) {
    struct visit visit = slot < MAX_GPUS ? visit_slot(slot, call) : refuse(call, otherwise);
    if (visit.open)
        *device = device_handle(slot);
    return leave(&visit);
}

EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count) {
    struct visit visit = visit_system(CALL_nvmlDeviceGetCount_v2);
    if (visit.open)
        *count = count_before(MAX_GPUS);
    return leave(&visit);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device) {
    return answer_handle(slot_of_index(index), CALL_nvmlDeviceGetHandleByIndex_v2, NVML_ERROR_INVALID_ARGUMENT, device);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device) {
    return answer_handle(slot_of_uuid(uuid), CALL_nvmlDeviceGetHandleByUUID, NVML_ERROR_NOT_FOUND, device);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *device) {
    return answer_handle(slot_of_bus_id(bus_id), CALL_nvmlDeviceGetHandleByPciBusId_v2, NVML_ERROR_NOT_FOUND, device);
}

/* The calls whose shape the table knows. */

#define TEXT_CALL(function, member) \
    EXPORT nvmlReturn_t function(nvmlDevice_t device, char *out, unsigned length) { \
        struct visit visit = visit_device(device, CALL_##function); \
        if (visit.open) \
            visit.answer = copy_text(out, length, visit.gpu->member); \
        return leave(&visit); \
    }

#define SCALAR_CALL(function, member, type) \
    EXPORT nvmlReturn_t function(nvmlDevice_t device, type *out) { \
        struct visit visit = visit_device(device, CALL_##function); \
        if (visit.open) \
            *out = visit.gpu->member; \
        return leave(&visit); \
    }
#define UINT_CALL(function, member) SCALAR_CALL(function, member, unsigned)
#define ULONGLONG_CALL(function, member) SCALAR_CALL(function, member, unsigned long long)

#define PAIR_CALL(function, member) \
    EXPORT nvmlReturn_t function(nvmlDevice_t device, unsigned *first, unsigned *second) { \
        struct visit visit = visit_device(device, CALL_##function); \
        if (visit.open) { \
            *first = visit.gpu->member[0]; \
            *second = visit.gpu->member[1]; \
        } \
        return leave(&visit); \
    }

static nvmlReturn_t pick(const uint32_t *values, unsigned count, unsigned which, unsigned *out) {
    if (which >= count)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (values[which] == ABSENT)
        return NVML_ERROR_NOT_SUPPORTED;
    *out = values[which];
    return NVML_SUCCESS;
}

#define INDEXED_CALL(function, member) \
    EXPORT nvmlReturn_t function(nvmlDevice_t device, unsigned which, unsigned *out) { \
        struct visit visit = visit_device(device, CALL_##function); \
        if (visit.open) \
            visit.answer = pick(visit.gpu->member, sizeof visit.gpu->member / sizeof(uint32_t), which, out); \
        return leave(&visit); \
    }

TEXT_CALLS(TEXT_CALL)
UINT_CALLS(UINT_CALL)
ULONGLONG_CALLS(ULONGLONG_CALL)
PAIR_CALLS(PAIR_CALL)
INDEXED_CALLS(INDEXED_CALL)

/* The others. */

EXPORT nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *out, unsigned length) {
    struct visit visit = visit_device_or_mig(device, CALL_nvmlDeviceGetUUID);
    if (visit.open)
        visit.answer = copy_text(out, length, visit.mig ? visit.mig->uuid : visit.gpu->uuid);
    return leave(&visit);
}

EXPORT nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *out, unsigned length) {
    struct visit visit = visit_device_or_mig(device, CALL_nvmlDeviceGetName);
    char name[192];
    if (visit.open && visit.mig)
        snprintf(name, sizeof name, "%s MIG %s", visit.gpu->name, visit.mig->profile);
    if (visit.open)
        visit.answer = copy_text(out, length, visit.mig ? name : visit.gpu->name);
    return leave(&visit);
}

EXPORT nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned *index) {
    struct visit visit = visit_device(device, CALL_nvmlDeviceGetIndex);
    if (visit.open)
        *index = count_before(device_slot(device));
    return leave(&visit);
}

typedef struct {
    char busIdLegacy[16];
    unsigned domain, bus, device, pciDeviceId, pciSubSystemId;
    char busId[32];
} nvmlPciInfo_t;

EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *info) {
    struct visit visit = visit_device(device, CALL_nvmlDeviceGetPciInfo_v3);
    struct bus_address address;
    if (visit.open && read_bus_id(visit.gpu->bus_id, &address)) {
        *info = (nvmlPciInfo_t){
            .domain = address.domain,
            .bus = address.bus,
            .device = address.device,
            .pciDeviceId = visit.gpu->pci_device_id,
            .pciSubSystemId = visit.gpu->pci_subsystem_id,
        };
        memcpy(info->busId, visit.gpu->bus_id, sizeof info->busId);
        snprintf(info->busIdLegacy, sizeof info->busIdLegacy, "%04X:%02X:%02X.0", address.domain & 0xFFFFu,
                 address.bus & 0xFFu, address.device & 0xFFu);
    }
    return leave(&visit);
}

typedef struct {
    unsigned gpu, memory;
} nvmlUtilization_t;

EXPORT nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *rates) {
    struct visit visit = visit_device(device, CALL_nvmlDeviceGetUtilizationRates);
    if (visit.open)
        *rates = (nvmlUtilization_t){visit.gpu->utilization_gpu, visit.gpu->utilization_memory};
    return leave(&visit);
}

typedef struct {
    unsigned long long total, free, used;
} nvmlMemory_t;

typedef struct {
    unsigned version;
    unsigned long long total, reserved, free, used;
} nvmlMemory_v2_t;

struct share {
    uint64_t total, reserved, used, available;
};

static struct share share_of(const struct visit *visit) {
    struct share share = visit->mig
        ? (struct share){visit->mig->memory_total, visit->mig->memory_reserved, LOAD(visit->mig->memory_used), 0}
        : (struct share){visit->gpu->memory_total, visit->gpu->memory_reserved, LOAD(visit->gpu->memory_used), 0};
    uint64_t taken = share.reserved + share.used;
    share.available = taken < share.total ? share.total - taken : 0;
    return share;
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
    struct visit visit = visit_device_or_mig(device, CALL_nvmlDeviceGetMemoryInfo);
    if (visit.open) {
        struct share share = share_of(&visit);
        *memory = (nvmlMemory_t){share.total, share.available, share.total - share.available};
    }
    return leave(&visit);
}

#define VERSION(type, number) ((unsigned)sizeof(type) | (number) << 24)

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory) {
    struct visit visit = visit_device_or_mig(device, CALL_nvmlDeviceGetMemoryInfo_v2);
    if (visit.open && memory->version != VERSION(nvmlMemory_v2_t, 2u)) {
        visit.answer = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    } else if (visit.open) {
        struct share share = share_of(&visit);
        *memory = (nvmlMemory_v2_t){memory->version, share.total, share.reserved, share.available, share.used};
    }
    return leave(&visit);
}

EXPORT nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, unsigned sensor, unsigned *degrees) {
    struct visit visit = visit_device(device, CALL_nvmlDeviceGetTemperature);
    if (visit.open && sensor)
        visit.answer = NVML_ERROR_INVALID_ARGUMENT;
    else if (visit.open)
        *degrees = (unsigned)visit.gpu->temperature;
    return leave(&visit);
}

typedef struct {
    unsigned version, sensorType;
    int temperature;
} nvmlTemperature_t;

EXPORT nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *reading) {
    struct visit visit = visit_device(device, CALL_nvmlDeviceGetTemperatureV);
    if (visit.open && reading->version != VERSION(nvmlTemperature_t, 1u))
        visit.answer = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    else if (visit.open && reading->sensorType)
        visit.answer = NVML_ERROR_INVALID_ARGUMENT;
    else if (visit.open)
        reading->temperature = visit.gpu->temperature;
    return leave(&visit);
}

typedef struct {
    unsigned version;
    int marginTemperature;
} nvmlMarginTemperature_t;

EXPORT nvmlReturn_t nvmlDeviceGetMarginTemperature(nvmlDevice_t device, nvmlMarginTemperature_t *reading) {
    struct visit visit = visit_device(device, CALL_nvmlDeviceGetMarginTemperature);
    if (visit.open && reading->version != VERSION(nvmlMarginTemperature_t, 1u))
        visit.answer = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    else if (visit.open)
        reading->marginTemperature = visit.gpu->temperature_margin;
    return leave(&visit);
}

EXPORT nvmlReturn_t nvmlDeviceGetFanSpeed_v2(nvmlDevice_t device, unsigned fan, unsigned *percent) {
    struct visit visit = visit_device(device, CALL_nvmlDeviceGetFanSpeed_v2);
    if (visit.open)
        visit.answer = pick(visit.gpu->fan_speeds, visit.gpu->fans, fan, percent);
    return leave(&visit);
}

EXPORT nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, unsigned type, unsigned counter,
                                                unsigned long long *count) {
    struct visit visit = visit_device(device, CALL_nvmlDeviceGetTotalEccErrors);
    if (visit.open && (type > 1 || counter > 1))
        visit.answer = NVML_ERROR_INVALID_ARGUMENT;
    else if (visit.open)
        *count = visit.gpu->ecc_errors[type * 2 + counter];
    return leave(&visit);
}

EXPORT nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned *correctable, unsigned *uncorrectable,
                                              unsigned *pending, unsigned *failed) {
    struct visit visit = visit_device(device, CALL_nvmlDeviceGetRemappedRows);
    unsigned *results[] = {correctable, uncorrectable, pending, failed};
    for (unsigned row = 0; visit.open && row < 4; row++)
        *results[row] = visit.gpu->remapped_rows[row];
    return leave(&visit);
}
