/* xsend.c -- sends one file to a running xrecv:  xsend FILE */
#include "transfer.h"

int main(int argc, char **argv)
{
    const char *name;
    long number = 0, bytes = 0;
    int in, length;

    if (argc != 2 || (in = open(argv[1], O_RDONLY)) == -1) {
        fprintf(stderr, "usage: xsend FILE\n");
        return 2;
    }
    if (join(0) == -1) {
        say("xsend");
        return 1;
    }
    name = strrchr(argv[1], '/') ? strrchr(argv[1], '/') + 1 : argv[1];
    do {
        if (wait_for(SEM_EMPTY, 1) == -1) {
            say("xsend");
            return 1;
        }
        if (number == 0)
            snprintf(p->name, NAMELEN, "%s", name);
        length = read(in, p->block, BLOCK);
        if (length == -1) {
            say("xsend");
            return 1;
        }
        p->length = length;
        p->number = ++number;
        bytes += length;
        change(SEM_FULL, 1, 0);
    } while (length > 0);
    printf("xsend: %ld bytes sent\n", bytes);
    return 0;
}
