//! What one of several receivers can check.

use super::stream::SENDER_BIT;
use crate::endpoint::Wrong;
use crate::item::Item;

/// Checks that items are whole and come in each sender's order. The runner adds up what all receivers got.
pub struct OrderCheck {
    /// By sender: the least number that may come.
    next: Vec<u64>,
    pub received: u64,
    pub sum: u64,
}

impl OrderCheck {
    pub fn new(senders: usize) -> Self {
        let next = (0..senders as u64)
            .map(|sender| sender << SENDER_BIT)
            .collect();
        Self {
            next,
            received: 0,
            sum: 0,
        }
    }

    pub fn start_counting(&mut self) {
        (self.received, self.sum) = (0, 0);
    }

    #[inline(always)]
    pub fn see<T: Item>(&mut self, item: &T) -> Result<(), Wrong> {
        let number = item.number();
        let next = self
            .next
            .get_mut((number >> SENDER_BIT) as usize)
            .ok_or(Wrong { expected: number })?;
        Wrong::unless(item.is(number) && number >= *next, *next)?;
        *next = number + 1;
        self.received += 1;
        self.sum = self.sum.wrapping_add(number);
        Ok(())
    }
}
