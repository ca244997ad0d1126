/* Participants of rings of sysvshm::bounded_buffer::mpmc, in C. Items are 64-bit numbers: a name in the upper
 * half, a running number in the lower.
 *
 *   cc -std=c11 -O2 mpmc_peer.c -o mpmc_peer
 *   ./mpmc_peer produce ID NAME COUNT BATCH      pushes NAME:0 to NAME:COUNT-1
 *   ./mpmc_peer relay FROM TO BATCH              moves items from one ring to another until it has moved all ones
 *   ./mpmc_peer hold ID WRITE READ               claims slots to write and to read, says "holding", is to be killed
 *   ./mpmc_peer fill ID SIZE ALIGN COUNT         pushes items of any size: byte j of item i is 31 * i + j
 *   ./mpmc_peer halve ID WRITE READ              claims them, pushes and pops all but one of them, and leaves
 *   ./mpmc_peer fork ID ITEM 0                   is to be killed; its child tries its parent's handle, makes one of its
 *                                                own, says "refused", and pushes ITEM when the parent has gone
 *   ./mpmc_peer again ID ROUNDS 0                attaches, enters, leaves and detaches as often
 *   ./mpmc_peer poll ID COUNT 0                  finds nothing as often, each time as if it were the first; says how
 *                                                many microseconds of processor time that took
 *
 * ID, FROM and TO are identifiers of segments, as `ipcs -m` prints them. */
#include "mpmc.h" /* first: it says which functions of the system are wanted */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void open_ring(struct mpmc *ring, const char *id)
{
    if (mpmc_attach(ring, atoi(id), sizeof(uint64_t), _Alignof(uint64_t)) == -1)
        fail("mpmc_peer: attach");
}

static void enter(struct mpmc *ring, struct mpmc_handle *h, int role)
{
    if (mpmc_enter(ring, h, role) == -1)
        fail("mpmc_peer: enter");
}

/* Pushes all of them, waiting for room. */
static void push(struct mpmc_handle *h, const uint64_t *items, uint32_t count)
{
    while (count > 0) {
        int done = mpmc_try_push(h, items, count);
        if (done == -1)
            fail("mpmc_peer: push: corrupted");
        if (done == 0)
            sched_yield();
        items += done;
        count -= (uint32_t)done;
    }
}

/* What a forked child may do: nothing with what it has from its parent, everything with what is its own. */
static void go_on_as_child(struct mpmc *ring, struct mpmc_handle *inherited, const char *id, uint64_t item, pid_t parent)
{
    struct mpmc own;
    struct mpmc_handle in;
    if (mpmc_try_push(inherited, &item, 1) != -1 || errno != EPERM)
        fail("mpmc_peer: the parent's handle works");
    if (mpmc_enter(ring, &in, MPMC_PRODUCER) != -1 || errno != EPERM)
        fail("mpmc_peer: the parent's ring works");
    mpmc_leave(inherited); /* does nothing */
    open_ring(&own, id);
    enter(&own, &in, MPMC_PRODUCER);
    printf("refused\n");
    fflush(stdout);
    while (getppid() == parent)
        usleep(1000);
    push(&in, &item, 1);
    mpmc_leave(&in);
}

