/* The parts that a card is divided into: found by number, with holes, while the card is in MIG mode. */
#include "fake.h"

EXPORT nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned index, nvmlDevice_t *out) {
    struct visit visit = visit_device(device, CALL_nvmlDeviceGetMigDeviceHandleByIndex);
    if (visit.open && (index >= MAX_MIG || index >= visit.gpu->mig_most))
        visit.answer = NVML_ERROR_INVALID_ARGUMENT;
    else if (visit.open && (!visit.gpu->mig_mode[0] || !LOAD(visit.gpu->mig_devices[index].present)))
        visit.answer = NVML_ERROR_NOT_FOUND;
    else if (visit.open)
        *out = mig_handle(device_slot(device), index);
    return leave(&visit);
}

#define INSTANCE_CALL(function, member) \
    EXPORT nvmlReturn_t function(nvmlDevice_t device, unsigned *out) { \
        struct visit visit = visit_device_or_mig(device, CALL_##function); \
        if (visit.open && !visit.mig) \
            visit.answer = NVML_ERROR_NOT_SUPPORTED; \
        else if (visit.open) \
            *out = visit.mig->member; \
        return leave(&visit); \
    }

INSTANCE_CALL(nvmlDeviceGetGpuInstanceId, gpu_instance)
INSTANCE_CALL(nvmlDeviceGetComputeInstanceId, compute_instance)
