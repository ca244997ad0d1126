//! This crate as it was at an older commit, to divide new figures by old ones of the same run: `comparison/run
//! --baseline COMMIT` copies that version, calls it `sysvshm-old`, and has this compiled.

use sysvshm_old as api;

/// What has been renamed since b721619: traits give its types the names that `rings` and `handles` call.
mod renamed {
    use super::api::bounded_buffer::spsc;
    use super::api::{ReadOnly, ReadWrite, SharedRef};
    use std::time::Duration;
    use sysvshm::bytemuck::Pod;

    pub trait Load<T> {
        fn load(self) -> T;
    }

    pub trait Store<T> {
        fn store(self, value: T);
    }

    /// No contender of that version is told an interval: there was no such option.
    pub trait LivenessInterval {
        fn liveness_interval(&mut self, interval: Duration);
    }

    impl<T: Pod> LivenessInterval for spsc::Consumer<T> {
        fn liveness_interval(&mut self, interval: Duration) {
            panic!("no option for {interval:?}");
        }
    }

    impl<T: Pod> Load<T> for SharedRef<'_, T, ReadOnly> {
        #[inline(always)]
        fn load(self) -> T {
            self.get()
        }
    }

    impl<T: Pod> Store<T> for SharedRef<'_, T, ReadWrite> {
        #[inline(always)]
        fn store(self, value: T) {
            self.set(value);
        }
    }
}

#[path = "handles.rs"]
pub mod handles;
#[path = "rings.rs"]
pub mod rings;
