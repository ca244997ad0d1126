/* Claims the consuming side of the ring with this identifier, from another IPC namespace than the ring's. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include "spsc.h"

int main(int argc, char **argv)
{
    struct spsc ring;
    if (argc != 2 || spsc_attach(&ring, atoi(argv[1]), 8, _Alignof(uint64_t)) == -1)
        return 1;
    if (spsc_claim(&ring, SPSC_CONSUMER) == 0 || errno != EBUSY)
        return 2;
    if (unshare(CLONE_NEWIPC) == -1)
        printf("no namespace\n");
    else
        printf("%s\n", spsc_claim(&ring, SPSC_CONSUMER) == 0 ? "claimed" : errno == EBUSY ? "busy" : strerror(errno));
    return 0;
}
