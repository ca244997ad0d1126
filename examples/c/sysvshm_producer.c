/*
 * The producer as a C program of the lecture would have it: five numbers into shared memory, then a nap, then tidy
 * up. Its peer is sysvshm_consumer.c, or the Rust program of that name: the tests run each producer with the other's
 * consumer.
 *
 *     cc -o sysvshm_producer sysvshm_producer.c
 *     touch SYSUOS
 *     ./sysvshm_producer &
 *
 * As in a lecture nothing is checked. See examples/sysvshm_producer.rs for what each call may answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

#define LEN 5

int main(int argc, char *argv[])
{
    unsigned int seconds = argc > 1 ? (unsigned int)atoi(argv[1]) : 10;
    key_t key = ftok("SYSUOS", 42);
    int id = shmget(key, LEN * sizeof(int), IPC_CREAT | 0666);
    int *arr = shmat(id, NULL, 0);

    for (int i = 0; i < LEN; i++)
        arr[i] = i + 1;
    printf("Parent wrote to shared memory: %p\n", (void *)arr);
    fflush(stdout); /* a pipe would get the line only at exit */

    sleep(seconds); /* the consumer's chance */

    shmdt(arr);
    shmctl(id, IPC_RMID, NULL);
    return 0;
}
