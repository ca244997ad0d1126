//! Sets that the process which creates them removes.

use super::options::SemaphoreSetOptions;
use super::set::{SemaphoreSet, status_regardless};
use crate::error::{Call, Command, Error, ErrorKind, Hint, Object};
use crate::key::Key;
use crate::owned::{Marks, Owned, Removable};

impl Removable for SemaphoreSet {
    fn marks(&self) -> Result<Marks, Error> {
        let status = status_regardless(self.id())?;
        Ok((status.key(), status.len()))
    }

    fn remove_now(&self) -> Result<(), Error> {
        self.remove()
    }

    fn out_of_reach(&self) -> Error {
        let call = Call::semctl(self.id(), Command::Remove);
        Error::refused(
            call,
            ErrorKind::WrongNamespace,
            Hint::out_of_reach(Object::Set),
        )
    }
}

impl SemaphoreSetOptions {
    /// Creates a set as [`create_new`](Self::create_new) does, and removes it when the returned value is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`create_new`](Self::create_new), and [`OutOfMemory`](crate::ErrorKind::OutOfMemory): no page by which a
    /// forked child is told from its parent.
    ///
    /// ```
    /// use sysvshm::{Key, SemaphoreSet, SemaphoreSetOptions};
    ///
    /// let key = Key::random()?;
    /// let set = SemaphoreSetOptions::new().create_new_owned(key, &[1, 0])?;
    /// assert_eq!(set.values()?, [1, 0]);
    /// drop(set);
    /// assert!(SemaphoreSet::open(key).unwrap_err().is_not_found());
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "IPC_RMID")]
    pub fn create_new_owned(&self, key: Key, values: &[u16]) -> Result<Owned<SemaphoreSet>, Error> {
        Owned::new(|| self.create_new(key, values).map(|set| with_marks(key, set)))
    }

    /// Finds or creates a set as [`open_or_create`](Self::open_or_create) does. If it is created, dropping the returned
    /// value removes it, for all processes; one that is found stays.
    ///
    /// # Errors
    ///
    /// Those of [`open_or_create`](Self::open_or_create) and [`create_new_owned`](Self::create_new_owned).
    ///
    /// ```
    /// use sysvshm::{Key, SemaphoreSet, SemaphoreSetOptions};
    ///
    /// let key = Key::random()?;
    /// let created = SemaphoreSetOptions::new().open_or_create_owned(key, &[1])?;
    /// let found = SemaphoreSetOptions::new().open_or_create_owned(key, &[1])?;
    /// drop(found);
    /// assert!(SemaphoreSet::open(key).is_ok());
    /// drop(created);
    /// assert!(SemaphoreSet::open(key).unwrap_err().is_not_found());
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "IPC_RMID")]
    pub fn open_or_create_owned(
        &self,
        key: Key,
        values: &[u16],
    ) -> Result<Owned<SemaphoreSet>, Error> {
        Owned::new(|| {
            self.open_or_create(key, values)
                .map(|set| with_marks(key, set))
        })
    }
}

fn with_marks(key: Key, set: SemaphoreSet) -> (SemaphoreSet, Option<Marks>) {
    (set, set.was_created().then(|| (key, set.len())))
}
