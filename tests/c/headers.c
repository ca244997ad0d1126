/* Prints what this machine's headers say, one "name value" a line: sizes, offsets and numbers. */
#define _GNU_SOURCE
#include <sys/shm.h> /* alone: it must bring the types, ftok's header and the IPC_ constants along */
#include <stddef.h>
#include <stdio.h>

#define VALUE(name) printf("%s %lld\n", #name, (long long)(name))
#define SIZE(type) printf("sizeof(%s) %zu\n", #type, sizeof(type))
#define OFFSET(type, field) printf("offsetof(%s, %s) %zu\n", #type, #field, offsetof(type, field))

/* The prototypes, as POSIX writes them: a header that differs does not compile with these. */
int (*const check_shmget)(key_t, size_t, int) = shmget;
void *(*const check_shmat)(int, const void *, int) = shmat;
int (*const check_shmdt)(const void *) = shmdt;
int (*const check_shmctl)(int, int, struct shmid_ds *) = shmctl;
key_t (*const check_ftok)(const char *, int) = ftok;

int main(void) {
    struct shmid_ds ds;
    size_t *segsz = &ds.shm_segsz;
    pid_t *pids[] = {&ds.shm_lpid, &ds.shm_cpid};
    time_t *times[] = {&ds.shm_atime, &ds.shm_dtime, &ds.shm_ctime};
    shmatt_t *nattch = &ds.shm_nattch;
    struct ipc_perm *perm = &ds.shm_perm;
    (void)segsz, (void)pids, (void)times, (void)nattch, (void)perm;

    SIZE(key_t);
    SIZE(shmatt_t);
    printf("shmatt_t is unsigned and holds 65535 %d\n", (shmatt_t)-1 >= 65535);

    SIZE(struct ipc_perm);
    OFFSET(struct ipc_perm, __key);
    OFFSET(struct ipc_perm, uid);
    OFFSET(struct ipc_perm, gid);
    OFFSET(struct ipc_perm, cuid);
    OFFSET(struct ipc_perm, cgid);
    OFFSET(struct ipc_perm, mode);

    SIZE(struct shmid_ds);
    OFFSET(struct shmid_ds, shm_perm);
    OFFSET(struct shmid_ds, shm_segsz);
    OFFSET(struct shmid_ds, shm_atime);
    OFFSET(struct shmid_ds, shm_dtime);
    OFFSET(struct shmid_ds, shm_ctime);
    OFFSET(struct shmid_ds, shm_cpid);
    OFFSET(struct shmid_ds, shm_lpid);
    OFFSET(struct shmid_ds, shm_nattch);

    VALUE(SHMLBA);
    VALUE(IPC_CREAT);
    VALUE(IPC_EXCL);
    VALUE(IPC_NOWAIT);
    VALUE(IPC_PRIVATE);
    VALUE(IPC_RMID);
    VALUE(IPC_SET);
    VALUE(IPC_STAT);
    VALUE(SHM_RDONLY);
    VALUE(SHM_RND);
#ifdef __linux__
    SIZE(struct shminfo);
    OFFSET(struct shminfo, shmmax);
    OFFSET(struct shminfo, shmmin);
    OFFSET(struct shminfo, shmmni);
    OFFSET(struct shminfo, shmseg);
    OFFSET(struct shminfo, shmall);
    SIZE(struct shm_info);
    OFFSET(struct shm_info, used_ids);
    OFFSET(struct shm_info, shm_tot);
    OFFSET(struct shm_info, shm_rss);
    OFFSET(struct shm_info, shm_swp);
    VALUE(IPC_INFO);
    VALUE(SHM_STAT);
    VALUE(SHM_INFO);
#ifdef SHM_STAT_ANY /* absent from headers older than Linux 4.17 */
    VALUE(SHM_STAT_ANY);
#endif
    VALUE(SHM_LOCK);
    VALUE(SHM_UNLOCK);
    VALUE(SHM_DEST);
    VALUE(SHM_LOCKED);
    VALUE(SHM_REMAP);
    VALUE(SHM_EXEC);
    VALUE(SHM_HUGETLB);
    VALUE(SHM_NORESERVE);
#endif
    return 0;
}
