//! The two endpoints of a channel, and how items are streamed through them and checked.

use crate::case::{Case, Fault, Handle, Mode, Polling, Taken};
use crate::item::Item;
use anyhow::Result;
use crossbeam_utils::Backoff;
use std::any::Any;
use std::hint::{black_box, spin_loop};

/// What came was not what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("item {expected} was expected and did not come: lost, doubled, torn or out of order")]
pub struct Wrong {
    pub expected: u64,
}

impl Wrong {
    #[inline(always)]
    pub fn unless(right: bool, expected: u64) -> Result<(), Self> {
        if right {
            Ok(())
        } else {
            Err(Self { expected })
        }
    }
}

/// The endpoint where items go in. A channel that breaks is a bug of the comparison: the process panics, and the run fails.
pub trait Sender<T: Item> {
    /// Sends one item, waiting for room. What is small goes by value, what is large by reference.
    fn send(&mut self, item: &T);

    /// Sends one item by value, of whatever size.
    fn send_value(&mut self, item: T) {
        self.send(&item);
    }

    /// Sends `count` items, numbered from `first` on, in the way the case asks for.
    fn stream(&mut self, first: u64, count: u64) {
        send_singly(self, first, count);
    }
}

/// The endpoint where items come out.
pub trait Receiver<T: Item> {
    /// Called once the other endpoint exists, before anything is sent.
    fn prepare(&mut self) {}

    /// Takes one item, waiting for it.
    fn receive(&mut self, item: &mut T);

    /// Takes one item by value, of whatever size.
    fn receive_value(&mut self) -> T {
        let mut item = T::zeroed();
        self.receive(&mut item);
        item
    }

    /// Takes one item or more, in the way the case asks for.
    fn receive_some(&mut self, items: &mut [T]) -> usize {
        self.receive(&mut items[0]);
        1
    }

    /// Takes `count` items in the way the case asks for, and checks that they are those numbered from `first` on.
    fn stream(&mut self, first: u64, count: u64) -> Result<(), Wrong> {
        receive_singly(self, first, count)
    }
}

#[inline(always)]
pub fn send_singly<T: Item, S: Sender<T> + ?Sized>(sender: &mut S, first: u64, count: u64) {
    let mut item = T::zeroed();
    for number in first..first + count {
        item.set(number);
        sender.send(&item);
    }
}

#[inline(always)]
pub fn receive_singly<T: Item, R: Receiver<T> + ?Sized>(
    receiver: &mut R,
    first: u64,
    count: u64,
) -> Result<(), Wrong> {
    let mut item = T::zeroed();
    for number in first..first + count {
        receiver.receive(&mut item);
        Wrong::unless(item.is(number), number)?;
    }
    Ok(())
}

/// Sends items in the mode of the case.
pub fn send_all<T: Item, S: Sender<T> + ?Sized>(
    sender: &mut S,
    mode: Mode,
    first: u64,
    count: u64,
) {
    match mode {
        Mode::Outlined => (first..first + count).for_each(|number| send_outlined(sender, number)),
        Mode::Value => {
            for number in first..first + count {
                // The item is in memory before it is sent, whatever the compiler sees through.
                sender.send_value(black_box(T::of(number)));
            }
        }
        Mode::Single | Mode::Batch | Mode::InPlace => sender.stream(first, count),
    }
}

/// Takes items in the mode of the case, and checks them.
pub fn receive_all<T: Item, R: Receiver<T> + ?Sized>(
    receiver: &mut R,
    mode: Mode,
    first: u64,
    count: u64,
) -> Result<(), Wrong> {
    match mode {
        Mode::Outlined => (first..first + count)
            .try_for_each(|number| Wrong::unless(receive_outlined(receiver).is(number), number)),
        Mode::Value => (first..first + count).try_for_each(|number| {
            Wrong::unless(black_box(receiver.receive_value()).is(number), number)
        }),
        Mode::Single | Mode::Batch | Mode::InPlace => receiver.stream(first, count),
    }
}

/// What a compiler makes of a call that a program makes at two places: the channel's code stands once, in a
/// function, and each item takes a call.
#[inline(never)]
fn send_outlined<T: Item, S: Sender<T> + ?Sized>(sender: &mut S, number: u64) {
    sender.send(&T::of(number));
}

#[inline(never)]
fn receive_outlined<T: Item, R: Receiver<T> + ?Sized>(receiver: &mut R) -> T {
    let mut item = T::zeroed();
    receiver.receive(&mut item);
    item
}

/// Fills batches of `most` items and hands each to `send`, which sends all of it.
#[inline(always)]
pub fn send_batches<T: Item>(most: usize, first: u64, count: u64, mut send: impl FnMut(&[T])) {
    let mut batch = vec![T::zeroed(); most];
    let mut left = first..first + count;
    while !left.is_empty() {
        let len = most.min((left.end - left.start) as usize);
        for (item, number) in batch[..len].iter_mut().zip(&mut left) {
            item.set(number);
        }
        send(&batch[..len]);
    }
}

