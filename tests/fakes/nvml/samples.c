/* The driver's own sample buffers, and what it says of vGPU licences. */
#include "fake.h"

typedef struct {
    unsigned long long timeStamp;
    union {
        double dVal;
        unsigned uiVal;
        unsigned long long ullVal;
    } sampleValue;
} nvmlSample_t;

#define TOTAL_POWER 0u
#define GPU_UTILIZATION 1u

static unsigned collect(const struct sample *ring, uint64_t count, uint64_t since, nvmlSample_t *out, unsigned room) {
    unsigned found = 0;
    for (uint64_t i = count > MAX_SAMPLES ? count - MAX_SAMPLES : 0; i < count; i++) {
        const struct sample *sample = &ring[i % MAX_SAMPLES];
        if (sample->at <= since)
            continue;
        if (out && found < room)
            out[found] = (nvmlSample_t){.timeStamp = sample->at, .sampleValue.uiVal = sample->value};
        found++;
    }
    return found;
}

EXPORT nvmlReturn_t nvmlDeviceGetSamples(nvmlDevice_t device, unsigned type, unsigned long long since,
                                         unsigned *value_type, unsigned *count, nvmlSample_t *out) {
    struct visit visit = visit_device(device, CALL_nvmlDeviceGetSamples);
    if (visit.open && type > GPU_UTILIZATION) {
        visit.answer = NVML_ERROR_NOT_SUPPORTED;
    } else if (visit.open) {
        struct gpu *gpu = visit.gpu;
        bool power = type == TOTAL_POWER;
        uint64_t queued = LOAD(*(power ? &gpu->power_sample_count : &gpu->utilization_sample_count));
        unsigned found = collect(power ? gpu->power_samples : gpu->utilization_samples, queued, since, out, *count);
        *value_type = 1;
        /* As the real one: asked for the size it answers with the size of its buffer, not with what is new. */
        *count = out ? (found < *count ? found : *count) : found ? MAX_SAMPLES : 0;
        visit.answer = found ? NVML_SUCCESS : NVML_ERROR_NOT_FOUND;
    }
    return leave(&visit);
}

typedef struct {
    unsigned year;
    unsigned short month, day, hour, min, sec;
    unsigned char status;
} nvmlGridLicenseExpiry_t;

typedef struct {
    unsigned featureCode, featureState;
    char licenseInfo[128], productName[128];
    unsigned featureEnabled;
    nvmlGridLicenseExpiry_t licenseExpiry;
} nvmlGridLicensableFeature_t;

typedef struct {
    int isGridLicenseSupported;
    unsigned licensableFeaturesCount;
    nvmlGridLicensableFeature_t gridLicensableFeatures[3];
} nvmlGridLicensableFeatures_t;

EXPORT nvmlReturn_t nvmlDeviceGetGridLicensableFeatures_v4(nvmlDevice_t device, nvmlGridLicensableFeatures_t *out) {
    struct visit visit = visit_device(device, CALL_nvmlDeviceGetGridLicensableFeatures_v4);
    if (visit.open) {
        *out = (nvmlGridLicensableFeatures_t){.isGridLicenseSupported = visit.gpu->licence > 0};
        out->licensableFeaturesCount = visit.gpu->licence > 0;
        out->gridLicensableFeatures[0].featureState = visit.gpu->licence == 2;
    }
    return leave(&visit);
}
