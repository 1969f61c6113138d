/* The page, init and shutdown, the way in and out of a call, and the driver-wide queries.
 *
 * A session belongs to the driver that was loaded at nvmlInit: after a reload every call answers UNINITIALIZED until
 * the library has been shut down as often as it was initialised, and initialised again. A process that loaded this
 * library before an upgrade never gets a session again. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"

struct page *fake_page;

static pthread_mutex_t session_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned session_users;
static uint32_t generation_at_init;
static uint32_t upgrades_at_load;

static void give_up(const char *why) {
    fprintf(stderr, "fake NVML: %s\n", why);
    abort();
}

__attribute__((constructor)) static void map_page(void) {
    const char *path = getenv("FAKE_NVML_STATE");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    struct stat status;
    if (file < 0 || fstat(file, &status) || (size_t)status.st_size != sizeof(struct page))
        give_up("FAKE_NVML_STATE names no state page");
    fake_page = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (fake_page == MAP_FAILED || fake_page->layout != LAYOUT)
        give_up("the state page was made for another build of this library");
    upgrades_at_load = LOAD(fake_page->upgrades);
}

void pause_briefly(void) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

uint64_t now_microseconds(int clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

uint32_t session_generation(void) {
    return __atomic_load_n(&generation_at_init, __ATOMIC_ACQUIRE);
}

nvmlReturn_t session_answer(void) {
    if (!LOAD(session_users))
        return NVML_ERROR_UNINITIALIZED;
    if (LOAD(fake_page->unloaded))
        return LOAD(fake_page->unloaded);
    return LOAD(fake_page->generation) == session_generation() ? NVML_SUCCESS : NVML_ERROR_UNINITIALIZED;
}

static struct visit arrive(unsigned row, enum call call) {
    struct call_state *state = &fake_page->calls[row * CALL_COUNT + call];
    __atomic_add_fetch(&state->entered, 1, __ATOMIC_ACQ_REL);
    while (LOAD(state->hang))
        pause_briefly();
    return (struct visit){.state = state};
}

nvmlReturn_t forced_answer(const struct visit *visit) {
    return LOAD(visit->state->forced) ? LOAD(visit->state->answer) : NVML_SUCCESS;
}

/* A forced SUCCESS leaves the caller's results alone, as some drivers do. */
static void decide(struct visit *visit) {
    if (visit->answer != NVML_SUCCESS)
        return;
    visit->open = !LOAD(visit->state->forced);
    visit->answer = forced_answer(visit);
}

static void admit(struct visit *visit, unsigned slot) {
    visit->gpu = &fake_page->gpus[slot];
    if (visit->answer == NVML_SUCCESS)
        visit->answer = LOAD(visit->gpu->present) ? (nvmlReturn_t)LOAD(visit->gpu->answer) : NVML_ERROR_GPU_IS_LOST;
    decide(visit);
}

struct visit visit_without_session(enum call call) {
    struct visit visit = arrive(SYSTEM_ROW, call);
    decide(&visit);
    return visit;
}

struct visit visit_system(enum call call) {
    struct visit visit = arrive(SYSTEM_ROW, call);
    visit.answer = session_answer();
    decide(&visit);
    return visit;
}

struct visit visit_slot(unsigned slot, enum call call) {
    struct visit visit = arrive(slot, call);
    visit.answer = session_answer();
    admit(&visit, slot);
    return visit;
}

struct visit refuse(enum call call, nvmlReturn_t answer) {
    struct visit visit = visit_system(call);
    if (visit.open)
        visit.answer = answer;
    visit.open = false;
    return visit;
}

/* A handle is never followed: generation, a mark and the slot, so that one of an earlier driver is known for what it
 * is. A MIG device's has a mark of its own and its number above the slot. The real library crashes on NULL, and so does
 * this one: no product code may pass it. */
#define HANDLE_MARK 0x4Eu
#define MIG_MARK 0x4Du

static nvmlDevice_t make_handle(unsigned mark, unsigned low) {
    return (nvmlDevice_t)(((uintptr_t)session_generation() << 16) | (mark << 8) | low);
}

nvmlDevice_t device_handle(unsigned slot) {
    return make_handle(HANDLE_MARK, slot + 1);
}

nvmlDevice_t mig_handle(unsigned slot, unsigned number) {
    return make_handle(MIG_MARK, number * MAX_GPUS + slot);
}

unsigned device_slot(nvmlDevice_t device) {
    uintptr_t bits = (uintptr_t)device;
    unsigned mark = (bits >> 8) & 0xFFu, low = bits & 0xFFu;
    if (mark == MIG_MARK)
        return low % MAX_GPUS;
    return mark == HANDLE_MARK && low && low <= MAX_GPUS ? low - 1 : MAX_GPUS;
}

