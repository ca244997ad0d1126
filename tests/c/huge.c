/* Creates a segment of unreserved huge pages under a key, prints its id, and when told to prints the four bytes at its start. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/shm.h>

int main(int argc, char **argv) {
    char line[16];
    if (argc != 3)
        return 2;
    int id = shmget(atoi(argv[1]), strtoul(argv[2], NULL, 10), IPC_CREAT | IPC_EXCL | SHM_HUGETLB | SHM_NORESERVE | 0600);
    if (id == -1)
        return 1;
    printf("%d\n", id);
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL)
        return 0;
    const volatile char *base = shmat(id, NULL, SHM_RDONLY);
    if (base == (void *)-1)
        return 1;
    printf("%c%c%c%c\n", base[0], base[1], base[2], base[3]);
    return 0;
}
