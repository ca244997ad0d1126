/* The lecture's buffer in C, compiled once for each size of item, number of positions and type of index:
 *
 *   ITEM_BYTES, BUFFER_SIZE, BUFFER_INDEX, PREFIX
 *
 * The loops are the header's own, busy and without a pause, as taught. */
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t words[ITEM_BYTES / 8];
} item_type;
#define item item_type
#include "bounded_buffer.h"

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
#define NAME(what) JOIN(PREFIX, what)

size_t NAME(_bytes)(void)
{
    return sizeof(struct bounded_buffer);
}

void NAME(_produce)(struct bounded_buffer *b, const item *next_produced)
{
    bounded_buffer_produce(b, *next_produced);
}

void NAME(_consume)(struct bounded_buffer *b, item *next_consumed)
{
    *next_consumed = bounded_buffer_consume(b);
}

void NAME(_produce_run)(struct bounded_buffer *b, uint64_t first, uint64_t count)
{
    for (uint64_t number = first; number != first + count; number++) {
        item next_produced;
        for (size_t word = 0; word < ITEM_BYTES / 8; word++)
            next_produced.words[word] = number;
        bounded_buffer_produce(b, next_produced);
    }
}

/* How many came as expected before the first that did not. */
uint64_t NAME(_consume_run)(struct bounded_buffer *b, uint64_t first, uint64_t count)
{
    for (uint64_t number = first; number != first + count; number++) {
        item next_consumed = bounded_buffer_consume(b);
        uint64_t wrong = 0;
        for (size_t word = 0; word < ITEM_BYTES / 8; word++)
            wrong |= next_consumed.words[word] ^ number;
        if (wrong)
            return number - first;
    }
    return count;
}
