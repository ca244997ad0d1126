/*
 * statd.h -- what statd and its clients share.
 *
 * Change it and you must recompile EVERYTHING and remove the old segment
 * by hand (ipcrm).
 */
#define KEYFILE   "statd.key"   /* must exist before statd starts! */
#define PROJECT   'S'

#define MAXNAMES  8
#define NAMELEN   12
#define MAXKINDS  4             /* kind 0 tells statd to stop */
#define RING      16

/* semaphores */
#define SEM_MUTEX 0
#define SEM_FREE  1             /* free records */
#define SEM_USED  2             /* used records */

struct record {
    int   client;               /* index into names */
    short kind;
    long  value;
};

struct shared {
    int   ready;                /* set when all of this makes sense */
    int   namelock;             /* 1: somebody changes names */
    int   nnames;
    char  names[MAXNAMES][NAMELEN];
    int   count[MAXKINDS];      /* records seen, by kind */
    long  sum[MAXKINDS];        /* their values */
    int   sent;                 /* records put, by all clients */
    int   in, out;
    struct record ring[RING];
};

union semun {
    int              val;
    struct semid_ds *buf;
    unsigned short  *array;
};
