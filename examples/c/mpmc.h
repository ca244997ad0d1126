/* The ring of sysvshm::bounded_buffer::mpmc for C programs: C11, Linux; with slots.h and token.h.
 *
 * The layout is documented in the Rust module and repeated here. A C process takes part as a full member: it has a
 * token, so that others know whether it lives; each of its handles has an entry in the participant table; it wakes
 * those who sleep; and it finishes or undoes what the dead left. It does not sleep itself, and fences at every
 * publish, because it does not register for membarrier(2).
 *
 *   struct mpmc ring;                                       one for a process
 *   struct mpmc_handle h;                                   one for each thread and role
 *   mpmc_attach(&ring, id, sizeof(item), _Alignof(item))    0, or -1 with errno; once in a process
 *   mpmc_enter(&ring, &h, MPMC_PRODUCER)                    0, or -1: EBUSY if all entries belong to the living
 *   mpmc_try_push(&h, items, count)                         how many, one operation; 0: full, -1: corrupted
 *   mpmc_enter(&ring, &h, MPMC_CONSUMER)
 *   mpmc_try_pop(&h, items, count)                          how many, one operation; 0: empty, -1: corrupted
 *   mpmc_leave(&h)
 *
 * In place: mpmc_try_claim(&h, wanted, &run), then work on mpmc_item(&ring, run.slot + i), then mpmc_publish or
 * mpmc_release.
 *
 * A forked child attaches and enters anew: its parent's token is not its own. Nothing read from the segment is
 * trusted: geometry is computed here and compared, slots come from private positions, runs are cut off, and every
 * call ends after a bounded number of steps. */
#ifndef SYSVSHM_MPMC_H
#define SYSVSHM_MPMC_H

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "slots.h"
#include "token.h"

/* One handle. */
struct mpmc_entry {
    _Atomic uint64_t claim;      /* 0 if the entry is free */
    _Atomic uint64_t generation; /* one more for each handle that had the entry */
    _Atomic uint64_t who;        /* two uint32_t: 1 producer, 2 consumer, 0 not said yet; process id */
    _Atomic uint64_t since;      /* seconds since 1970 */
    char reserved[32];
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
    char pad1[120];
    _Atomic uint64_t producers_hint; /* lap in the upper half, slot in the lower; nothing depends on it */
    char pad2[120];
    _Atomic uint64_t consumers_hint;
    char pad3[120];
    _Atomic uint32_t producers_sleep; /* bit 0: asleep, 1: publishers must fence, the rest counts clearings of 0 */
    char pad4[124];
    _Atomic uint32_t consumers_sleep;
    char pad5[124];
    _Atomic uint64_t epoch;       /* changes after items have become REDELIVER */
    _Atomic uint64_t producer_ever;
    _Atomic uint64_t consumer_ever;
    char pad6[104];
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
_Static_assert(offsetof(struct mpmc_header, producer_ever) == 776, "producer_ever");
_Static_assert(offsetof(struct mpmc_header, consumer_ever) == 784, "consumer_ever");
_Static_assert(offsetof(struct mpmc_header, table) == 896, "table");

/* A slot's word: bits 0-2 phase, 3-11 owner's entry, 12-23 owner's generation, 24-33 run, 34-63 lap. */
enum { MPMC_EMPTY, MPMC_WRITING, MPMC_FULL, MPMC_READING, MPMC_DRAINED, MPMC_REDELIVER };
enum { MPMC_PRODUCER = 1, MPMC_CONSUMER = 2 };
enum { MPMC_MAX_RUN = 1023 };

#define MPMC_OWNER_MASK ((((uint64_t)1 << 21) - 1) << 3)
#define MPMC_LAP_MASK (((uint32_t)1 << 30) - 1)

static inline uint64_t mpmc_word(int phase, uint32_t lap, uint64_t owner, uint32_t run)
{
    return (uint64_t)(lap & MPMC_LAP_MASK) << 34 | (uint64_t)run << 24 | owner | (uint64_t)phase;
}

static inline int mpmc_phase(uint64_t word) { return word & 7; }
static inline uint32_t mpmc_lap(uint64_t word) { return word >> 34; }
static inline uint32_t mpmc_run(uint64_t word) { return word >> 24 & MPMC_MAX_RUN; }
static inline uint64_t mpmc_owner(uint64_t entry, uint64_t generation) { return entry << 3 | (generation & 0xfff) << 12; }

/* How far lap a is ahead of lap b, across the wrap. */
static inline int32_t mpmc_ahead(uint32_t a, uint32_t b) { return (int32_t)((a - b) << 2) >> 2; }

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
    uint32_t lap, slot, len;
};

