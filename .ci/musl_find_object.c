/* What gcc's unwinder needs of glibc and musl has under another name; see run_musl in .ci/machines. */
#define _GNU_SOURCE
#include <link.h>
#include <pthread.h>
#include <stdint.h>

/* <bits/dl_find_object.h> of glibc 2.35, for x86-64. */
struct dl_find_object {
    unsigned long long flags;
    void *map_start, *map_end;
    struct link_map *link_map;
    void *eh_frame;
    unsigned long long reserved[7];
};

struct question {
    uintptr_t address;
    struct dl_find_object *answer;
};

static int is_it(struct dl_phdr_info *object, size_t size, void *data) {
    struct question *question = data;
    uintptr_t start = UINTPTR_MAX, end = 0, frames = 0;
    (void)size;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &object->dlpi_phdr[i];
        uintptr_t at = object->dlpi_addr + header->p_vaddr;
        if (header->p_type == PT_GNU_EH_FRAME) frames = at;
        if (header->p_type != PT_LOAD) continue;
        if (at < start) start = at;
        if (at + header->p_memsz > end) end = at + header->p_memsz;
    }
    if (!frames || question->address < start || question->address >= end) return 0;
    question->answer->flags = 0;
    question->answer->map_start = (void *)start;
    question->answer->map_end = (void *)end;
    question->answer->link_map = NULL;
    question->answer->eh_frame = (void *)frames;
    return 1;
}

int _dl_find_object(void *address, struct dl_find_object *answer) {
    struct question question = { (uintptr_t)address, answer };
    return dl_iterate_phdr(is_it, &question) ? 0 : -1;
}

void *const musl_find_object_keeps[] = {
    (void *)pthread_once, (void *)pthread_mutex_lock, (void *)pthread_mutex_unlock, (void *)pthread_key_create,
    (void *)pthread_getspecific, (void *)pthread_setspecific, (void *)pthread_create,
};