/// Lets `receive` fill batches of up to `most` items and checks them. `receive` says how many it took.
#[inline(always)]
pub fn receive_batches<T: Item>(
    most: usize,
    first: u64,
    count: u64,
    mut receive: impl FnMut(&mut [T]) -> usize,
) -> Result<(), Wrong> {
    let mut batch = vec![T::zeroed(); most];
    let end = first + count;
    let mut number = first;
    while number < end {
        let room = most.min((end - number) as usize);
        let len = receive(&mut batch[..room]);
        let (mut right, from) = (true, number);
        for item in &batch[..len] {
            right &= item.is(number);
            number += 1;
        }
        Wrong::unless(right, from)?;
    }
    Ok(())
}

/// What a run of items in place is asked for: `most` of them, and not beyond the end.
#[inline(always)]
pub fn runs(most: usize, first: u64, count: u64, mut run: impl FnMut(u64, usize) -> usize) {
    let end = first + count;
    let mut number = first;
    while number < end {
        number += run(number, most.min((end - number) as usize)) as u64;
    }
}

/// The same for a receiver: `run` says how many items there were and whether they were right.
#[inline(always)]
pub fn checked_runs(
    most: usize,
    first: u64,
    count: u64,
    mut run: impl FnMut(u64, usize) -> (usize, bool),
) -> Result<(), Wrong> {
    let end = first + count;
    let mut number = first;
    while number < end {
        let (len, right) = run(number, most.min((end - number) as usize));
        Wrong::unless(right, number)?;
        number += len as u64;
    }
    Ok(())
}

/// As many items as `stream` sends, with one mistake.
pub fn send_with_fault<T: Item, S: Sender<T>>(
    sender: &mut S,
    first: u64,
    count: u64,
    fault: Fault,
) {
    let middle = first + count / 2;
    let last = first + count - 1;
    let mut item = T::zeroed();
    for number in first..=last {
        item.set(number);
        match fault {
            Fault::Lost if number == middle => continue,
            Fault::LastLost if number == last => continue,
            Fault::Doubled if number == middle => sender.send(&item),
            Fault::Torn if number == middle => {
                let last_word = sysvshm::bytemuck::bytes_of_mut(&mut item).last_chunk_mut::<8>();
                *last_word.expect("items have words") = (number - 1).to_ne_bytes();
            }
            _ => {}
        }
        sender.send(&item);
    }
}

/// Polls until there is something.
#[inline(always)]
pub fn until<R>(polling: Polling, mut poll: impl FnMut() -> Option<R>) -> R {
    loop {
        if let Some(found) = poll() {
            return found;
        }
        match polling {
            Polling::Spin => spin_loop(),
            Polling::Yield => return until_yielding(poll),
        }
    }
}

#[inline(never)]
fn until_yielding<R>(mut poll: impl FnMut() -> Option<R>) -> R {
    let backoff = Backoff::new();
    loop {
        if let Some(found) = poll() {
            return found;
        }
        backoff.snooze();
    }
}

/// A channel between processes: created by the runner, used by others, removed on drop.
#[must_use]
pub struct Channel {
    pub handle: Handle,
    pub taken: Option<Taken>,
    /// Brings together endpoints that need help; called once all processes have been started.
    pub introduce: Option<Box<dyn FnOnce() + Send>>,
    _keep: Box<dyn Any>,
}

impl Channel {
    pub fn new(handle: impl IntoIterator<Item = String>, keep: impl Any) -> Self {
        Self {
            handle: handle.into_iter().collect(),
            taken: None,
            introduce: None,
            _keep: Box::new(keep),
        }
    }

    pub fn taking(mut self, bytes: u64, source: impl Into<String>) -> Self {
        self.taken = Some(Taken {
            bytes,
            source: source.into(),
        });
        self
    }
}

/// A way to hand items to another process.
pub trait Peer: Sync {
    /// Why this case cannot be measured here, if it cannot.
    fn obstacle(&self, _case: &Case) -> Option<String> {
        None
    }
    fn create<T: Item>(&self, case: &Case) -> Result<Channel>;
    /// The memory of a channel in use.
    fn footprint<T: Item>(&self, case: &Case) -> Result<Option<Taken>> {
        Ok(self.create::<T>(case)?.taken)
    }
    fn sender<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Sender<T>>;
    fn receiver<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Receiver<T>>;
}

/// A way to hand items to another thread of the same process.
pub trait Local: Sync {
    /// Makes a channel with so many endpoints of each kind.
    fn channel<T: Item>(
        &self,
        case: &Case,
        senders: usize,
        receivers: usize,
    ) -> (Vec<impl Sender<T> + Send>, Vec<impl Receiver<T> + Send>);
}
