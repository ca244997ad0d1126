/* The ring of sysvshm::bounded_buffer::mpmc for C programs: C11, Linux; with slots.h and token.h.
 *
 * The layout is documented in the Rust module and repeated here. A C process takes part as a full member: it has a
 * token, so that others know whether it lives; each of its handles has an entry in the participant table; it wakes
 * those who sleep; and it finishes or undoes what the dead left. It does not sleep itself, and fences at every
 * publish, because it does not register for membarrier(2).
 *
 *   struct mpmc ring;                                       one for a process
 *   struct mpmc_handle h;                                   one for each thread and role
 *   mpmc_attach(&ring, id, sizeof(item), _Alignof(item))    0, or -1 with errno; one thread at a time
 *   mpmc_enter(&ring, &h, MPMC_PRODUCER)                    0, or -1: EBUSY if all entries belong to the living
 *   mpmc_try_push(&h, items, count)                         how many, one operation; 0: full, -1: corrupted
 *   mpmc_enter(&ring, &h, MPMC_CONSUMER)
 *   mpmc_try_pop(&h, items, count)                          how many, one operation; 0: empty, -1: corrupted
 *   mpmc_leave(&h)
 *   mpmc_detach(&ring)
 *
 * In place: mpmc_try_claim(&h, wanted, &run), then work on mpmc_item(&ring, run.slot + i), then mpmc_publish or
 * mpmc_release.
 *
 * A forked child attaches and enters anew: its parent's token is not its own, and its parent's handles refuse it with
 * EPERM. Include this first, or define _GNU_SOURCE. Nothing read from the segment is
 * trusted: geometry is computed here and compared, slots come from private positions, runs are cut off, and every
 * call ends after a bounded number of steps. */
#ifndef SYSVSHM_MPMC_H
#define SYSVSHM_MPMC_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

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
#include "mpmc_layout.h"
#include "slots.h"
#include "token.h"

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
        capacity > ds.shm_segsz / 8 || participants == 0 || participants > MPMC_PARTICIPANTS || h->spare_slots != 0)
        goto fail;
    size_t front = sizeof *h + participants * sizeof(struct mpmc_entry);
    if (slots_place(&r->slots, variant, front, capacity, item_size, item_align, ds.shm_segsz) == -1)
        goto fail;
    r->token = token_of_process();
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

/* Tells consumers where items have become REDELIVER: len slots from first on, or anywhere if len is 0. */
static inline void mpmc_announce(struct mpmc *r, uint32_t first, uint32_t len)
{
    for (int tries = 0; tries < 1000; tries++) {
        uint64_t epoch = atomic_load_explicit(&r->h->epoch, memory_order_acquire);
        _Atomic uint64_t *entry = &r->h->log[epoch % MPMC_NOTES];
        uint64_t before = atomic_load_explicit(entry, memory_order_acquire), round = (epoch / MPMC_NOTES + 1) & 0x3fff;
        int is_free = (before & 0x3fff) != round;
        int is_noted = is_free && atomic_compare_exchange_strong(entry, &before, (uint64_t)first << 33 | (uint64_t)len << 14 | round);
        if (is_noted || !is_free) /* who wrote it may not get further */
            atomic_compare_exchange_strong(&r->h->epoch, &epoch, epoch + 1);
        if (is_noted)
            return;
    }
}

/* Finishes or undoes what the dead were doing, whose claims these are by entry, else 0; clears those that others
 * have freed. Says where it made items REDELIVER: count of runs, or 9 for more than 8. */
