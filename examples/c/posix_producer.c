/*
 * The POSIX producer as a C program of the lecture would have it; examples/posix_consumer.rs reads what it leaves.
 *
 *     cc -o posix_producer posix_producer.c
 *     ./posix_producer
 *
 * As in a lecture nothing is checked.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE 4096

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "SYSUOS";
    int fd = shm_open(name, O_CREAT | O_RDWR, 0666);
    ftruncate(fd, SIZE);
    char *ptr = mmap(0, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    printf("ptr addr: %p\n", (void *)ptr);
    ptr += sprintf(ptr, "%s", "Hello, ");
    sprintf(ptr, "%s", "World!");
    return 0;
}
