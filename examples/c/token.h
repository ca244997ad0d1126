/* How the rings of sysvshm know whether a participant lives: for spsc.h and mpmc.h. C11, Linux.
 *
 * Each process that takes part attaches one tiny private segment, its token, and marks it for removal at once. The
 * kernel destroys it with the process's memory, however that ends; shmctl(IPC_STAT) on its identifier is the test
 * of life. What stands in shared memory is a claim: bits 0-30 identifier of the token, 31-47 low bits of its
 * creation time, 48-63 its size in bytes. */
#ifndef SYSVSHM_TOKEN_H
#define SYSVSHM_TOKEN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/shm.h>

static inline uint64_t token_claim(int id, time_t created, size_t nonce)
{
    return (uint64_t)nonce << 48 | ((uint64_t)created & 0x1ffff) << 31 | (uint64_t)(id & 0x7fffffff);
}

/* Whether the process with this claim lives: its token exists as long as its memory. */
static inline int token_lives(uint64_t claim)
{
    struct shmid_ds ds;
    int id = claim & 0x7fffffff;
    return shmctl(id, IPC_STAT, &ds) == 0 && token_claim(id, ds.shm_ctime, ds.shm_segsz) == claim;
}

/* One tiny private segment that only this process attaches and that is marked at once: the claim, or 0 with errno.
 * A forked child does not have its parent's token and makes one of its own. */
static inline uint64_t token_make(void)
{
    for (;;) {
        uint16_t nonce;
        struct shmid_ds ds;
        if (getrandom(&nonce, sizeof nonce, 0) != sizeof nonce)
            return 0;
        if (nonce == 0)
            continue;
        int id = shmget(IPC_PRIVATE, nonce, 0444 | IPC_CREAT | SHM_NORESERVE);
        if (id == -1)
            return 0;
        void *at = shmat(id, NULL, SHM_RDONLY);
        if (at == (void *)-1) {
            shmctl(id, IPC_RMID, NULL);
            return 0;
        }
        int bad = madvise(at, nonce, MADV_DONTFORK) == -1 || shmctl(id, IPC_STAT, &ds) == -1;
        bad |= shmctl(id, IPC_RMID, NULL) == -1;
        if (bad)
            return 0;
        if (ds.shm_nattch != 1) { /* a fork came between */
            shmdt(at);
            continue;
        }
        return shmctl(id, IPC_STAT, &ds) == -1 ? 0 : token_claim(id, ds.shm_ctime, ds.shm_segsz);
    }
}

#endif
