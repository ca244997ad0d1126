/* The lecture's bounded buffer, as C programs share it with each other and with sysvshm::bounded_buffer::lecture.
 *
 * Define before including, if the defaults will not do:
 *   BUFFER_SIZE      positions; one less is how many items fit          (10)
 *   item             what is in them                                    (typedef int item)
 *   BUFFER_INDEX     the type of in and out                             (int)
 *
 * BUFFER_INDEX decides whether optimised programs work:
 *   int              only without optimisation: at -O2 the waiting loops load the other index once and never end
 *   volatile int     on x86 at any level; on Arm an item may become visible after the index that announces it
 *   _Atomic int      everywhere
 */
#ifndef BOUNDED_BUFFER_H
#define BOUNDED_BUFFER_H

#ifndef BUFFER_SIZE
#define BUFFER_SIZE 10
#endif
#ifndef item
typedef int bounded_buffer_item;
#define item bounded_buffer_item
#endif
#ifndef BUFFER_INDEX
#define BUFFER_INDEX int
#endif

struct bounded_buffer {
    item buffer[BUFFER_SIZE];
    BUFFER_INDEX in;  /* next free position, written by the producer */
    BUFFER_INDEX out; /* first full position, written by the consumer */
};

/* While the buffer is full, do nothing; then put the item in. */
static inline void bounded_buffer_produce(struct bounded_buffer *b, item next_produced)
{
    while (((b->in + 1) % BUFFER_SIZE) == b->out)
        ; /* do nothing -- no free buffers */
    b->buffer[b->in] = next_produced;
    b->in = (b->in + 1) % BUFFER_SIZE;
}

/* While the buffer is empty, do nothing; then take an item out. */
static inline item bounded_buffer_consume(struct bounded_buffer *b)
{
    item next_consumed;

    while (b->in == b->out)
        ; /* do nothing -- nothing to consume */
    next_consumed = b->buffer[b->out];
    b->out = (b->out + 1) % BUFFER_SIZE;
    return next_consumed;
}

#endif
