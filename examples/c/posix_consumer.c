/*
 * The POSIX consumer as a C program of the lecture would have it; it reads what examples/posix_producer.rs leaves.
 *
 *     cc -o posix_consumer posix_consumer.c
 *     ./posix_consumer
 *
 * As in a lecture nothing is checked: without a producer, mmap returns (void *)-1 and printf faults.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define SIZE 4096

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "SYSUOS";
    int fd = shm_open(name, O_RDONLY, 0666);
    char *ptr = mmap(0, SIZE, PROT_READ, MAP_SHARED, fd, 0);

    printf("Read ptr: %s\n", ptr);
    shm_unlink(name);
    return 0;
}
