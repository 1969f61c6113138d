/* nvmlDeviceGetFieldValues: each id has a return code and a type of its own; the call as a whole rarely fails. */
#include <time.h>

#include "fake.h"

typedef struct {
    unsigned fieldId, scopeId;
    long long timestamp, latencyUsec;
    unsigned valueType;
    nvmlReturn_t nvmlReturn;
    union {
        unsigned uiVal;
        int siVal;
        unsigned long long ullVal;
    } value;
} nvmlFieldValue_t;

struct field {
    unsigned id, type;
    size_t offset, size;
};

#define FIELD(number, kind, member, element) \
    {number, kind, offsetof(struct gpu, member) + (element) * FIELD_SIZE(kind), FIELD_SIZE(kind)},
#define FIELD_SIZE(kind) ((kind) == 3 ? sizeof(uint64_t) : sizeof(uint32_t))

static const struct field fields[] = {FIELD_VALUES(FIELD)};

static void read_field(const struct gpu *gpu, unsigned number, nvmlFieldValue_t *value) {
    const void *source = (const char *)gpu + fields[number].offset;
    value->nvmlReturn = gpu->field_answers[number];
    value->valueType = fields[number].type;
    if (value->nvmlReturn != NVML_SUCCESS)
        return;
    if (fields[number].size == sizeof(uint64_t))
        value->value.ullVal = *(const uint64_t *)source;
    else
        value->value.uiVal = *(const uint32_t *)source;
}

static void answer_field(const struct gpu *gpu, nvmlFieldValue_t *value) {
    value->timestamp = (long long)now_microseconds(CLOCK_REALTIME);
    value->latencyUsec = 0;
    value->value.ullVal = 0;
    value->nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
    for (unsigned number = 0; number < sizeof fields / sizeof *fields; number++)
        if (fields[number].id == value->fieldId)
            read_field(gpu, number, value);
}

EXPORT nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t *values) {
    struct visit visit = visit_device(device, CALL_nvmlDeviceGetFieldValues);
    for (int i = 0; visit.open && i < count; i++)
        answer_field(visit.gpu, &values[i]);
    return leave(&visit);
}
