/* The lecture's producer: puts the numbers 1 to N (20 unless given) into a bounded buffer in shared memory.
 *
 *   cc bounded_buffer_producer.c -o producer && touch SYSUOS && ./producer 20
 *
 * The Rust program of the same name in this folder's parent is its twin: each works with the other's consumer. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include "bounded_buffer.h"

int main(int argc, char **argv)
{
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 20;
    key_t key = ftok("SYSUOS", 43);
    if (key == -1) {
        fprintf(stderr, "producer: ftok(SYSUOS): %s\n", strerror(errno));
        return 1;
    }
    int id = shmget(key, sizeof(struct bounded_buffer), IPC_CREAT | 0600);
    if (id == -1) {
        fprintf(stderr, "producer: shmget: %s\n", strerror(errno));
        return 1;
    }
    struct bounded_buffer *b = shmat(id, NULL, 0);
    if (b == (void *)-1) {
        fprintf(stderr, "producer: shmat: %s\n", strerror(errno));
        return 1;
    }
    for (long next = 1; next <= count; next++) {
        bounded_buffer_produce(b, (item)next);
        if (count <= 100)
            printf("produced: %ld\n", next);
    }
    /* The segment goes when everything has been consumed. */
    while (*(volatile int *)&b->in != *(volatile int *)&b->out)
        sched_yield();
    shmctl(id, IPC_RMID, NULL);
    shmdt(b);
    return 0;
}
