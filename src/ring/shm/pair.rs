//! Two 32-bit fields in one 64-bit word, as they lie in memory.

pub(crate) fn join(first: u32, second: u32) -> u64 {
    bytemuck::cast([first, second])
}

pub(crate) fn split(word: u64) -> (u32, u32) {
    let [first, second] = bytemuck::cast(word);
    (first, second)
}
