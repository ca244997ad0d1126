/* The ring of sysvshm::bounded_buffer::spsc for C programs: C11, Linux; with slots.h and token.h.
 *
 * The layout is documented in the Rust module and repeated here. A C process takes part as a full member: it has a
 * token, so that its peers know whether it lives; it takes roles over from the dead; it wakes peers that sleep. It
 * does not sleep itself, and fences at every publish, because it does not register for membarrier(2).
 *
 *   struct spsc ring;                                       one for each role
 *   spsc_attach(&ring, id, sizeof(item), _Alignof(item))    0, or -1 with errno
 *   spsc_attach_tagged(&ring, id, sizeof(item), _Alignof(item), tag)    the same of a ring that was made with a tag
 *   spsc_claim(&ring, SPSC_PRODUCER)                        0, or -1: EBUSY if the holder lives
 *   spsc_try_push(&ring, &item)                             1 done, 0 full, -1 corrupted
 *   spsc_claim(&ring, SPSC_CONSUMER)
 *   spsc_try_pop(&ring, &item)                              1 done, 0 empty, -1 corrupted
 *   spsc_release_role(&ring, SPSC_PRODUCER)
 *
 * A forked child attaches and claims anew: in it, calls on its parent's rings fail with EPERM.
 *
 * Include this first, or define _GNU_SOURCE. Nothing read from the segment is trusted: geometry is computed here and compared, and slots come from private
 * positions. */
#ifndef SYSVSHM_SPSC_H
#define SYSVSHM_SPSC_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "slots.h"
#include "token.h"

struct spsc_header {
    char magic[8];                /* "svshspsc" */
    _Atomic uint64_t state;       /* 0 untouched, 1 ready, else the claim of the initialiser */
    uint32_t version;             /* 2 */
    uint32_t variant;             /* 0 interleaved, 1 contiguous */
    uint32_t item_size;
    uint32_t item_align;
    uint64_t capacity;
    uint64_t generation;
    uint64_t start;
    uint64_t total_bytes;
    uint64_t tag;                 /* what its creator called it, 0 if nothing */
    char reserved[48];
    _Atomic uint64_t probe;       /* means nothing */
    _Atomic uint64_t producer;    /* claim, 0 if there is none */
    _Atomic uint64_t producer_ever;
    _Atomic uint64_t consumer;
    _Atomic uint64_t consumer_ever;
    char pad1[96];
    _Atomic uint64_t out;         /* the consumer's position; storing it is the pop */
    char pad2[120];
    _Atomic uint64_t out_lazy;    /* the same, stored now and then */
    char pad3[120];
    _Atomic uint32_t producer_sleeps; /* bit 0: asleep, bit 1: publishers must fence */
    char pad4[124];
    _Atomic uint32_t consumer_sleeps;
    char pad5[124];
    char slots[];
};

_Static_assert(offsetof(struct spsc_header, state) == 8, "state");
_Static_assert(offsetof(struct spsc_header, capacity) == 32, "capacity");
_Static_assert(offsetof(struct spsc_header, tag) == 64, "tag");
_Static_assert(offsetof(struct spsc_header, producer) == 128, "producer");
_Static_assert(offsetof(struct spsc_header, consumer) == 144, "consumer");
_Static_assert(offsetof(struct spsc_header, out) == 256, "out");
_Static_assert(offsetof(struct spsc_header, out_lazy) == 384, "out_lazy");
_Static_assert(offsetof(struct spsc_header, producer_sleeps) == 512, "producer_sleeps");
_Static_assert(offsetof(struct spsc_header, consumer_sleeps) == 640, "consumer_sleeps");
_Static_assert(offsetof(struct spsc_header, slots) == 768, "slots");

enum { SPSC_PRODUCER = 0, SPSC_CONSUMER = 1 };

struct spsc {
    struct spsc_header *h;
    int id;
    size_t bytes;                                  /* of the segment, and */
    pid_t creator;                                 /* its creator: what its identifier names */
    size_t item_size;
    uint64_t capacity;
    struct slots slots;
    uint64_t position;                             /* of the role that was claimed */
    uint64_t end;                                  /* consumer: everything before it is known to be pushed */
    uint64_t token;                                /* this process's claim, 0 before the first */
};

/* Attaches the ring and checks it. The ring must be ready, and have this tag, 0 if it was given none. */
static inline int spsc_attach_tagged(struct spsc *r, int id, size_t item_size, size_t item_align, uint64_t tag)
{
    struct shmid_ds ds;
    memset(r, 0, sizeof *r);
    void *base = shmat(id, NULL, 0);
    if (base == (void *)-1)
        return -1;
    struct spsc_header *h = base;
    if (shmctl(id, IPC_STAT, &ds) == -1)
        goto fail;
    errno = EPROTO;
    if (ds.shm_segsz < sizeof *h || atomic_load_explicit(&h->state, memory_order_acquire) != 1)
        goto fail;
    uint64_t capacity = h->capacity;
    uint32_t variant = h->variant;
    if (memcmp(h->magic, "svshspsc", 8) != 0 || h->version != 2 || variant > 1 || item_size == 0 ||
        h->item_size != item_size || h->tag != tag || capacity == 0 || capacity > ds.shm_segsz / 8)
        goto fail;
    size_t front = sizeof *h;
    if (slots_agree(&r->slots, variant, front, capacity, item_size, item_align, h->item_align, ds.shm_segsz) == -1)
        goto fail;
    r->h = h;
    r->id = id;
    r->bytes = ds.shm_segsz;
    r->creator = ds.shm_cpid;
    r->item_size = item_size;
    r->capacity = capacity;
    return 0;
fail:;
    int why = errno;
    shmdt(base);
    errno = why;
    return -1;
}

