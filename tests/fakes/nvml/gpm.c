/* Activity of the parts of the chip, as the difference of two samples of one card or of one GPU instance. */
#include <stdlib.h>
#include <time.h>

#include "fake.h"

#define NO_INSTANCE 0xFFFFFFFFu
#define METRIC_MAX 477u

struct gpm_sample {
    unsigned slot, instance;
    uint64_t at;
    uint32_t values[GPM_METRICS];
};

typedef struct gpm_sample *nvmlGpmSample_t;

typedef struct {
    unsigned version, isSupportedDevice;
} nvmlGpmSupport_t;

typedef struct {
    unsigned metricId;
    nvmlReturn_t nvmlReturn;
    double value;
    struct {
        char *shortName, *longName, *unit;
    } metricInfo;
} nvmlGpmMetric_t;

typedef struct {
    unsigned version, numMetrics;
    nvmlGpmSample_t sample1, sample2;
    nvmlGpmMetric_t metrics[METRIC_MAX];
} nvmlGpmMetricsGet_t;

EXPORT nvmlReturn_t nvmlGpmQueryDeviceSupport(nvmlDevice_t device, nvmlGpmSupport_t *support) {
    struct visit visit = visit_device(device, CALL_nvmlGpmQueryDeviceSupport);
    if (visit.open)
        support->isSupportedDevice = visit.gpu->gpm_supported;
    return leave(&visit);
}

EXPORT nvmlReturn_t nvmlGpmSampleAlloc(nvmlGpmSample_t *sample) {
    struct visit visit = visit_system(CALL_nvmlGpmSampleAlloc);
    if (visit.open)
        *sample = calloc(1, sizeof **sample);
    return leave(&visit);
}

EXPORT nvmlReturn_t nvmlGpmSampleFree(nvmlGpmSample_t sample) {
    struct visit visit = visit_system(CALL_nvmlGpmSampleFree);
    if (visit.open)
        free(sample);
    return leave(&visit);
}

static void fill(nvmlGpmSample_t sample, unsigned slot, unsigned instance, const uint32_t *values) {
    *sample = (struct gpm_sample){slot, instance, now_microseconds(CLOCK_MONOTONIC), {0}};
    for (unsigned metric = 0; metric < GPM_METRICS; metric++)
        sample->values[metric] = LOAD(values[metric]);
}

EXPORT nvmlReturn_t nvmlGpmSampleGet(nvmlDevice_t device, nvmlGpmSample_t sample) {
    struct visit visit = visit_device(device, CALL_nvmlGpmSampleGet);
    if (visit.open && !visit.gpu->gpm_supported)
        visit.answer = NVML_ERROR_NOT_SUPPORTED;
    else if (visit.open)
        fill(sample, device_slot(device), NO_INSTANCE, visit.gpu->gpm);
    return leave(&visit);
}

static const struct mig *instance_of(const struct gpu *gpu, unsigned instance) {
    for (unsigned number = 0; number < MAX_MIG; number++)
        if (LOAD(gpu->mig_devices[number].present) && gpu->mig_devices[number].gpu_instance == instance)
            return &gpu->mig_devices[number];
    return NULL;
}

EXPORT nvmlReturn_t nvmlGpmMigSampleGet(nvmlDevice_t device, unsigned instance, nvmlGpmSample_t sample) {
    struct visit visit = visit_device(device, CALL_nvmlGpmMigSampleGet);
    const struct mig *mig = visit.open ? instance_of(visit.gpu, instance) : NULL;
    if (visit.open && !visit.gpu->gpm_supported)
        visit.answer = NVML_ERROR_NOT_SUPPORTED;
    else if (visit.open && !mig)
        visit.answer = NVML_ERROR_INVALID_ARGUMENT;
    else if (visit.open)
        fill(sample, device_slot(device), instance, mig->gpm);
    return leave(&visit);
}

static bool comparable(const struct gpm_sample *first, const struct gpm_sample *second) {
    return first && second && first->at && first->slot == second->slot && first->instance == second->instance &&
           first->at <= second->at;
}

static void answer_metric(const struct gpm_sample *sample, nvmlGpmMetric_t *metric) {
    metric->nvmlReturn = metric->metricId < GPM_METRICS ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
    if (metric->nvmlReturn == NVML_SUCCESS && sample->values[metric->metricId] == ABSENT)
        metric->nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
    if (metric->nvmlReturn == NVML_SUCCESS)
        metric->value = sample->values[metric->metricId] / 100.0;
}

EXPORT nvmlReturn_t nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *get) {
    struct visit visit = visit_system(CALL_nvmlGpmMetricsGet);
    if (visit.open && get->version != 1)
        visit.answer = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    else if (visit.open && (get->numMetrics > METRIC_MAX || !comparable(get->sample1, get->sample2)))
        visit.answer = NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned i = 0; visit.open && visit.answer == NVML_SUCCESS && i < get->numMetrics; i++)
        answer_metric(get->sample2, &get->metrics[i]);
    return leave(&visit);
}