struct mpmc_handle {
    struct mpmc *ring;
    int role;
    uint32_t entry;
    uint64_t owner;
    uint32_t lap, slot;      /* the position: always a slot below the capacity */
    uint64_t epoch;          /* in which all slots were found without a redelivered item */
    struct timespec asked;   /* when it looked for the dead */
};

/* Attaches the ring, checks it, and makes this process's token. The ring must be ready. */
static inline int mpmc_attach(struct mpmc *r, int id, size_t item_size, size_t item_align)
{
    struct shmid_ds ds;
    memset(r, 0, sizeof *r);
    void *base = shmat(id, NULL, 0);
    if (base == (void *)-1)
        return -1;
    struct mpmc_header *h = base;
    if (shmctl(id, IPC_STAT, &ds) == -1)
        goto fail;
    errno = EPROTO;
    if (ds.shm_segsz < sizeof *h || atomic_load_explicit(&h->state, memory_order_acquire) != 1)
        goto fail;
    uint64_t capacity = h->capacity, participants = h->participants;
    uint32_t variant = h->variant;
    if (memcmp(h->magic, "svshmpmc", 8) != 0 || h->version != 2 || variant > 1 || item_size == 0 ||
        h->item_size != item_size || h->item_align != item_align || capacity == 0 || capacity > (uint64_t)1 << 31 ||
        capacity > ds.shm_segsz / 8 || participants == 0 || participants > 512)
        goto fail;
    size_t front = sizeof *h + participants * sizeof(struct mpmc_entry);
    if (slots_place(&r->slots, variant, front, capacity, item_size, item_align, ds.shm_segsz) == -1)
        goto fail;
    r->token = token_make();
    if (r->token == 0)
        goto fail;
    r->h = h;
    r->id = id;
    r->bytes = ds.shm_segsz;
    r->creator = ds.shm_cpid;
    r->item_size = item_size;
    r->capacity = capacity;
    r->participants = participants;
    return 0;
fail:;
    int why = errno;
    shmdt(base);
    errno = why;
    return -1;
}

static inline _Atomic uint64_t *mpmc_at(struct mpmc *r, uint32_t slot)
{
    return (_Atomic uint64_t *)((char *)r->h + r->slots.words + slot * r->slots.word_stride);
}

static inline uint64_t mpmc_load(struct mpmc *r, uint32_t slot)
{
    return atomic_load_explicit(mpmc_at(r, slot), memory_order_acquire);
}

static inline void mpmc_store(struct mpmc *r, uint32_t slot, uint64_t word)
{
    atomic_store_explicit(mpmc_at(r, slot), word, memory_order_release);
}

static inline int mpmc_swap(struct mpmc *r, uint32_t slot, uint64_t from, uint64_t to)
{
    return atomic_compare_exchange_strong_explicit(mpmc_at(r, slot), &from, to, memory_order_acq_rel, memory_order_acquire);
}

/* Where the item of a slot is. */
static inline void *mpmc_item(struct mpmc *r, uint32_t slot)
{
    return (char *)r->h + r->slots.items + slot * r->slots.item_stride;
}

/* After publishing: wakes up to count of those who sleep on a word, and if there were fewer, says that nobody does
 * any more. */