static inline int mpmc_sweep(struct mpmc *r, uint64_t *dead, uint32_t (*given)[2])
{
    int count = 0;
    uint32_t end = 0; /* of the last run: none begins inside another */
    for (uint32_t slot = 0; slot < r->capacity; slot++) {
        uint64_t first = mpmc_load(r, slot);
        int phase = mpmc_phase(first);
        uint32_t index = mpmc_entry_of(first);
        if ((!mpmc_has_run(phase) && phase != MPMC_REREADING) || dead[index] == 0 || (slot < end && phase != MPMC_REREADING))
            continue;
        /* After the load: if the claim still stands, the word is the dead one's. It does not come back. */
        if (atomic_load_explicit(&r->h->table[index].claim, memory_order_acquire) != dead[index]) {
            dead[index] = 0;
            continue;
        }
        uint64_t lap = mpmc_lap(first), next = mpmc_word(MPMC_EMPTY, lap + 1, 0, 0), to = next;
        uint32_t len = mpmc_run(first);
        if (len == 0)
            len = 1;
        if (len > r->capacity - slot)
            len = r->capacity - slot;
        if (phase == MPMC_READING || phase == MPMC_REREADING) {
            to = mpmc_word(MPMC_REDELIVER, lap, 0, mpmc_deaths(first) + 1);
            if (count < 8) {
                given[count][0] = slot;
                given[count][1] = len;
            }
            count += count < 9;
        }
        for (uint32_t other = slot + len - 1; other > slot; other--) { /* the last first */
            uint64_t word = mpmc_load(r, other);
            if (word == mpmc_word(MPMC_FULL, lap, 0, 0) ||
                (phase == MPMC_WRITING && word == mpmc_word(MPMC_EMPTY, lap, 0, 0)))
                mpmc_swap(r, other, word, to);
        }
        mpmc_swap(r, slot, first, to);
        if (end < slot + len)
            end = slot + len;
    }
    return count;
}

/* Recovers what the dead left, and says how many handles that were. One question for each process whose handles
 * follow each other in the table, and one pass through the slots. */
