/* A peer of cells.rs: cells ID KIND ROLE, where KIND is c (committed) or s (sequence lock). The value is 6 words that
 * count up by one from the first.
 *
 * write: takes the role, says so, and writes until killed.   once: takes the role, writes one value, gives it back.
 * read: reads 2000 whole values and says whether they were.   dead: says whether the writer is. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "cells.h"

enum { WORDS = 6 };

struct cell {
    _Alignas(8) uint64_t words[2];
    uint64_t copies[CELL_COPIES][WORDS];
};

static void store(struct cell *cell, char kind, uint64_t first)
{
    uint64_t value[WORDS];
    for (int i = 0; i < WORDS; i++)
        value[i] = first + i;
    if (kind == 'c')
        committed_store(cell->words, cell->copies, value, sizeof value);
    else
        sequence_locked_store(cell->words, cell->copies, value, sizeof value);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    char kind = argv[2][0];
    struct cell *cell = shmat(atoi(argv[1]), NULL, 0);
    struct cell_segment segment;
    if (cell == (void *)-1 || !cell_segment_of(&segment, atoi(argv[1])))
        return 3;
    if (argv[3][0] == 'd') {
        puts(cell_writer_is_dead(cell->words, &segment) ? "dead" : "not known to be dead");
        return 0;
    }
    if (argv[3][0] == 'r') {
        uint64_t value[WORDS];
        for (int seen = 0; seen < 2000;) {
            int whole = kind == 'c' ? committed_try_load(cell->words, cell->copies, value, sizeof value)
                                    : sequence_locked_try_load(cell->words, cell->copies, value, sizeof value);
            if (!whole)
                continue;
            seen++;
            for (int i = 1; value[0] != 0 && i < WORDS; i++)
                if (value[i] != value[0] + i)
                    return 4;
        }
        puts("whole");
        return 0;
    }
    uint64_t claim = token_make();
    if (claim == 0 || !cell_take(cell->words, claim, &segment)) {
        puts("taken");
        return 0;
    }
    puts("at work");
    fflush(stdout);
    if (argv[3][0] == 'o') {
        store(cell, kind, 1000);
        cell_give_back(cell->words, claim);
        return 0;
    }
    for (uint64_t first = 1;; first++) {
        store(cell, kind, first);
        /* A writer that never pauses lets no reader of a sequence lock finish. */
        for (volatile unsigned i = 0; i < first % 64; i++)
            ;
    }
}
