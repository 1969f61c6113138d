/* Event sets: what is queued on a GPU after its registration is delivered, one event per wait, every one of them. */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "fake.h"

#define MAX_SETS 16u
#define SET_MARK 0x45u

struct event_set {
    uint32_t serial; /* 0 while free */
    uint64_t types[MAX_GPUS];
    uint64_t delivered[MAX_GPUS];
};

typedef struct {
    nvmlDevice_t device;
    unsigned long long eventType, eventData;
    unsigned gpuInstanceId, computeInstanceId;
} nvmlEventData_t;

static pthread_mutex_t sets_lock = PTHREAD_MUTEX_INITIALIZER;
static struct event_set sets[MAX_SETS];
static uint32_t last_serial;

void forget_event_sets(void) {
    pthread_mutex_lock(&sets_lock);
    memset(sets, 0, sizeof sets);
    pthread_mutex_unlock(&sets_lock);
}

static nvmlEventSet_t set_handle(unsigned number) {
    return (nvmlEventSet_t)(((uintptr_t)sets[number].serial << 16) | (SET_MARK << 8) | (number + 1));
}

/* With the lock held; NULL for a set that was freed, or went with its session. */
static struct event_set *find_set(nvmlEventSet_t handle) {
    for (unsigned number = 0; number < MAX_SETS; number++)
        if (sets[number].serial && set_handle(number) == handle)
            return &sets[number];
    return NULL;
}

static nvmlReturn_t make_set(nvmlEventSet_t *out) {
    for (unsigned number = 0; number < MAX_SETS; number++) {
        if (sets[number].serial)
            continue;
        sets[number] = (struct event_set){.serial = ++last_serial};
        *out = set_handle(number);
        return NVML_SUCCESS;
    }
    return NVML_ERROR_INSUFFICIENT_RESOURCES;
}

EXPORT nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *out) {
    struct visit visit = visit_system(CALL_nvmlEventSetCreate);
    if (visit.open) {
        pthread_mutex_lock(&sets_lock);
        visit.answer = make_set(out);
        pthread_mutex_unlock(&sets_lock);
    }
    return leave(&visit);
}

static nvmlReturn_t register_events(unsigned slot, uint64_t types, struct event_set *set) {
    struct gpu *gpu = &fake_page->gpus[slot];
    if (!set)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (types & ~gpu->event_types)
        return NVML_ERROR_NOT_SUPPORTED;
    if (!set->types[slot])
        set->delivered[slot] = LOAD(gpu->event_count);
    set->types[slot] |= types;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types, nvmlEventSet_t handle) {
    struct visit visit = visit_device(device, CALL_nvmlDeviceRegisterEvents);
    if (visit.open) {
        pthread_mutex_lock(&sets_lock);
        visit.answer = register_events(device_slot(device), types, find_set(handle));
        pthread_mutex_unlock(&sets_lock);
    }
    return leave(&visit);
}

static bool take_event(struct event_set *set, unsigned slot, nvmlEventData_t *data) {
    struct gpu *gpu = &fake_page->gpus[slot];
    while (set->types[slot] && set->delivered[slot] < LOAD(gpu->event_count)) {
        struct event *event = &gpu->events[set->delivered[slot]++ % MAX_EVENTS];
        if (!(event->type & set->types[slot]))
            continue;
        *data = (nvmlEventData_t){device_handle(slot), event->type, event->data, ABSENT, ABSENT};
        return true;
    }
    return false;
}

static bool is_lost(const struct event_set *set, unsigned slot) {
    const struct gpu *gpu = &fake_page->gpus[slot];
    return set->types[slot] && (!LOAD(gpu->present) || LOAD(gpu->answer) == NVML_ERROR_GPU_IS_LOST);
}

static nvmlReturn_t look_for_event(struct event_set *set, nvmlEventData_t *data) {
    if (!set)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned slot = 0; slot < MAX_GPUS; slot++)
        if (take_event(set, slot, data))
            return NVML_SUCCESS;
    for (unsigned slot = 0; slot < MAX_GPUS; slot++)
        if (is_lost(set, slot))
            return NVML_ERROR_GPU_IS_LOST;
    return NVML_ERROR_TIMEOUT;
}

static nvmlReturn_t poll_once(nvmlEventSet_t handle, nvmlEventData_t *data, const struct visit *visit) {
    nvmlReturn_t answer = session_answer();
    if (answer == NVML_SUCCESS)
        answer = forced_answer(visit);
    if (answer != NVML_SUCCESS)
        return answer;
    pthread_mutex_lock(&sets_lock);
    answer = look_for_event(find_set(handle), data);
    pthread_mutex_unlock(&sets_lock);
    return answer;
}

EXPORT nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t handle, nvmlEventData_t *data, unsigned milliseconds) {
    struct visit visit = visit_system(CALL_nvmlEventSetWait_v2);
    uint64_t deadline = now_microseconds(CLOCK_MONOTONIC) + milliseconds * 1000ull;
    while (visit.open) {
        visit.answer = poll_once(handle, data, &visit);
        if (visit.answer != NVML_ERROR_TIMEOUT || now_microseconds(CLOCK_MONOTONIC) >= deadline)
            break;
        pause_briefly();
    }
    return leave(&visit);
}

EXPORT nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t handle) {
    struct visit visit = visit_system(CALL_nvmlEventSetFree);
    if (visit.open) {
        pthread_mutex_lock(&sets_lock);
        struct event_set *set = find_set(handle);
        visit.answer = set ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
        if (set)
            *set = (struct event_set){0};
        pthread_mutex_unlock(&sets_lock);
    }
    return leave(&visit);
}