static inline void mpmc_wake(_Atomic uint32_t *sleep, uint32_t count)
{
    atomic_thread_fence(memory_order_seq_cst);
    uint32_t seen = atomic_load_explicit(sleep, memory_order_relaxed);
    if (!(seen & 1))
        return;
    int most = count > INT_MAX ? INT_MAX : (int)count;
    if (syscall(SYS_futex, sleep, FUTEX_WAKE, most, NULL, NULL, 0) >= most)
        return;
    if (atomic_compare_exchange_strong(sleep, &seen, (seen & ~1u) + 4))
        syscall(SYS_futex, sleep, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static inline void mpmc_wake_all(struct mpmc *r)
{
    mpmc_wake(&r->h->producers_sleep, UINT32_MAX);
    mpmc_wake(&r->h->consumers_sleep, UINT32_MAX);
}

/* How many slots may become free before sleeping producers are told. */
static inline uint32_t mpmc_quarter(struct mpmc *r) { return r->capacity < 4 ? 1 : r->capacity / 4; }

/* Whether the holder of a claim is dead. Not said from another IPC namespace, where no token is to be seen. */
static inline int mpmc_is_dead(struct mpmc *r, uint64_t claim)
{
    return token_is_dead(claim, r->id, r->bytes, r->creator);
}

/* Finishes or undoes what an owner, who is dead, was doing, as long as its claim stands in the entry. */
static inline void mpmc_sweep(struct mpmc *r, struct mpmc_entry *entry, uint64_t claim, uint64_t owner)
{
    for (uint32_t slot = 0; slot < r->capacity; slot++) {
        uint64_t first = mpmc_load(r, slot);
        int phase = mpmc_phase(first);
        if ((phase != MPMC_WRITING && phase != MPMC_READING && phase != MPMC_DRAINED) || (first & MPMC_OWNER_MASK) != owner)
            continue;
        /* Behind the look at the slot: if this one stood still, the word may be that of a holder 4096 later, who lives. */
        if (atomic_load_explicit(&entry->claim, memory_order_acquire) != claim)
            return;
        uint32_t lap = mpmc_lap(first), len = mpmc_run(first);
        if (len == 0)
            len = 1;
        if (len > r->capacity - slot)
            len = r->capacity - slot;
        uint64_t to = phase == MPMC_READING ? mpmc_word(MPMC_REDELIVER, lap, 0, 0) : mpmc_word(MPMC_EMPTY, lap + 1, 0, 0);
        for (uint32_t other = slot + len - 1; other > slot; other--) { /* the last first */
            uint64_t word = mpmc_load(r, other);
            if (word == mpmc_word(MPMC_FULL, lap, 0, 0) ||
                (phase == MPMC_WRITING && word == mpmc_word(MPMC_EMPTY, lap, 0, 0)))
                mpmc_swap(r, other, word, to);
        }
        mpmc_swap(r, slot, first, to);
    }
}

/* Recovers what the dead left, and says how many handles that were. */
static inline uint32_t mpmc_recover(struct mpmc *r)
{
    uint32_t found = 0;
    for (uint32_t index = 0; index < r->participants; index++) {
        struct mpmc_entry *entry = &r->h->table[index];
        uint64_t claim = atomic_load_explicit(&entry->claim, memory_order_acquire);
        if (claim == 0 || !mpmc_is_dead(r, claim))
            continue;
        /* Behind the verdict, and before a second look at the claim: so the generation is the dead one's. */
        uint64_t generation = atomic_load_explicit(&entry->generation, memory_order_acquire);
        if (atomic_load_explicit(&entry->claim, memory_order_acquire) != claim)
            continue;
        mpmc_sweep(r, entry, claim, mpmc_owner(index, generation));
        atomic_fetch_add(&r->h->epoch, 1);
        found += atomic_compare_exchange_strong(&entry->claim, &claim, 0);
    }
    if (found != 0)
        mpmc_wake_all(r);
    return found;
}

/* A position that everybody of this role has passed: the first slot has left the lap before the one that its word
 * names. For consumers one lap less, because it may have been skipped ahead of them. */
static inline void mpmc_from_first_slot(struct mpmc_handle *h)
{
    h->lap = (mpmc_lap(mpmc_load(h->ring, 0)) - (h->role == MPMC_PRODUCER ? 1 : 2)) & MPMC_LAP_MASK;
    h->slot = 0;
    if (++h->slot == h->ring->capacity) {
        h->slot = 0;
        h->lap = (h->lap + 1) & MPMC_LAP_MASK;
    }
}

/* Takes an entry of the table; recovers the dead if there is none free. */
static inline int mpmc_enter(struct mpmc *r, struct mpmc_handle *h, int role)
{
    memset(h, 0, sizeof *h);
    h->ring = r;
    h->role = role;
    for (int again = 0; again < 2; again++) {
        for (uint32_t index = 0; index < r->participants; index++) {
            struct mpmc_entry *entry = &r->h->table[index];
            uint64_t free = 0;
            if (atomic_load_explicit(&entry->claim, memory_order_acquire) != 0 ||
                !atomic_compare_exchange_strong(&entry->claim, &free, r->token))
                continue;
            /* Before any slot can bear it: whoever finds this owner dead finds its generation. */
            uint64_t generation = atomic_load_explicit(&entry->generation, memory_order_acquire) + 1, who;
            uint32_t said[2] = {(uint32_t)role, (uint32_t)getpid()};
            memcpy(&who, said, sizeof who);
            atomic_store_explicit(&entry->generation, generation, memory_order_release);
            atomic_store_explicit(&entry->since, (uint64_t)time(NULL), memory_order_release);
            atomic_store_explicit(&entry->who, who, memory_order_release);
            atomic_store_explicit(role == MPMC_PRODUCER ? &r->h->producer_ever : &r->h->consumer_ever, 1, memory_order_release);
            h->entry = index;
            h->owner = mpmc_owner(index, generation);
            h->epoch = atomic_load_explicit(&r->h->epoch, memory_order_acquire) - 1; /* there may be redelivered items */
            mpmc_from_first_slot(h);
            return 0;
        }
        mpmc_recover(r);
    }
    errno = EBUSY;
    return -1;
}

/* Frees the entry. The handle has no run claimed any more. */
static inline void mpmc_leave(struct mpmc_handle *h)
{
    struct mpmc_entry *entry = &h->ring->h->table[h->entry];
    uint64_t mine = h->ring->token;
    atomic_store_explicit(&entry->who, 0, memory_order_release);
    atomic_compare_exchange_strong(&entry->claim, &mine, 0);
    mpmc_wake_all(h->ring);
}

static inline void mpmc_advance(struct mpmc_handle *h, uint32_t by)
{
    h->slot += by;
    if (h->slot >= h->ring->capacity) {
        h->slot = 0;
        h->lap = (h->lap + 1) & MPMC_LAP_MASK;
    }
}

/* Claims by looking from the position on: 1 claimed, 0 nothing now, -1 nonsense. */
static inline int mpmc_look(struct mpmc_handle *h, uint32_t wanted, struct mpmc_run *run)
{
    struct mpmc *r = h->ring;
    int pushes = h->role == MPMC_PRODUCER, repositioned = 0;
    /* Four times round is more than any honest distance. */
    for (uint64_t steps = (uint64_t)r->capacity * 4 + 64; steps > 0; steps--) {
        uint64_t word = mpmc_load(r, h->slot);
        int phase = mpmc_phase(word);
        int32_t ahead = mpmc_ahead(mpmc_lap(word), h->lap);
        int owned = phase == MPMC_WRITING || phase == MPMC_READING || phase == MPMC_DRAINED;
        if (phase > MPMC_REDELIVER)
            goto nonsense;
        if (ahead > 0) { /* it has left the lap: behind it, as far as all of this role must have got */
            if (pushes)
                h->lap = (mpmc_lap(word) - 1) & MPMC_LAP_MASK;
            else if (ahead > 1)
                h->lap = (mpmc_lap(word) - 2) & MPMC_LAP_MASK;
            mpmc_advance(h, 1);
            continue;
        }
        if (owned && (mpmc_run(word) == 0 || mpmc_run(word) > r->capacity - h->slot))
            goto nonsense;
        int claims = pushes ? ahead == 0 && phase == MPMC_EMPTY
                            : (ahead == 0 && (phase == MPMC_FULL || phase == MPMC_REDELIVER)) ||
                                  (ahead == -1 && phase == MPMC_REDELIVER);
        int passes = ahead == 0 && !claims && (pushes || phase == MPMC_READING || phase == MPMC_DRAINED);
        int waits = pushes ? ahead == -1 && phase != MPMC_EMPTY
                           : (ahead == 0 && !claims && !passes) ||
                                 (ahead == -1 && (phase == MPMC_READING || phase == MPMC_DRAINED));
        if (claims) {
            uint32_t most = wanted, len = 1;
            if (most > r->capacity - h->slot)
                most = r->capacity - h->slot;
            if (most > MPMC_MAX_RUN)
                most = MPMC_MAX_RUN;
            if (phase != MPMC_REDELIVER)
                while (len < most && mpmc_load(r, h->slot + len) == word)
                    len++;
            if (!mpmc_swap(r, h->slot, word, mpmc_word(pushes ? MPMC_WRITING : MPMC_READING, mpmc_lap(word), h->owner, len)))
                continue;
            *run = (struct mpmc_run){mpmc_lap(word), h->slot, len};
            /* A redelivered item of the lap before: its slot in this lap is still to come. */
            if (ahead == 0)
                mpmc_advance(h, len);
            return 1;
        }
        if (passes) {
            mpmc_advance(h, owned ? mpmc_run(word) : 1);
        } else if (waits) {
            return 0;
        } else { /* the position is ahead of what the slots say */
            if (repositioned)
                goto nonsense;
            repositioned = 1;
            mpmc_from_first_slot(h);
        }
    }
    return 0;
nonsense:
    mpmc_from_first_slot(h);
    return -1;
}

/* As mpmc_look; a consumer looks at all slots for a redelivered item if there may be one. */
static inline int mpmc_look_everywhere(struct mpmc_handle *h, uint32_t wanted, struct mpmc_run *run)
{
    struct mpmc *r = h->ring;
    int done = mpmc_look(h, wanted, run);
    if (done != 0 || h->role == MPMC_PRODUCER)
        return done;
    uint64_t now = atomic_load_explicit(&r->h->epoch, memory_order_acquire);
    for (uint32_t slot = 0; now != h->epoch && slot < r->capacity; slot++) {
        uint64_t word = mpmc_load(r, slot);
        if (mpmc_phase(word) == MPMC_REDELIVER &&
            mpmc_swap(r, slot, word, mpmc_word(MPMC_READING, mpmc_lap(word), h->owner, 1))) {
            *run = (struct mpmc_run){mpmc_lap(word), slot, 1};
            return 1;
        }
    }
    h->epoch = now; /* only now: there may have been several */
    return 0;
}

/* Claims up to wanted slots side by side, at least one: free ones, or ones with items. 1 done, 0 nothing now, -1
 * corrupted. At most every 10 ms it also looks for the dead. */
static inline int mpmc_try_claim(struct mpmc_handle *h, uint32_t wanted, struct mpmc_run *run)
{
    struct timespec now;
    if (wanted == 0)
        return 0;
    int done = mpmc_look_everywhere(h, wanted, run);
    if (done != 0)
        return done;
    if (h->role == MPMC_CONSUMER) /* nothing to do: producers that wait for a quarter of the buffer may go on */
        mpmc_wake(&h->ring->h->producers_sleep, mpmc_quarter(h->ring));
    clock_gettime(CLOCK_MONOTONIC, &now);
    if ((now.tv_sec - h->asked.tv_sec) * 1000000000LL + (now.tv_nsec - h->asked.tv_nsec) < 10000000)
        return 0;
    h->asked = now;
    mpmc_recover(h->ring);
    mpmc_from_first_slot(h);
    return mpmc_look_everywhere(h, wanted, run);
}

/* Pushes the first count items of a run that a producer claimed, and skips its other slots until the next lap. */
static inline void mpmc_publish(struct mpmc_handle *h, const struct mpmc_run *run, uint32_t count)
{
    struct mpmc *r = h->ring;
    uint32_t end = run->slot + run->len;
    for (uint32_t slot = end; slot > run->slot + count; slot--)
        mpmc_store(r, slot - 1, mpmc_word(MPMC_EMPTY, run->lap + 1, 0, 0));
    for (uint32_t slot = run->slot + count; slot > run->slot; slot--)
        mpmc_store(r, slot - 1, mpmc_word(MPMC_FULL, run->lap, 0, 0)); /* the first, stored last: the push */
    /* Behind skipped slots more than count may go on. */
    mpmc_wake(&r->h->consumers_sleep, count == run->len ? count : UINT32_MAX);
    if (count == 0)
        mpmc_wake(&r->h->producers_sleep, UINT32_MAX);
}

/* Pops the first count items of a run that a consumer claimed; the others are delivered again. */
static inline void mpmc_release(struct mpmc_handle *h, const struct mpmc_run *run, uint32_t count)
{
    struct mpmc *r = h->ring;
    uint32_t end = run->slot + run->len, quarter = mpmc_quarter(r), last = run->slot + count;
    for (uint32_t slot = end; slot > last; slot--)
        mpmc_store(r, slot - 1, mpmc_word(MPMC_REDELIVER, run->lap, 0, 0));
    if (count > 1)
        mpmc_store(r, run->slot, mpmc_word(MPMC_DRAINED, run->lap, h->owner, count)); /* the pop */
    for (uint32_t slot = last; slot > run->slot; slot--)
        mpmc_store(r, slot - 1, mpmc_word(MPMC_EMPTY, run->lap + 1, 0, 0)); /* of a single one: the pop */
    if (count < run->len) {
        atomic_fetch_add(&r->h->epoch, 1);
        h->lap = run->lap;
        h->slot = run->slot;
        mpmc_advance(h, count);
        mpmc_wake(&r->h->consumers_sleep, UINT32_MAX);
    }
    /* Waking a producer for each item would cost more than all the rest. */
    if (last == r->capacity || run->slot / quarter != last / quarter)
        mpmc_wake(&r->h->producers_sleep, quarter);
}

/* Pushes items side by side as one operation, as many as there is room for, at most 1023. */
static inline int mpmc_try_push(struct mpmc_handle *h, const void *items, uint32_t count)
{
    struct mpmc *r = h->ring;
    struct mpmc_run run;
    int done = mpmc_try_claim(h, count, &run);
    if (done != 1)
        return done;
    if (r->slots.item_stride == r->item_size)
        memcpy(mpmc_item(r, run.slot), items, run.len * r->item_size);
    else
        for (uint32_t i = 0; i < run.len; i++)
            memcpy(mpmc_item(r, run.slot + i), (const char *)items + i * r->item_size, r->item_size);
    mpmc_publish(h, &run, run.len);
    return (int)run.len;
}

/* Pops items side by side as one operation, as many as there are, at most 1023. */
static inline int mpmc_try_pop(struct mpmc_handle *h, void *items, uint32_t count)
{
    struct mpmc *r = h->ring;
    struct mpmc_run run;
    int done = mpmc_try_claim(h, count, &run);
    if (done != 1)
        return done;
    if (r->slots.item_stride == r->item_size)
        memcpy(items, mpmc_item(r, run.slot), run.len * r->item_size);
    else
        for (uint32_t i = 0; i < run.len; i++)
            memcpy((char *)items + i * r->item_size, mpmc_item(r, run.slot + i), r->item_size);
    mpmc_release(h, &run, run.len);
    return (int)run.len;
}

#endif
