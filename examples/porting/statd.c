/*
 * statd.c -- keeps statistics.  Clients put records into shared memory.
 *
 *     touch statd.key; cc -o statd statd.c; ./statd
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/sem.h>
#include "statd.h"

static struct shared *p;
static int semid;

static void semadd(int num, int n)
{
    struct sembuf sb;

    sb.sem_num = num;
    sb.sem_op = n;
    sb.sem_flg = 0;
    semop(semid, &sb, 1);
}

int main(void)
{
    key_t key;
    int shmid, i, kind;
    union semun arg;
    unsigned short init[3];

    key = ftok(KEYFILE, PROJECT);
    shmid = shmget(key, sizeof(struct shared), IPC_CREAT | 0666);
    p = (struct shared *)shmat(shmid, 0, 0);
    memset(p, 0, sizeof(struct shared));

    semid = semget(key, 3, IPC_CREAT | 0666);
    init[SEM_MUTEX] = 1;
    init[SEM_FREE] = RING;
    init[SEM_USED] = 0;
    arg.array = init;
    semctl(semid, 0, SETALL, arg);

    p->ready = 1;
    printf("statd: ready\n");
    fflush(stdout);

    do {
        semadd(SEM_USED, -1);
        semadd(SEM_MUTEX, -1);
        kind = p->ring[p->out].kind;
        p->count[kind]++;
        p->sum[kind] += p->ring[p->out].value;
        p->out = (p->out + 1) % RING;
        semadd(SEM_MUTEX, 1);
        semadd(SEM_FREE, 1);
    } while (kind != 0);

    for (i = 1; i < MAXKINDS; i++)
        printf("kind %d: %d records, sum %ld\n", i, p->count[i], p->sum[i]);
    for (i = 0; i < p->nnames; i++)
        printf("client %d: %s\n", i, p->names[i]);

    shmdt((char *)p);
    shmctl(shmid, IPC_RMID, 0);
    semctl(semid, 0, IPC_RMID, arg);
    return 0;
}
