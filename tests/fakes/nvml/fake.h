/* What the parts of the fake library share: NVML's own types, the state page, and the way in and out of every call.
 *
 * Each exported function makes a visit: the way in counts the call, waits while a test lets it hang, and decides what
 * it answers; only an open visit touches the caller's results; the way out counts again. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

#define EXPORT __attribute__((visibility("default")))
#define LOAD(word) __atomic_load_n(&(word), __ATOMIC_ACQUIRE)

typedef struct nvmlDevice_st *nvmlDevice_t;
typedef struct nvmlEventSet_st *nvmlEventSet_t;

struct visit {
    struct call_state *state;
    struct gpu *gpu; /* NULL for a driver-wide call */
    struct mig *mig; /* NULL for a whole card */
    nvmlReturn_t answer;
    bool open;
};

extern struct page *fake_page;

/* session.c */
nvmlReturn_t session_answer(void);
uint32_t session_generation(void);
struct visit visit_system(enum call call);
struct visit visit_without_session(enum call call);
struct visit visit_slot(unsigned slot, enum call call);
struct visit visit_device(nvmlDevice_t device, enum call call);
struct visit refuse(enum call call, nvmlReturn_t answer);
nvmlReturn_t leave(const struct visit *visit);
nvmlReturn_t forced_answer(const struct visit *visit);
nvmlReturn_t copy_text(char *out, unsigned length, const char *text);
nvmlDevice_t device_handle(unsigned slot);
unsigned device_slot(nvmlDevice_t device);
void pause_briefly(void);
uint64_t now_microseconds(int clock);

/* A call that a MIG device answers too; on every other call its handle answers NOT_SUPPORTED. */
struct visit visit_device_or_mig(nvmlDevice_t device, enum call call);
nvmlDevice_t mig_handle(unsigned slot, unsigned number);

/* events.c */
void forget_event_sets(void);
