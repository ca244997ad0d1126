/* What a port starts from: the calls in plain C. tests/interop_c.rs carries it over line by line with sysvshm::raw, and both must
 * print the same. argv[1] is the key file. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>

static struct shmid_ds ds;

/* What a call returned, and errno: arguments of one printf are evaluated in any order, so not there. */
static void result(const char *what, int returned) {
    printf("%s: %d %d\n", what, returned, errno);
}

static void show(const char *when, int id) {
    if (shmctl(id, IPC_STAT, &ds) == -1) {
        printf("%s: errno %d\n", when, errno);
        return;
    }
    printf("%s: %zu bytes, mode %o, %lu attached, key %s\n", when, ds.shm_segsz, (unsigned)ds.shm_perm.mode,
           (unsigned long)ds.shm_nattch, ds.shm_perm.__key == 0 ? "none" : "set");
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    key_t key = ftok(argv[1], 7);
    printf("key ends in %08x\n", (unsigned)key);

    int id = shmget(key, 5 * sizeof(int), 0);
    result("before", id);
    id = shmget(key, 5 * sizeof(int), IPC_CREAT | IPC_EXCL | 0640);
    show("created", id);
    result("again", shmget(key, 5 * sizeof(int), IPC_CREAT | IPC_EXCL | 0640));
    result("larger", shmget(key, 6 * sizeof(int), 0));
    printf("same id: %d\n", shmget(key, 0, 0) == id);

    int *numbers = shmat(id, NULL, 0);
    for (int i = 0; i < 5; i++)
        numbers[i] = i + 1;
    const int *seen = shmat(id, NULL, SHM_RDONLY);
    show("attached twice", id);
    for (int i = 0; i < 5; i++)
        printf("%d ", seen[i]);
    printf("\n");
    result("unaligned", shmat(id, (const char *)numbers + 1, 0) == (void *)-1);
    result("not attached", shmdt(&key));

    shmctl(id, IPC_STAT, &ds);
    ds.shm_perm.mode = 0600;
    shmctl(id, IPC_SET, &ds);
    show("mode set", id);
    shmctl(id, SHM_LOCK, NULL);
    show("locked", id);
    shmctl(id, SHM_UNLOCK, NULL);
    shmdt(seen);
    show("detached once", id);
    shmctl(id, IPC_RMID, NULL);
    show("marked", id);
    result("by key", shmget(key, 0, 0));

    struct shminfo limits;
    shmctl(0, IPC_INFO, (struct shmid_ds *)&limits);
    printf("at least %lu byte, up to %lu segments\n", limits.shmmin, limits.shmmni);
    struct shm_info usage;
    shmctl(0, SHM_INFO, (struct shmid_ds *)&usage);
    printf("segments exist: %d\n", usage.used_ids >= 1);
    struct shmid_ds slot;
    printf("by slot: %d\n", shmctl(id % 32768, SHM_STAT, &slot) == id && slot.shm_segsz == 5 * sizeof(int));

    shmdt(numbers);
    show("gone", id);
    return 0;
}
