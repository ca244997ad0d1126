/* xrecv.c -- receives one file:  xrecv OUT */
#include "transfer.h"

int main(int argc, char **argv)
{
    union semun arg;
    long number = 0, bytes = 0;
    int out;

    if (argc != 2 || (out = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0666)) == -1) {
        fprintf(stderr, "usage: xrecv OUT\n");
        return 2;
    }
    if (join(IPC_CREAT | 0600) == -1) {
        say("xrecv");
        return 1;
    }
    arg.val = 1;
    semctl(semid, SEM_EMPTY, SETVAL, arg);
    arg.val = 0;
    semctl(semid, SEM_FULL, SETVAL, arg);
    puts("xrecv: ready");
    fflush(stdout);
    for (;;) {
        int length;

        if (wait_for(SEM_FULL, number != 0) == -1) {
            say("xrecv");
            return 1;
        }
        length = p->length;
        if (p->number != number + 1 || length < 0 || length > BLOCK || write(out, p->block, length) != length) {
            fprintf(stderr, "xrecv: block %ld after %ld, or a full disk\n", p->number, number);
            return 1;
        }
        number++;
        bytes += length;
        change(SEM_EMPTY, 1, 0);
        if (length == 0)
            break;
    }
    printf("xrecv: %.*s, %ld bytes\n", NAMELEN, p->name, bytes);
    return 0;
}