int main(int argc, char **argv)
{
    struct mpmc one, two;
    struct mpmc_handle in, out;
    struct mpmc_run run;
    uint64_t items[64];
    if (argc < 5) {
        fprintf(stderr, "usage: mpmc_peer produce|relay|fill|hold|halve|fork|again|poll ...\n");
        return 2;
    }
    if (strcmp(argv[1], "produce") == 0 && argc == 6) {
        uint64_t name = strtoull(argv[3], NULL, 10), count = strtoull(argv[4], NULL, 10), batch = strtoull(argv[5], NULL, 10);
        open_ring(&one, argv[2]);
        enter(&one, &in, MPMC_PRODUCER);
        for (uint64_t n = 0; n < count;) {
            uint32_t len = 0;
            while (len < batch && len < 64 && n < count)
                items[len++] = name << 32 | n++;
            push(&in, items, len);
        }
        mpmc_leave(&in);
    } else if (strcmp(argv[1], "relay") == 0) {
        uint32_t batch = (uint32_t)atoi(argv[4]);
        int stop = 0;
        open_ring(&one, argv[2]);
        open_ring(&two, argv[3]);
        enter(&one, &out, MPMC_CONSUMER);
        enter(&two, &in, MPMC_PRODUCER);
        while (!stop) {
            int len = mpmc_try_pop(&out, items, batch < 64 ? batch : 64);
            if (len == -1)
                fail("mpmc_peer: pop: corrupted");
            if (len == 0)
                sched_yield();
            for (int i = 0; i < len; i++)
                stop |= items[i] == UINT64_MAX;
            push(&in, items, (uint32_t)len);
        }
        mpmc_leave(&out);
        mpmc_leave(&in);
    } else if (strcmp(argv[1], "fill") == 0 && argc == 6) {
        size_t size = strtoull(argv[3], NULL, 10), count = strtoull(argv[5], NULL, 10);
        unsigned char *bytes = malloc(size * count);
        if (bytes == NULL || mpmc_attach(&one, atoi(argv[2]), size, strtoull(argv[4], NULL, 10)) == -1)
            fail("mpmc_peer: fill");
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < size; j++)
                bytes[i * size + j] = (unsigned char)(31 * i + j);
        enter(&one, &in, MPMC_PRODUCER);
        if (mpmc_try_push(&in, bytes, (uint32_t)count) != (int)count)
            fail("mpmc_peer: fill: no room");
        mpmc_leave(&in);
        free(bytes);
    } else if (strcmp(argv[1], "hold") == 0 || strcmp(argv[1], "halve") == 0) {
        uint32_t writes = (uint32_t)atoi(argv[3]), reads = (uint32_t)atoi(argv[4]);
        int holds = strcmp(argv[1], "hold") == 0;
        open_ring(&one, argv[2]);
        if (writes > 0) {
            enter(&one, &in, MPMC_PRODUCER);
            if (mpmc_try_claim(&in, writes, &run) != 1 || run.len != writes)
                fail("mpmc_peer: no room");
            for (uint32_t i = 0; i < run.len; i++)
                *(uint64_t *)mpmc_item(&one, run.slot + i) = 1000 + i;
            if (!holds)
                mpmc_publish(&in, &run, writes - 1);
        }
        if (reads > 0) {
            enter(&one, &out, MPMC_CONSUMER);
            if (mpmc_try_claim(&out, reads, &run) != 1 || run.len != reads)
                fail("mpmc_peer: no items");
            for (uint32_t i = 0; i < run.len; i++)
                printf("%llu\n", (unsigned long long)*(uint64_t *)mpmc_item(&one, run.slot + i));
            if (!holds)
                mpmc_release(&out, &run, reads - 1);
        }
        if (holds) {
            printf("holding\n");
            fflush(stdout);
            for (;;)
                pause();
        }
        if (writes > 0)
            mpmc_leave(&in);
        if (reads > 0)
            mpmc_leave(&out);
    } else if (strcmp(argv[1], "fork") == 0) {
        open_ring(&one, argv[2]);
        enter(&one, &in, MPMC_PRODUCER);
        pid_t parent = getpid(), child = fork();
        if (child == -1)
            fail("mpmc_peer: fork");
        while (child != 0)
            pause();
        go_on_as_child(&one, &in, argv[2], strtoull(argv[3], NULL, 10), parent);
    } else if (strcmp(argv[1], "again") == 0) {
        for (int round = atoi(argv[3]); round > 0; round--) {
            open_ring(&one, argv[2]);
            enter(&one, &in, MPMC_PRODUCER);
            mpmc_leave(&in);
            mpmc_detach(&one);
        }
    } else if (strcmp(argv[1], "poll") == 0) {
        open_ring(&one, argv[2]);
        enter(&one, &out, MPMC_CONSUMER);
        clock_t before = clock();
        for (int polls = atoi(argv[3]); polls > 0; polls--) {
            out.asked = 0;
            if (mpmc_try_pop(&out, items, 1) != 0)
                fail("mpmc_peer: poll");
        }
        printf("%lld\n", (long long)(clock() - before) * 1000000 / CLOCKS_PER_SEC);
        mpmc_leave(&out);
    } else {
        return 2;
    }
    printf("done\n");
    return 0;
}
