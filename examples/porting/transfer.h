/*
 * transfer.h -- a file goes from xsend to xrecv through one block of shared memory and two semaphores.
 *
 * xrecv creates both, gives the semaphores their values (at every start, so a crash before does no harm), and waits.
 * Whichever of the two ends last removes them.
 */
#define _GNU_SOURCE             /* for semtimedop */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>

#define KEYFILE   "transfer.key"
#define PROJECT   'T'
#define NAMELEN   30
#define BLOCK     4096

#define SEM_EMPTY 0             /* 1: the block may be filled */
#define SEM_FULL  1             /* 1: the block may be emptied */

struct transfer {
    char  name[NAMELEN];        /* of the file, with its NUL */
    short length;               /* bytes in the block; 0 ends the file */
    long  number;               /* of the block, from 1 */
    char  block[BLOCK];
};

union semun {
    int val;
};

static int shmid = -1, semid = -1;
static struct transfer *p;
static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
    (void)sig;
    stop = 1;                   /* and the semop ends with EINTR */
}

static void say(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, stop ? "interrupted" : strerror(errno));
}

static int attached(void)
{
    struct shmid_ds ds;

    return shmctl(shmid, IPC_STAT, &ds) == -1 ? 0 : (int)ds.shm_nattch;
}

static int change(int num, int by, int flags)
{
    struct sembuf sb = { num, by, flags };
    struct timespec slice = { 0, 200 * 1000 * 1000 };

    return semtimedop(semid, &sb, 1, &slice);
}

/* Waits in slices: for a signal that came just before, and for the other side to be gone. */
static int wait_for(int num, int peer_has_come)
{
    while (change(num, -1, 0) == -1) {
        if (errno != EAGAIN && errno != EINTR)
            return -1;
        if (stop)
            return -1;
        if (peer_has_come && attached() == 1) {
            if (change(num, -1, IPC_NOWAIT) == 0)
                return 0;       /* its last act */
            errno = EPIPE;
            return -1;
        }
    }
    return 0;
}

/* For atexit: the last to leave removes both. */
static void leave(void)
{
    if (p != NULL)
        shmdt(p);
    if (shmid != -1 && attached() == 0) {
        shmctl(shmid, IPC_RMID, NULL);
        if (semid != -1)
            semctl(semid, 0, IPC_RMID);
    }
}

/* Attaches, with flags IPC_CREAT | 0600 or 0, and sees to it that leave runs. */
static int join(int flags)
{
    struct sigaction action;
    key_t key = ftok(KEYFILE, PROJECT);

    memset(&action, 0, sizeof action);  /* without SA_RESTART, which semop would ignore anyway */
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (key == -1 || (shmid = shmget(key, sizeof *p, flags)) == -1 || (semid = semget(key, 2, flags)) == -1)
        return -1;
    p = shmat(shmid, NULL, 0);
    if (p == (void *)-1) {
        p = NULL;
        return -1;
    }
    atexit(leave);
    return 0;
}