static inline int spsc_attach(struct spsc *r, int id, size_t item_size, size_t item_align)
{
    return spsc_attach_tagged(r, id, item_size, item_align, 0);
}

static inline _Atomic uint64_t *spsc_word(struct spsc *r, uint64_t position)
{
    return (_Atomic uint64_t *)((char *)r->h + r->slots.words + position % r->capacity * r->slots.word_stride);
}

static inline void *spsc_item(struct spsc *r, uint64_t position)
{
    return (char *)r->h + r->slots.items + position % r->capacity * r->slots.item_stride;
}

/* Whether the holder of a claim is dead. Not said from another IPC namespace, where no token is to be seen. */
static inline int spsc_is_dead(struct spsc *r, uint64_t claim)
{
    return token_is_dead(claim, r->id, r->bytes, r->creator);
}

/* Takes a role that is free or whose holder is dead, and goes on at its position. */
static inline int spsc_claim(struct spsc *r, int role)
{
    struct spsc_header *h = r->h;
    _Atomic uint64_t *word = role == SPSC_PRODUCER ? &h->producer : &h->consumer;
    if ((r->token = token_of_process()) == 0)
        return -1;
    uint64_t holder = atomic_load_explicit(word, memory_order_acquire);
    if (holder != 0 && !spsc_is_dead(r, holder)) {
        errno = EBUSY;
        return -1;
    }
    if (!atomic_compare_exchange_strong(word, &holder, r->token)) {
        errno = EBUSY;
        return -1;
    }
    /* After the claim: a reader in between would take the role for one that was given back. */
    atomic_store_explicit(role == SPSC_PRODUCER ? &h->producer_ever : &h->consumer_ever, 1, memory_order_release);
    /* A predecessor may have died asleep; this side never sleeps. */
    atomic_store_explicit(role == SPSC_PRODUCER ? &h->producer_sleeps : &h->consumer_sleeps, 0,
                          memory_order_relaxed);
    uint64_t out = atomic_load_explicit(&h->out, memory_order_acquire), ahead = 0;
    if (role == SPSC_PRODUCER) {
        /* The greatest word ahead of `out` by at most the capacity is where the last push ended. */
        for (uint64_t slot = 0; slot < r->capacity; slot++) {
            uint64_t this = atomic_load_explicit(spsc_word(r, slot), memory_order_acquire) - out;
            if (this <= r->capacity && this > ahead)
                ahead = this;
        }
    } else {
        atomic_store_explicit(&h->out_lazy, out, memory_order_release);
    }
    r->position = r->end = out + ahead;
    return 0;
}

static inline void spsc_release_role(struct spsc *r, int role)
{
    uint64_t mine = r->token;
    if (!token_is_current(mine)) /* in a forked child the role is the parent's */
        return;
    atomic_compare_exchange_strong(role == SPSC_PRODUCER ? &r->h->producer : &r->h->consumer, &mine, 0);
}

/* After publishing: wakes who sleeps. */
static inline void spsc_wake(_Atomic uint32_t *sleeps)
{
    atomic_thread_fence(memory_order_seq_cst);
    uint32_t seen = atomic_load_explicit(sleeps, memory_order_relaxed);
    if ((seen & 1) && atomic_compare_exchange_strong(sleeps, &seen, seen & ~1u))
        syscall(SYS_futex, sleeps, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static inline int spsc_try_push(struct spsc *r, const void *item)
{
    if (!token_is_current(r->token)) {
        errno = EPERM;
        return -1;
    }
    uint64_t used = r->position - atomic_load_explicit(&r->h->out, memory_order_acquire);
    if (used >= r->capacity)
        return used == r->capacity ? 0 : -1;
    /* Position 2^64 is 0 again: that is the next slot only if the capacity is a power of two. */
    if (r->position == UINT64_MAX && (r->capacity & (r->capacity - 1)) != 0)
        return -1;
    memcpy(spsc_item(r, r->position), item, r->item_size);
    atomic_store_explicit(spsc_word(r, r->position), r->position + 1, memory_order_release); /* the push */
    r->position++;
    spsc_wake(&r->h->consumer_sleeps);
    return 1;
}

/* `end` is kept between calls: a batch publishes only its first slot's word. */
static inline int spsc_try_pop(struct spsc *r, void *item)
{
    if (!token_is_current(r->token)) {
        errno = EPERM;
        return -1;
    }
    if ((int64_t)(r->end - r->position) <= 0) {
        uint64_t word = atomic_load_explicit(spsc_word(r, r->position), memory_order_acquire);
        uint64_t ahead = word - r->position;
        if (ahead - 1 >= r->capacity) {
            /* In the middle of a predecessor's batch the word of this slot is old; the greatest one knows. */
            uint64_t best = 0;
            for (uint64_t slot = 0; slot < r->capacity; slot++) {
                uint64_t this = atomic_load_explicit(spsc_word(r, slot), memory_order_acquire) - r->position;
                if (this <= r->capacity && this > best)
                    best = this;
            }
            if (best == 0)
                return (int64_t)ahead <= 0 ? 0 : -1;
            word = r->position + best;
        }
        r->end = word;
    }
    memcpy(item, spsc_item(r, r->position), r->item_size);
    r->position++;
    atomic_store_explicit(&r->h->out, r->position, memory_order_release); /* the pop */
    atomic_store_explicit(&r->h->out_lazy, r->position, memory_order_release);
    spsc_wake(&r->h->producer_sleeps);
    return 1;
}

#endif
