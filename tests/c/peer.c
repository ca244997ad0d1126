/* A legacy C program as this crate's peer: it obeys one command a line from stdin and answers each with one line.
 *
 *   ftok ID PATH                 the key, in decimal
 *   create KEY BYTES MODE        the id of a new segment (mode in octal); it must not exist
 *   get KEY BYTES FLAGS          the id of an existing segment, or "errno NAME"
 *   attach ID ro|rw              "attached"; one attach at a time
 *   put OFFSET VALUE...          writes ints; "done"
 *   take OFFSET COUNT            reads that many ints
 *   bytes OFFSET COUNT           reads that many bytes, in hexadecimal
 *   stat ID                      "segsz mode nattch cpid lpid uid cuid"
 *   detach                       "detached"
 *   remove ID                    "removed" or "errno NAME"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>

static char *base;

static void answer_errno(void) {
    switch (errno) {
    case EACCES: printf("errno EACCES\n"); break;
    case EEXIST: printf("errno EEXIST\n"); break;
    case EINVAL: printf("errno EINVAL\n"); break;
    case ENOENT: printf("errno ENOENT\n"); break;
    case EPERM: printf("errno EPERM\n"); break;
    default: printf("errno %d\n", errno);
    }
}

static void obey(char *line) {
    char word[16];
    int used = 0;
    if (sscanf(line, "%15s %n", word, &used) != 1)
        exit(2);
    char *rest = line + used;
    long long a = 0, b = 0;
    unsigned mode = 0;

    if (strcmp(word, "ftok") == 0) {
        sscanf(rest, "%lld %n", &a, &used);
        printf("%d\n", ftok(rest + used, (int)a));
    } else if (strcmp(word, "create") == 0) {
        sscanf(rest, "%lld %lld %o", &a, &b, &mode);
        int id = shmget((key_t)a, (size_t)b, IPC_CREAT | IPC_EXCL | (int)mode);
        if (id == -1)
            answer_errno();
        else
            printf("%d\n", id);
    } else if (strcmp(word, "get") == 0) {
        sscanf(rest, "%lld %lld %o", &a, &b, &mode);
        int id = shmget((key_t)a, (size_t)b, (int)mode);
        if (id == -1)
            answer_errno();
        else
            printf("%d\n", id);
    } else if (strcmp(word, "attach") == 0) {
        char how[8];
        sscanf(rest, "%lld %7s", &a, how);
        base = shmat((int)a, NULL, strcmp(how, "ro") == 0 ? SHM_RDONLY : 0);
        if (base == (void *)-1)
            answer_errno();
        else
            printf("attached\n");
    } else if (strcmp(word, "put") == 0) {
        int at = 0;
        sscanf(rest, "%lld%n", &a, &at);
        volatile int *target = (volatile int *)(base + a);
        for (rest += at; sscanf(rest, "%lld%n", &b, &at) == 1; rest += at)
            *target++ = (int)b;
        printf("done\n");
    } else if (strcmp(word, "take") == 0) {
        sscanf(rest, "%lld %lld", &a, &b);
        for (long long i = 0; i < b; i++)
            printf("%s%d", i ? " " : "", ((volatile int *)(base + a))[i]);
        printf("\n");
    } else if (strcmp(word, "bytes") == 0) {
        sscanf(rest, "%lld %lld", &a, &b);
        for (long long i = 0; i < b; i++)
            printf("%02x", ((volatile unsigned char *)(base + a))[i]);
        printf("\n");
    } else if (strcmp(word, "stat") == 0) {
        struct shmid_ds ds;
        sscanf(rest, "%lld", &a);
        if (shmctl((int)a, IPC_STAT, &ds) == -1)
            answer_errno();
        else
            printf("%zu %o %lu %d %d %u %u\n", ds.shm_segsz, ds.shm_perm.mode, (unsigned long)ds.shm_nattch, ds.shm_cpid,
                   ds.shm_lpid, ds.shm_perm.uid, ds.shm_perm.cuid);
    } else if (strcmp(word, "detach") == 0) {
        if (shmdt(base) == -1)
            answer_errno();
        else
            printf("detached\n");
    } else if (strcmp(word, "remove") == 0) {
        sscanf(rest, "%lld", &a);
        if (shmctl((int)a, IPC_RMID, NULL) == -1)
            answer_errno();
        else
            printf("removed\n");
    } else {
        exit(2);
    }
}

int main(void) {
    char line[8192];
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        obey(line);
    }
    return 0;
}
