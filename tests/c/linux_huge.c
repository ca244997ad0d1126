/* Prints the codes for huge page sizes, which only the kernel's own header has; it clashes with <sys/shm.h>. */
#include <linux/shm.h>
#include <stdio.h>

int main(void) {
    printf("SHM_HUGE_SHIFT %d\n", SHM_HUGE_SHIFT);
    printf("SHM_HUGE_MASK %d\n", SHM_HUGE_MASK);
    printf("SHM_HUGE_2MB %lld\n", (long long)SHM_HUGE_2MB);
    printf("SHM_HUGE_1GB %lld\n", (long long)SHM_HUGE_1GB);
    return 0;
}
