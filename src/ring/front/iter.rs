//! What pops item by item: the same for both rings.

/// `TryIter` and `Iter` over a `Consumer` and a `PopError` in scope. `$example`: where an example of `Iter` stands.
macro_rules! popping_iterators {
    ($example:literal) => {
        /// Pops items as long as there are any. Made by [`Consumer::try_iter`].
        #[derive(Debug)]
        pub struct TryIter<'a, T> {
            consumer: &'a mut Consumer<T>,
        }

        impl<T: Pod> Iterator for TryIter<'_, T> {
            type Item = T;

            fn next(&mut self) -> Option<T> {
                self.consumer.try_pop().ok()
            }
        }

        /// Pops items, waiting for each. Made by [`Consumer::iter`].
        #[derive(Debug)]
        pub struct Iter<'a, T> {
            consumer: &'a mut Consumer<T>,
            end: Option<PopError>,
        }

        impl<T> Iter<'_, T> {
            /// What [`Consumer::pop`] said at the end; `None` before it.
            #[doc = concat!("See [`", $example, "`] for an example.")]
            #[must_use]
            pub fn why_it_ended(&self) -> Option<PopError> {
                self.end
            }
        }

        impl<T: Pod> Iterator for Iter<'_, T> {
            type Item = T;

            fn next(&mut self) -> Option<T> {
                match self.consumer.pop() {
                    Ok(item) => Some(item),
                    Err(error) => {
                        self.end = Some(error);
                        None
                    }
                }
            }
        }
    };
}

pub(crate) use popping_iterators;
