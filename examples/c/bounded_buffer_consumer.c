/* The lecture's consumer: takes N numbers (20 unless given) out of the bounded buffer and checks that they are 1 to
 * N.
 *
 *   cc bounded_buffer_consumer.c -o consumer && ./consumer 20        (after the producer, in the same folder) */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include "bounded_buffer.h"

int main(int argc, char **argv)
{
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 20;
    key_t key = ftok("SYSUOS", 43);
    if (key == -1) {
        fprintf(stderr, "consumer: ftok(SYSUOS): %s\n", strerror(errno));
        return 1;
    }
    int id = shmget(key, sizeof(struct bounded_buffer), 0);
    if (id == -1) {
        fprintf(stderr, "consumer: shmget: %s (start the producer first)\n", strerror(errno));
        return 1;
    }
    struct bounded_buffer *b = shmat(id, NULL, 0);
    if (b == (void *)-1) {
        fprintf(stderr, "consumer: shmat: %s\n", strerror(errno));
        return 1;
    }
    for (long next = 1; next <= count; next++) {
        long got = (long)bounded_buffer_consume(b);
        if (got != next) {
            fprintf(stderr, "consumer: %ld instead of %ld\n", got, next);
            return 1;
        }
        if (count <= 100)
            printf("consumed: %ld\n", got);
    }
    printf("%ld items in order\n", count);
    shmdt(b);
    return 0;
}
