/* How the rings of sysvshm know whether a participant lives: for spsc.h and mpmc.h. C11, Linux.
 *
 * Each process that takes part attaches one tiny private segment, its token, sets its mode to 0 so that no other one
 * attaches it, and marks it for removal. The kernel destroys it with the process's memory, however that ends;
 * shmctl(SHM_STAT_ANY) on its identifier, which asks for no permission, is the test of life. What stands in shared
 * memory is a claim: bits 0-30 identifier of the token, 31-62 its size in bytes, a random number.
 *
 * Bit 63 is set in the claim of a process that could have no token: bits 0-21 are its process id, 22-41 when it
 * started, 42-53 its pid namespace, 54-62 its time namespace. */
#ifndef SYSVSHM_TOKEN_H
#define SYSVSHM_TOKEN_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15 /* linux/shm.h, Linux 4.17 */
#endif
#ifndef IPC_INFO
#define IPC_INFO 3 /* linux/ipc.h */
#endif

static inline uint64_t token_claim(int id, uint32_t bytes)
{
    return (uint64_t)bytes << 31 | (uint64_t)(id & 0x7fffffff);
}

/* What one way of asking says of a segment: 1 it is there, 0 there is none, or the call is unknown; -1 not told. */
static inline int token_asked(int command, int id, uint64_t bytes, struct shmid_ds *ds)
{
    int found = shmctl(id, command, ds);
    if (found == -1)
        return errno == EINVAL || errno == EIDRM ? 0 : -1;
    /* SHM_STAT_ANY finds the slot by the low bits of the identifier and ignores the others. */
    return (command == IPC_STAT || found == id) && ds->shm_segsz == bytes;
}

/* Of a claim without token. A number that another process has by now counts as life. */
static inline int token_process_is_dead(uint64_t claim)
{
    struct stat pid, time;
    if (stat("/proc/self/ns/pid", &pid) == -1 || (pid.st_ino & 0xfff) != (claim >> 42 & 0xfff))
        return 0;
    if (stat("/proc/self/ns/time", &time) == 0 && (time.st_ino & 0x1ff) != (claim >> 54 & 0x1ff))
        return 0;
    return kill((pid_t)(claim & 0x3fffff), 0) == -1 && errno == ESRCH;
}

/* Whether the holder of a claim is dead, for a process that has this ring attached. A way of asking that does not
 * show the ring tells nothing: the thread may be in another IPC namespace, or a filter may answer. Doubt is life. */
static inline int token_is_dead(uint64_t claim, int ring, size_t bytes, pid_t creator)
{
    static const int commands[] = {SHM_STAT_ANY, IPC_STAT};
    struct shmid_ds ds;
    int id = claim & 0x7fffffff;
    if (claim >> 63)
        return token_process_is_dead(claim);
    for (int i = 0; i < 2; i++) {
        int told = token_asked(commands[i], id, claim >> 31, &ds);
        if (told == 1)
            return 0;
        if (told == 0 && token_asked(commands[i], ring, bytes, &ds) == 1 && ds.shm_cpid == creator)
            return token_asked(commands[i], id, claim >> 31, &ds) == 0;
    }
    return 0;
}

/* The largest token to make: of all pages that segments may have together at most a 65536th, or one page. */
static inline uint64_t token_most_bytes(uint64_t page)
{
    struct shminfo info;
    uint64_t most = 1 << 20;
    if (shmctl(0, IPC_INFO, (struct shmid_ds *)&info) == -1)
        return most;
    uint64_t pages = info.shmall >> 16 ? info.shmall >> 16 : 1;
    if (pages < most / page)
        most = pages * page;
    if (info.shmmax < most)
        most = info.shmmax ? info.shmmax : 1;
    return most;
}

/* One tiny private segment that only this process attaches and that is marked at once: the claim, or 0 with errno.
 * A forked child does not have its parent's token and makes one of its own. */
static inline uint64_t token_make(void)
{
    const uint64_t page = 4096; /* or more: it only bounds the size */
    for (uint64_t most = token_most_bytes(page);;) {
        uint32_t random;
        struct shmid_ds ds;
        if (getrandom(&random, sizeof random, 0) != sizeof random)
            return 0;
        uint32_t bytes = random % most + 1;
        int id = shmget(IPC_PRIVATE, bytes, 0400 | IPC_CREAT | SHM_NORESERVE);
        void *at = id == -1 ? (void *)-1 : shmat(id, NULL, SHM_RDONLY);
        if (at == (void *)-1) {
            int why = errno;
            if (id != -1)
                shmctl(id, IPC_RMID, NULL);
            errno = why;
            if (most <= page)
                return 0;
            most = page; /* some limit: a page is kept if anything can be */
            continue;
        }
        int bad = madvise(at, bytes, MADV_DONTFORK) == -1 || shmctl(id, IPC_STAT, &ds) == -1;
        if (!bad) {
            ds.shm_perm.mode = 0;
            shmctl(id, IPC_SET, &ds); /* refused in some user namespaces: 0400 keeps strangers out as well */
        }
        bad |= shmctl(id, IPC_RMID, NULL) == -1;
        if (bad || ds.shm_nattch != 1) { /* 1, unless a fork came between */
            int why = errno;
            shmdt(at);
            errno = why;
            if (bad)
                return 0;
            continue;
        }
        return token_claim(id, bytes);
    }
}

/* What a process keeps of its token: on a page that a fork leaves empty in the child, where the system can do that. */
struct token_page {
    uint64_t claim;
    pid_t pid; /* who made it; asked only where a fork copies the page */
    int is_wiped;
};

static struct token_page *token_kept;

/* Whether the claim is that of the running process, and not of the one that forked it. */
static inline int token_is_current(uint64_t claim)
{
    return token_kept != NULL && token_kept->claim == claim && (token_kept->is_wiped || token_kept->pid == getpid());
}

/* The claim of this process, made once however many rings it attaches: 0 with errno if it can have none. One thread
 * at a time. */
static inline uint64_t token_of_process(void)
{
    if (token_kept == NULL) {
        void *page = mmap(NULL, sizeof *token_kept, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED)
            return 0;
        token_kept = (struct token_page *)page;
        token_kept->is_wiped = madvise(page, sizeof *token_kept, MADV_WIPEONFORK) == 0;
    } else if (token_kept->pid == 0) {
        token_kept->is_wiped = 1; /* by the fork that made this process, and by the next */
    }
    if (token_kept->claim == 0 || !token_is_current(token_kept->claim)) {
        token_kept->claim = token_make();
        token_kept->pid = getpid();
    }
    return token_kept->claim;
}

#endif
