/* A ring whose capacity is true of no segment, but whose bytes, counted modulo 2^64, fit in this one. */
#include <stdio.h>
#include "spsc.h"

int main(void)
{
    const size_t bytes = (size_t)1 << 46, item = 1 << 18, stride = item + 64;
    const uint64_t capacity = UINT64_MAX / stride + 1;
    struct spsc ring;
    int id = shmget(IPC_PRIVATE, bytes, 0600 | IPC_CREAT | SHM_NORESERVE);
    struct spsc_header *h = id == -1 ? (void *)-1 : shmat(id, NULL, 0);
    if (h == (void *)-1) {
        printf("no room\n");
    } else {
        memcpy(h->magic, "svshspsc", 8);
        h->version = 2;
        h->item_size = item;
        h->item_align = 8;
        h->capacity = capacity;
        h->state = 1;
        shmdt(h); /* there is no address space for two */
        printf("%s\n", spsc_attach(&ring, id, item, 8) == 0 ? "attached" : errno == EPROTO ? "refused" : strerror(errno));
    }
    if (id != -1)
        shmctl(id, IPC_RMID, NULL);
    return 0;
}
