/* One side of a ring of sysvshm::bounded_buffer::spsc, in C: "produce" the numbers FROM to TO-1, or "consume" and
 * check them.
 *
 *   cc -std=c11 -O2 spsc_peer.c -o spsc_peer && ./spsc_peer produce ID FROM TO
 *
 * ID is the identifier of the segment, as `ipcs -m` prints it. With a fifth argument it keeps its role and stays, to
 * be killed. */
#include "spsc.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
    struct spsc ring;
    if (argc < 5) {
        fprintf(stderr, "usage: spsc_peer produce|consume|fork ID FROM TO [stay]\n");
        return 2;
    }
    int role = strcmp(argv[1], "produce") == 0 ? SPSC_PRODUCER : SPSC_CONSUMER;
    uint64_t from = strtoull(argv[3], NULL, 10), to = strtoull(argv[4], NULL, 10);
    if (spsc_attach(&ring, atoi(argv[2]), sizeof(uint64_t), _Alignof(uint64_t)) == -1) {
        perror("spsc_peer: attach");
        return 1;
    }
    if (spsc_claim(&ring, role) == -1) {
        perror("spsc_peer: claim");
        return 1;
    }
    if (strcmp(argv[1], "fork") == 0) { /* a child may not go on with what its parent has claimed */
        int status = 0;
        uint64_t item = 0;
        if (fork() == 0) {
            int refused = spsc_try_pop(&ring, &item) == -1 && errno == EPERM;
            spsc_release_role(&ring, role);
            _exit(refused ? 0 : 1);
        }
        wait(&status);
        struct spsc second;
        int is_kept = spsc_attach(&second, atoi(argv[2]), sizeof item, _Alignof(uint64_t)) == 0 &&
                      spsc_claim(&second, role) == -1 && errno == EBUSY;
        for (uint64_t n = from; n < to; n++) { /* one token is enough */
            spsc_release_role(&ring, role);
            if (spsc_claim(&ring, role) == -1) {
                perror("spsc_peer: claim");
                return 1;
            }
        }
        spsc_release_role(&ring, role);
        return status == 0 && is_kept ? 0 : 1;
    }
    for (uint64_t n = from; n < to; n++) {
        uint64_t item = n;
        int done;
        while ((done = role == SPSC_PRODUCER ? spsc_try_push(&ring, &item) : spsc_try_pop(&ring, &item)) == 0)
            sched_yield();
        if (done == -1 || item != n) {
            fprintf(stderr, "spsc_peer: %llu instead of %llu\n", (unsigned long long)item, (unsigned long long)n);
            return 1;
        }
    }
    printf("done\n");
    fflush(stdout);
    if (argc > 5)
        for (;;)
            pause();
    spsc_release_role(&ring, role);
    return 0;
}
