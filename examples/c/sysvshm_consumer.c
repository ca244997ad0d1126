/*
 * The consumer as a C program of the lecture would have it. Run it while a producer sleeps, in C or in Rust.
 *
 *     cc -o sysvshm_consumer sysvshm_consumer.c
 *     ./sysvshm_consumer
 *
 * As in a lecture nothing is checked: without a producer, shmat returns (void *)-1 and the loop faults.
 */
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#define LEN 5

int main(void)
{
    key_t key = ftok("SYSUOS", 42);
    int id = shmget(key, LEN * sizeof(int), 0666);
    int *arr = shmat(id, NULL, 0);

    printf("Child read from shared memory: %p\n", (void *)arr);
    for (int i = 0; i < LEN; i++)
        printf("%d ", arr[i]);
    printf("\n");

    shmdt(arr); /* removing is the producer's part */
    return 0;
}