static inline uint32_t mpmc_recover(struct mpmc *r)
{
    uint64_t dead[MPMC_PARTICIPANTS] = {0}, last = 0;
    uint32_t given[8][2], found = 0;
    int any = 0, last_is_dead = 0;
    for (uint32_t index = 0; index < r->participants; index++) {
        uint64_t claim = atomic_load_explicit(&r->h->table[index].claim, memory_order_acquire);
        if (claim == 0)
            continue;
        if (claim != last) {
            last = claim;
            last_is_dead = mpmc_is_dead(r, claim);
        }
        if (last_is_dead) {
            dead[index] = claim;
            any = 1;
        }
    }
    if (!any)
        return 0;
    for (uint32_t index = 0; index < r->participants; index++)
        if (dead[index] != 0)
            atomic_fetch_add(&r->h->table[index].unsure, 2);
    int count = mpmc_sweep(r, dead, given);
    for (uint32_t index = 0; index < r->participants; index++) /* another recovery, or the dead one giving items back */
        if (dead[index] != 0 && atomic_load(&r->h->table[index].unsure) != 2)
            count = 9;
    if (count == 9)
        mpmc_announce(r, 0, 0);
    else
        for (int i = 0; i < count; i++)
            mpmc_announce(r, given[i][0], given[i][1]);
    for (uint32_t index = 0; index < r->participants; index++) {
        struct mpmc_entry *entry = &r->h->table[index];
        uint64_t claim = dead[index], who = atomic_load_explicit(&entry->who, memory_order_acquire);
        if (claim == 0 || atomic_load_explicit(&entry->claim, memory_order_acquire) != claim)
            continue;
        atomic_compare_exchange_strong(&entry->who, &who, 0); /* not taken for the next holder's */
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
    if (!token_is_current(r->token)) {
        errno = EPERM;
        return -1;
    }
    h->ring = r;
    h->role = role;
    for (int again = 0; again < 2; again++) {
        for (uint32_t index = 0; index < r->participants; index++) {
            struct mpmc_entry *entry = &r->h->table[index];
            uint64_t free = 0;
            if (atomic_load_explicit(&entry->claim, memory_order_acquire) != 0 ||
                !atomic_compare_exchange_strong(&entry->claim, &free, r->token))
                continue;
            uint64_t generation = atomic_load_explicit(&entry->generation, memory_order_acquire) + 1, who;
            uint32_t said[2] = {(uint32_t)role | (uint32_t)generation << 2, (uint32_t)getpid()};
            memcpy(&who, said, sizeof who);
            atomic_store_explicit(&entry->generation, generation, memory_order_release);
            atomic_store_explicit(&entry->unsure, 0, memory_order_release);
            atomic_store_explicit(&entry->since, (uint64_t)time(NULL), memory_order_release);
            atomic_store_explicit(&entry->who, who, memory_order_release);
            /* Only now: a scan of the table that has counted this one finds its entry taken. */
            atomic_fetch_add(role == MPMC_PRODUCER ? &r->h->producers_arrived : &r->h->consumers_arrived, 1);
            h->entry = index;
            h->epoch = atomic_load_explicit(&r->h->epoch, memory_order_acquire);
            h->owes_all = h->epoch >= MPMC_NOTES;
            h->epoch = h->owes_all ? h->epoch - (MPMC_NOTES - 1) : 0;
            mpmc_from_first_slot(h);
            return 0;
        }
        mpmc_recover(r);
    }
    errno = EBUSY;
    return -1;
}

/* Frees the entry. The handle has no run claimed any more. In a forked child it is the parent's, and stays. */
static inline void mpmc_leave(struct mpmc_handle *h)
{
    struct mpmc_entry *entry = &h->ring->h->table[h->entry];
    uint64_t mine = h->ring->token;
    if (!token_is_current(mine))
        return;
    atomic_store_explicit(&entry->who, 0, memory_order_release);
    atomic_compare_exchange_strong(&entry->claim, &mine, 0);
    mpmc_wake_all(h->ring);
}

/* Detaches the ring. Its handles have left. */
static inline void mpmc_detach(struct mpmc *r)
{
    shmdt(r->h);
    r->h = NULL;
}

static inline void mpmc_advance(struct mpmc_handle *h, uint32_t by)
{
    h->slot += by;
    if (h->slot >= h->ring->capacity) {
        h->slot = 0;
        h->lap = (h->lap + 1) & MPMC_LAP_MASK;
    }
}

static inline _Atomic uint64_t *mpmc_hint(struct mpmc_handle *h)
{
    return h->role == MPMC_PRODUCER ? &h->ring->h->producers_hint : &h->ring->h->consumers_hint;
}

/* Claims slots from this one on, of which the first holds an unclaimed word, if it still does. */
static inline int mpmc_take(struct mpmc_handle *h, uint32_t slot, uint64_t word, uint32_t len, struct mpmc_run *run)
{
    int phase = mpmc_phase(word);
    int to = phase == MPMC_EMPTY ? MPMC_WRITING : phase == MPMC_FULL ? MPMC_READING : MPMC_REREADING;
    uint32_t field = phase == MPMC_REDELIVER ? mpmc_deaths(word) : len;
    if (!mpmc_swap(h->ring, slot, word, mpmc_word(to, mpmc_lap(word), h->entry, field)))
        return 0;
    *run = (struct mpmc_run){mpmc_lap(word), slot, len, mpmc_deaths(word)};
    return 1;
}

/* Claims by looking from the position on: 1 claimed, 0 nothing now, -1 nonsense. */
static inline int mpmc_look(struct mpmc_handle *h, uint32_t wanted, struct mpmc_run *run)
{
    struct mpmc *r = h->ring;
    int pushes = h->role == MPMC_PRODUCER, repositioned = 0, has_asked_hint = 0;
    /* Four times round is more than any honest distance. */
    for (uint64_t steps = (uint64_t)r->capacity * 4 + 64; steps > 0; steps--) {
        uint64_t word = mpmc_load(r, h->slot);
        int phase = mpmc_phase(word);
        int64_t ahead = mpmc_ahead(mpmc_lap(word), h->lap);
        if (phase > MPMC_REREADING)
            goto nonsense;
        if (ahead > 0) { /* it has left the lap: behind it, as far as all of this role must have got */
            if (pushes)
                h->lap = (mpmc_lap(word) - 1) & MPMC_LAP_MASK;
            else if (ahead > 1)
                h->lap = (mpmc_lap(word) - 2) & MPMC_LAP_MASK;
            mpmc_advance(h, 1);
            if (!has_asked_hint) { /* or where another was lately */
                uint64_t hint = atomic_load_explicit(mpmc_hint(h), memory_order_acquire);
                uint32_t slot = hint & 0x7fffffff;
                int64_t laps = mpmc_ahead(hint >> 31, h->lap);
                has_asked_hint = 1;
                if (slot < r->capacity && (laps > 0 || (laps == 0 && slot > h->slot))) {
                    h->lap = hint >> 31;
                    h->slot = slot;
                }
            }
            continue;
        }
        if (mpmc_run(word) == 0 || mpmc_run(word) > r->capacity - h->slot)
            goto nonsense;
        int is_read = phase == MPMC_READING || phase == MPMC_DRAINED || phase == MPMC_REREADING;
        int claims = pushes ? ahead == 0 && phase == MPMC_EMPTY
                            : (ahead == 0 && (phase == MPMC_FULL || phase == MPMC_REDELIVER)) ||
                                  (ahead == -1 && phase == MPMC_REDELIVER);
        int passes = ahead == 0 && !claims && (pushes || is_read);
        int waits = pushes ? ahead == -1 && phase != MPMC_EMPTY
                           : (ahead == 0 && !claims && !passes) || (ahead == -1 && is_read);
        if (claims) {
            uint32_t most = wanted, len = 1;
            if (most > r->capacity - h->slot)
                most = r->capacity - h->slot;
            if (most > MPMC_MAX_RUN)
                most = MPMC_MAX_RUN;
            if (phase != MPMC_REDELIVER)
                while (len < most && mpmc_load(r, h->slot + len) == word)
                    len++;
            if (!mpmc_take(h, h->slot, word, len, run))
                continue;
            /* A redelivered item of the lap before: its slot in this lap is still to come. */
            if (ahead == 0) {
                uint32_t before = h->slot / MPMC_HINT_EVERY;
                mpmc_advance(h, len);
                if (h->slot / MPMC_HINT_EVERY != before || h->slot == 0) /* tells newcomers */
                    atomic_store_explicit(mpmc_hint(h), h->lap << 31 | h->slot, memory_order_release);
            }
            return 1;
        }
        if (passes) {
            mpmc_advance(h, mpmc_run(word));
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

static inline int mpmc_take_redelivered(struct mpmc_handle *h, uint32_t slot, struct mpmc_run *run)
{
    uint64_t word = mpmc_load(h->ring, slot);
    return mpmc_phase(word) == MPMC_REDELIVER && mpmc_take(h, slot, word, 1, run);
}

/* Claims a redelivered item: where the notes say, then, if a note was missed or says anywhere, in all slots. Goes on
 * where it stopped. */
static inline int mpmc_look_redelivered(struct mpmc_handle *h, struct mpmc_run *run)
{
    struct mpmc *r = h->ring;
    uint64_t steps = (uint64_t)r->capacity * 4 + 64;
    uint64_t now;
    while (steps > 0 && (now = atomic_load_explicit(&r->h->epoch, memory_order_acquire)) != h->epoch) {
        uint64_t note = atomic_load_explicit(&r->h->log[h->epoch % MPMC_NOTES], memory_order_acquire);
        uint32_t first = note >> 33, len = note >> 14 & MPMC_MAX_RUN;
        steps--;
        now = atomic_load_explicit(&r->h->epoch, memory_order_acquire);
        if (now - h->epoch >= MPMC_NOTES) { /* written again since, perhaps */
            h->epoch = now;
            h->done = 0;
            h->left = r->capacity;
            continue;
        }
        if ((note & 0x3fff) != ((h->epoch / MPMC_NOTES + 1) & 0x3fff) || len == 0 || first >= r->capacity) {
            h->left = r->capacity;
            len = 0;
        }
        if (len > r->capacity - first)
            len = len == 0 ? 0 : r->capacity - first;
        while (h->done < len && steps-- > 1)
            if (mpmc_take_redelivered(h, first + h->done++, run))
                return 1;
        if (h->done < len)
            return 0;
        h->epoch++;
        h->done = 0;
    }
    while (h->left > 0) {
        uint32_t slot = h->next;
        h->next = slot + 1 == r->capacity ? 0 : slot + 1;
        h->left--;
        if (mpmc_take_redelivered(h, slot, run))
            return 1;
    }
    return 0;
}

/* As mpmc_look; a consumer takes redelivered items first. */
static inline int mpmc_look_everywhere(struct mpmc_handle *h, uint32_t wanted, struct mpmc_run *run)
{
    int pops = h->role == MPMC_CONSUMER;
    if (pops && (h->left > 0 || atomic_load_explicit(&h->ring->h->epoch, memory_order_acquire) != h->epoch) &&
        mpmc_look_redelivered(h, run))
        return 1;
    int done = mpmc_look(h, wanted, run);
    if (done == 0 && pops && h->owes_all) {
        h->owes_all = 0;
        h->left = h->ring->capacity;
        return mpmc_look_redelivered(h, run);
    }
    return done;
}

/* Whether no handle of the ring has asked for the dead in the last 10 ms. Then this one does. */
static inline int mpmc_is_time_to_ask(struct mpmc_handle *h, uint64_t now)
{
    _Atomic uint64_t *asked = &h->ring->h->asked;
    uint64_t before = atomic_load_explicit(asked, memory_order_relaxed);
    return now - before >= 10 && atomic_compare_exchange_strong(asked, &before, now);
}

/* Claims up to wanted slots side by side, at least one: free ones, or ones with items. 1 done, 0 nothing now, -1
 * corrupted, or with errno EPERM in a forked child. At most every 10 ms it also looks for the dead. */
static inline int mpmc_try_claim(struct mpmc_handle *h, uint32_t wanted, struct mpmc_run *run)
{
    struct timespec time;
    errno = EPERM;
    if (!token_is_current(h->ring->token))
        return -1;
    errno = EPROTO;
    if (wanted == 0)
        return 0;
    int done = mpmc_look_everywhere(h, wanted, run);
    if (done != 0)
        return done;
    if (h->role == MPMC_CONSUMER) /* nothing to do: producers that wait for a quarter of the buffer may go on */
        mpmc_wake(&h->ring->h->producers_sleep, mpmc_quarter(h->ring));
    clock_gettime(CLOCK_REALTIME, &time);
    uint64_t now = (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
    int is_first = h->asked == 0;
    if (!is_first && now - h->asked < 10)
        return 0;
    h->asked = now;
    if (is_first || mpmc_is_time_to_ask(h, now)) /* a newcomer finds what was left before it came */
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
    int gives_back = count < run->len;
    if (gives_back) /* if it is killed before it could tell, others find that here */
        atomic_store_explicit(&r->h->table[h->entry].unsure, 1, memory_order_release);
    for (uint32_t slot = end; slot > last; slot--)
        mpmc_store(r, slot - 1, mpmc_word(MPMC_REDELIVER, run->lap, 0, run->deaths));
    if (count > 1)
        mpmc_store(r, run->slot, mpmc_word(MPMC_DRAINED, run->lap, h->entry, count)); /* the pop */
    for (uint32_t slot = last; slot > run->slot; slot--)
        mpmc_store(r, slot - 1, mpmc_word(MPMC_EMPTY, run->lap + 1, 0, 0)); /* of a single one: the pop */
    if (gives_back) {
        mpmc_announce(r, last, run->len - count);
        atomic_store_explicit(&r->h->table[h->entry].unsure, 0, memory_order_release);
        mpmc_wake(&r->h->consumers_sleep, UINT32_MAX);
    }
    /* Waking a producer for each item would cost more than all the rest. */
    if (last == r->capacity || run->slot / quarter != last / quarter)
        mpmc_wake(&r->h->producers_sleep, quarter);
}

/* Pushes items side by side as one operation, as many as there is room for, at most 524,287. */
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

/* Pops items side by side as one operation, as many as there are, at most 524,287. */
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
