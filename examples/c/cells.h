/* The cells of sysvshm, sysvshm::memory::cell: values of any size that readers never see half written. C11, Linux.
 *
 *   struct committed       { _Alignas(8) uint64_t version, writer;  T copies[4]; };   whole, whoever is killed
 *   struct sequence_locked { _Alignas(8) uint64_t sequence, writer; T value; };       lost with a writer that is killed
 *
 * Zeroed memory is a cell whose value is zero. One process writes at a time: cell_take before, cell_give_back after.
 * The calls get the address of the two words, that of the copies or the value, and the size of one T. Whether a writer
 * lives is asked of the segment that they lie in. */
#ifndef SYSVSHM_CELLS_H
#define SYSVSHM_CELLS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include "token.h"

enum { CELL_COPIES = 4 };

static inline _Atomic uint64_t *cell_word(uint64_t *words, int index)
{
    return (_Atomic uint64_t *)&words[index];
}

/* The other side may write meanwhile, so each byte is an atomic access. */
static inline void cell_copy(void *to, const void *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        __atomic_store_n((char *)to + i, __atomic_load_n((const char *)from + i, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
}

/* The segment that a cell lies in, as it was when this process had just attached it. */
struct cell_segment {
    int id;
    size_t bytes;
    pid_t creator;
};

/* 1, or 0 with errno. */
static inline int cell_segment_of(struct cell_segment *segment, int id)
{
    struct shmid_ds ds;
    if (shmctl(id, IPC_STAT, &ds) == -1)
        return 0;
    *segment = (struct cell_segment){ id, ds.shm_segsz, ds.shm_cpid };
    return 1;
}

static inline int cell_is_dead(uint64_t claim, const struct cell_segment *segment)
{
    return token_is_dead(claim, segment->id, segment->bytes, segment->creator);
}

/* Takes the role of the writer with a claim from token_make: 1, or 0 if a process that lives has it. */
static inline int cell_take(uint64_t *words, uint64_t claim, const struct cell_segment *segment)
{
    _Atomic uint64_t *writer = cell_word(words, 1);
    uint64_t holder = atomic_load_explicit(writer, memory_order_acquire);
    if (holder != 0 && !cell_is_dead(holder, segment))
        return 0;
    return atomic_compare_exchange_strong(writer, &holder, claim);
}

static inline void cell_give_back(uint64_t *words, uint64_t claim)
{
    atomic_compare_exchange_strong(cell_word(words, 1), &claim, 0);
}

/* The last store is the write: killed before it, it never happened. */
static inline void committed_store(uint64_t *words, void *copies, const void *value, size_t size)
{
    uint64_t next = atomic_load_explicit(cell_word(words, 0), memory_order_relaxed) + 1;
    atomic_thread_fence(memory_order_release); /* pairs with the reader's fence */
    cell_copy((char *)copies + next % CELL_COPIES * size, value, size);
    atomic_store_explicit(cell_word(words, 0), next, memory_order_release); /* with the reader's first load */
}

/* 1, or 0 if three whole writes overtook this attempt. */
static inline int committed_try_load(uint64_t *words, const void *copies, void *value, size_t size)
{
    uint64_t version = atomic_load_explicit(cell_word(words, 0), memory_order_acquire);
    cell_copy(value, (const char *)copies + version % CELL_COPIES * size, size);
    atomic_thread_fence(memory_order_acquire);
    uint64_t now = atomic_load_explicit(cell_word(words, 0), memory_order_relaxed);
    return now - version < CELL_COPIES - 1;
}

/* Odd already if a writer died in the middle: this write then completes what that one began. */
static inline void sequence_locked_store(uint64_t *words, void *shared, const void *value, size_t size)
{
    uint64_t odd = atomic_load_explicit(cell_word(words, 0), memory_order_relaxed) | 1;
    atomic_store_explicit(cell_word(words, 0), odd, memory_order_relaxed);
    atomic_thread_fence(memory_order_release); /* pairs with the reader's fence */
    cell_copy(shared, value, size);
    atomic_store_explicit(cell_word(words, 0), odd + 1, memory_order_release); /* with the reader's first load */
}

/* 1, or 0 if a write is under way or came between. Stays 0 if the writer died in the middle, until the next write:
 * see cell_writer_is_dead. */
static inline int sequence_locked_try_load(uint64_t *words, const void *shared, void *value, size_t size)
{
    uint64_t sequence = atomic_load_explicit(cell_word(words, 0), memory_order_acquire);
    if (sequence % 2)
        return 0;
    cell_copy(value, shared, size);
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(cell_word(words, 0), memory_order_relaxed) == sequence;
}

static inline int cell_writer_is_dead(uint64_t *words, const struct cell_segment *segment)
{
    uint64_t holder = atomic_load_explicit(cell_word(words, 1), memory_order_acquire);
    return holder != 0 && cell_is_dead(holder, segment);
}

#endif
