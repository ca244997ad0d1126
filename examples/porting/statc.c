/*
 * statc.c -- a client of statd.
 *
 *     cc -o statc statc.c
 *     ./statc name count      puts count records
 *     ./statc -q              stops statd
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
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

static void put(int client, int kind, long value)
{
    semadd(SEM_FREE, -1);
    semadd(SEM_MUTEX, -1);
    p->ring[p->in].client = client;
    p->ring[p->in].kind = kind;
    p->ring[p->in].value = value;
    p->in = (p->in + 1) % RING;
    semadd(SEM_MUTEX, 1);
    semadd(SEM_USED, 1);
    p->sent++;
}

int main(int argc, char **argv)
{
    key_t key;
    int shmid, me, i;

    if (argc < 2) {
        fprintf(stderr, "usage: %s -q | NAME COUNT\n", argv[0]);
        return 2;
    }
    key = ftok(KEYFILE, PROJECT);
    shmid = shmget(key, sizeof(struct shared), 0666);
    p = (struct shared *)shmat(shmid, 0, 0);
    semid = semget(key, 3, 0666);

    while (!p->ready)
        usleep(1000);

    if (strcmp(argv[1], "-q") == 0) {
        put(0, 0, 0L);
        return 0;
    }

    /* enter my name */
    while (p->namelock)
        usleep(1000);
    p->namelock = 1;
    me = p->nnames;
    strcpy(p->names[me], argv[1]);
    p->nnames++;
    p->namelock = 0;

    for (i = 0; i < atoi(argv[2]); i++)
        put(me, 1 + i % (MAXKINDS - 1), (long)i);

    printf("%s: %d records put\n", argv[1], i);
    shmdt((char *)p);
    return 0;
}