static struct mig *mig_device(nvmlDevice_t device, unsigned slot) {
    uintptr_t bits = (uintptr_t)device;
    return ((bits >> 8) & 0xFFu) == MIG_MARK ? &fake_page->gpus[slot].mig_devices[(bits & 0xFFu) / MAX_GPUS] : NULL;
}

struct visit visit_device_or_mig(nvmlDevice_t device, enum call call) {
    if (!device)
        give_up("a NULL device handle, which crashes the real library");
    unsigned slot = device_slot(device);
    if (slot == MAX_GPUS)
        return refuse(call, NVML_ERROR_INVALID_ARGUMENT);
    struct visit visit = arrive(slot, call);
    visit.mig = mig_device(device, slot);
    visit.answer = session_answer();
    if (visit.answer == NVML_SUCCESS && (uintptr_t)device >> 16 != session_generation())
        visit.answer = NVML_ERROR_INVALID_ARGUMENT;
    if (visit.answer == NVML_SUCCESS && visit.mig && !LOAD(visit.mig->present))
        visit.answer = NVML_ERROR_NOT_FOUND;
    admit(&visit, slot);
    return visit;
}

struct visit visit_device(nvmlDevice_t device, enum call call) {
    struct visit visit = visit_device_or_mig(device, call);
    if (visit.open && visit.mig) {
        visit.open = false;
        visit.answer = NVML_ERROR_NOT_SUPPORTED;
    }
    return visit;
}

nvmlReturn_t leave(const struct visit *visit) {
    __atomic_add_fetch(&visit->state->left, 1, __ATOMIC_ACQ_REL);
    return visit->answer;
}

nvmlReturn_t copy_text(char *out, unsigned length, const char *text) {
    size_t needed = strlen(text) + 1;
    if (!out)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (length < needed)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    memcpy(out, text, needed);
    return NVML_SUCCESS;
}

static nvmlReturn_t driver_answer(void) {
    if (LOAD(fake_page->unloaded))
        return NVML_ERROR_DRIVER_NOT_LOADED;
    return LOAD(fake_page->upgrades) == upgrades_at_load ? NVML_SUCCESS : NVML_ERROR_LIB_RM_VERSION_MISMATCH;
}

static nvmlReturn_t start_session(enum call call) {
    struct visit visit = visit_without_session(call);
    if (visit.open)
        visit.answer = driver_answer();
    if (visit.open && visit.answer == NVML_SUCCESS) {
        pthread_mutex_lock(&session_lock);
        if (!session_users)
            __atomic_store_n(&generation_at_init, LOAD(fake_page->generation), __ATOMIC_RELEASE);
        __atomic_add_fetch(&session_users, 1, __ATOMIC_ACQ_REL);
        pthread_mutex_unlock(&session_lock);
    }
    return leave(&visit);
}

EXPORT nvmlReturn_t nvmlInit_v2(void) {
    return start_session(CALL_nvmlInit_v2);
}

EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    return start_session(CALL_nvmlInitWithFlags);
}

EXPORT nvmlReturn_t nvmlShutdown(void) {
    struct visit visit = visit_without_session(CALL_nvmlShutdown);
    if (visit.open) {
        pthread_mutex_lock(&session_lock);
        visit.answer = session_users ? NVML_SUCCESS : NVML_ERROR_UNINITIALIZED;
        if (session_users && !__atomic_sub_fetch(&session_users, 1, __ATOMIC_ACQ_REL))
            forget_event_sets();
        pthread_mutex_unlock(&session_lock);
    }
    return leave(&visit);
}

EXPORT const char *nvmlErrorString(nvmlReturn_t result) {
#define RETURN_TEXT(code, text) \
    case code: \
        return text;
    switch ((int)result) { RETURN_TEXTS(RETURN_TEXT) }
    return "Unknown Error";
}

EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned length) {
    struct visit visit = visit_system(CALL_nvmlSystemGetDriverVersion);
    if (visit.open)
        visit.answer = copy_text(version, length, fake_page->driver_version);
    return leave(&visit);
}

EXPORT nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned length) {
    struct visit visit = visit_without_session(CALL_nvmlSystemGetNVMLVersion);
    if (visit.open)
        visit.answer = copy_text(version, length, fake_page->nvml_version);
    return leave(&visit);
}

#define CUDA_VERSION_CALL(function) \
    EXPORT nvmlReturn_t function(int *version) { \
        struct visit visit = visit_without_session(CALL_##function); \
        if (visit.open) \
            *version = fake_page->cuda_version; \
        return leave(&visit); \
    }

CUDA_VERSION_CALL(nvmlSystemGetCudaDriverVersion)
CUDA_VERSION_CALL(nvmlSystemGetCudaDriverVersion_v2)
