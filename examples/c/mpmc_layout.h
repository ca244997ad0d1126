/* What lies where in a ring of sysvshm::bounded_buffer::mpmc, what is in the words, and what a process keeps of a ring
 * and a handle: for mpmc.h. C11. */
#ifndef SYSVSHM_MPMC_LAYOUT_H
#define SYSVSHM_MPMC_LAYOUT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "slots.h"

/* One handle. */
struct mpmc_entry {
    _Atomic uint64_t claim;      /* 0 if the entry is free */
    _Atomic uint64_t generation; /* one more for each handle that had the entry */
    _Atomic uint64_t who;        /* two uint32_t: 1 producer, 2 consumer, 0 not said yet, and 4 * generation; process id */
    _Atomic uint64_t since;      /* seconds since 1970 */
    _Atomic uint64_t unsure;     /* bit 0: gives items back; the rest: recoveries of the dead holder that began */
    char reserved[24];
};

struct mpmc_header {
    char magic[8];                /* "svshmpmc" */
    _Atomic uint64_t state;       /* 0 untouched, 1 ready, else the claim of the initialiser */
    uint32_t version;             /* 2 */
    uint32_t variant;             /* 0 interleaved, 1 contiguous */
    uint32_t item_size;
    uint32_t item_align;
    uint64_t capacity;
    uint64_t generation;
    uint64_t start;
    uint64_t total_bytes;
    char reserved[56];
    _Atomic uint64_t probe;       /* means nothing */
    uint64_t participants;        /* entries of the table */
    uint64_t spare_slots;         /* beyond the capacity: 0 */
    _Atomic uint64_t asked;       /* when a handle asked last who lives, in milliseconds since 1970 */
    char pad1[104];
    _Atomic uint64_t producers_hint; /* bits 0-30 slot, 31-63 lap; nothing depends on it but speed */
    char pad2[120];
    _Atomic uint64_t consumers_hint;
    char pad3[120];
    _Atomic uint32_t producers_sleep; /* bit 0: asleep, 1: publishers must fence, the rest counts clearings of 0 */
    char pad4[124];
    _Atomic uint32_t consumers_sleep;
    char pad5[124];
    _Atomic uint64_t epoch;       /* notes in the log, in all */
    _Atomic uint64_t producers_arrived;
    _Atomic uint64_t consumers_arrived;
    char pad6[104];
    _Atomic uint64_t log[64];     /* where items became REDELIVER: bits 0-13 round + 1, 14-32 slots or 0, 33-63 first */
    struct mpmc_entry table[];
};

_Static_assert(sizeof(struct mpmc_entry) == 64, "entry");
_Static_assert(offsetof(struct mpmc_header, state) == 8, "state");
_Static_assert(offsetof(struct mpmc_header, capacity) == 32, "capacity");
_Static_assert(offsetof(struct mpmc_header, participants) == 128, "participants");
_Static_assert(offsetof(struct mpmc_header, producers_hint) == 256, "producers_hint");
_Static_assert(offsetof(struct mpmc_header, consumers_hint) == 384, "consumers_hint");
_Static_assert(offsetof(struct mpmc_header, producers_sleep) == 512, "producers_sleep");
_Static_assert(offsetof(struct mpmc_header, consumers_sleep) == 640, "consumers_sleep");
_Static_assert(offsetof(struct mpmc_header, epoch) == 768, "epoch");
_Static_assert(offsetof(struct mpmc_header, producers_arrived) == 776, "producers_arrived");
_Static_assert(offsetof(struct mpmc_header, consumers_arrived) == 784, "consumers_arrived");
_Static_assert(offsetof(struct mpmc_header, log) == 896, "log");
_Static_assert(offsetof(struct mpmc_header, table) == 1408, "table");

/* A slot's word: bits 0-2 phase, 3-11 owner's entry, 12-30 run, or in REDELIVER and REREADING how many readers of the
 * item have died, 31-63 lap. */
enum { MPMC_EMPTY, MPMC_WRITING, MPMC_FULL, MPMC_READING, MPMC_DRAINED, MPMC_REDELIVER, MPMC_REREADING };
enum { MPMC_PRODUCER = 1, MPMC_CONSUMER = 2 };
enum { MPMC_MAX_RUN = (1 << 19) - 1, MPMC_PARTICIPANTS = 512, MPMC_NOTES = 64, MPMC_HINT_EVERY = 32 };

#define MPMC_LAP_MASK (((uint64_t)1 << 33) - 1)

static inline uint64_t mpmc_word(int phase, uint64_t lap, uint32_t entry, uint32_t run)
{
    return lap << 31 | (uint64_t)(run & MPMC_MAX_RUN) << 12 | (uint64_t)entry << 3 | (uint64_t)phase;
}

static inline int mpmc_phase(uint64_t word) { return word & 7; }
static inline uint64_t mpmc_lap(uint64_t word) { return word >> 31; }
static inline uint32_t mpmc_entry_of(uint64_t word) { return word >> 3 & (MPMC_PARTICIPANTS - 1); }
static inline uint32_t mpmc_field(uint64_t word) { return word >> 12 & MPMC_MAX_RUN; }

/* Whether the first word of a run is this one, and the slots that belong to it; 1 in other phases. */
static inline int mpmc_has_run(int phase) { return phase == MPMC_WRITING || phase == MPMC_READING || phase == MPMC_DRAINED; }
static inline uint32_t mpmc_run(uint64_t word) { return mpmc_has_run(mpmc_phase(word)) ? mpmc_field(word) : 1; }

/* How many readers of an item have died. */
static inline uint32_t mpmc_deaths(uint64_t word) { return mpmc_phase(word) >= MPMC_REDELIVER ? mpmc_field(word) : 0; }

/* How far lap a is ahead of lap b, across the wrap. */
static inline int64_t mpmc_ahead(uint64_t a, uint64_t b) { return (int64_t)((a - b) << 31) >> 31; }

struct mpmc {
    struct mpmc_header *h;
    int id;
    size_t bytes;      /* of the segment, and */
    pid_t creator;     /* its creator: what its identifier names */
    size_t item_size;
    uint32_t capacity;
    uint32_t participants;
    struct slots slots;
    uint64_t token;    /* this process's claim */
};

/* Slots claimed together. */
struct mpmc_run {
    uint64_t lap;
    uint32_t slot, len;
    uint32_t deaths; /* how many readers of the item have died; 0 unless it was redelivered */
};

struct mpmc_handle {
    struct mpmc *ring;
    int role;
    uint32_t entry;
    uint64_t lap;            /* the position, and */
    uint32_t slot;           /* always a slot below the capacity */
    uint64_t epoch;          /* notes before this one are done, and */
    uint32_t done;           /* slots of the next one */
    uint32_t next, left;     /* slots to look at for redelivered items, wherever they may be */
    int owes_all;            /* that is all of them, before it says that there is nothing */
    uint64_t asked;          /* when it looked for the dead, in milliseconds; 0: never */
};

#endif
