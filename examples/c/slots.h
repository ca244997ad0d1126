/* Where the slots of both rings lie: for spsc.h and mpmc.h. The rule is that of Layout in sysvshm::bounded_buffer. */
#ifndef SYSVSHM_SLOTS_H
#define SYSVSHM_SLOTS_H

#include <stddef.h>
#include <stdint.h>

struct slots {
    size_t words, word_stride, items, item_stride; /* offsets and strides */
};

static inline size_t slots_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* The slots behind the first `front` bytes of a segment of `bytes`; variant 0 is interleaved, 1 contiguous. 0, or -1
 * if they do not fit. Nothing here goes round: the caller has seen that there are at most bytes / 8 slots. */
static inline int slots_place(struct slots *s, uint32_t variant, size_t front, uint64_t capacity, size_t item_size,
                              size_t item_align, size_t bytes)
{
    size_t to_item = item_align > 8 ? item_align : 8, slot = to_item;
    if (variant == 0) {
        if (to_item + item_size > 64 || item_size >= 256) /* slots larger than a cache line share none */
            slot = item_align > 64 ? item_align : 64;
        if (item_size >= 256)
            to_item = slot;
        s->words = slots_up(front, slot > 128 ? slot : 128);
        s->items = s->words + to_item;
        s->word_stride = s->item_stride = slots_up(to_item + item_size, slot);
    } else {
        s->words = slots_up(front, 128);
        s->word_stride = 8;
        s->items = slots_up(s->words + capacity * 8, item_align > 128 ? item_align : 128);
        s->item_stride = item_size;
    }
    /* The items are the last. By a division: a product may be too large for its type. */
    size_t first = variant == 0 ? s->words : s->items;
    return first > bytes || capacity > (bytes - first) / s->item_stride ? -1 : 0;
}

/* The same for a ring whose header says `found_align`: it may be another than `item_align` if no slot lies elsewhere for
 * it. A 32-bit compiler aligns a uint64_t to 4 bytes, and passes its own _Alignof. */
static inline int slots_agree(struct slots *s, uint32_t variant, size_t front, uint64_t capacity, size_t item_size,
                              size_t item_align, uint32_t found_align, size_t bytes)
{
    struct slots found;
    if (found_align == 0 || (found_align & (found_align - 1)) != 0 || found_align > 4096)
        return -1;
    if (slots_place(s, variant, front, capacity, item_size, item_align, bytes) == -1 ||
        slots_place(&found, variant, front, capacity, item_size, found_align, bytes) == -1)
        return -1;
    return s->words == found.words && s->word_stride == found.word_stride && s->items == found.items &&
                   s->item_stride == found.item_stride
               ? 0
               : -1;
}

#endif
