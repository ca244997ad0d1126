//! Numbers and names as text, and what the results say besides figures.

use crate::case::Mode;
use crate::figures::Spread;
use crate::peers::Contender;

pub fn place(contender: &Contender) -> &'static str {
    if contender.driver.between_processes() {
        "processes"
    } else {
        "threads"
    }
}

pub fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Single => "one call each",
        Mode::Outlined => "outlined",
        Mode::Value => "by value",
        Mode::Batch => "batches",
        Mode::InPlace => "in place",
    }
}

pub fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "missed" }
}

pub fn size_name(bytes: usize) -> String {
    if bytes < 1024 {
        format!("{bytes} B")
    } else {
        format!("{} KiB", bytes / 1024)
    }
}

pub fn nanoseconds_or_nothing(count: usize, nanoseconds: f64) -> String {
    if count == 0 {
        "–".to_string()
    } else {
        format!("{nanoseconds:.0} ns")
    }
}

/// Three digits that count.
pub fn number(value: f64) -> String {
    match value.abs() {
        1e6.. => format!("{:.3} million", value / 1e6),
        100.0.. => thousands(value.round() as u64),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

pub fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Median and quartiles.
pub fn cell(figure: Spread, scale: f64) -> String {
    let [low, median, high] =
        [figure.low, figure.median, figure.high].map(|value| number(value * scale));
    format!("{median} [{low}–{high}]")
}

/// The median, and half of what lies between the quartiles in per cent of it.
pub fn short(figure: Spread, scale: f64) -> String {
    let half = (figure.high - figure.low) / 2.0 / figure.median * 100.0;
    format!("{} ±{half:.0} %", number(figure.median * scale))
}

pub fn cell_or_nothing(figure: Option<Spread>, scale: f64) -> String {
    figure.map_or("–".to_string(), |figure| cell(figure, scale))
}

pub const METHOD: &str = "
## How it was measured

* One run, one program: contenders take turns, pass by pass, each pass beginning with another one, so that a slow
  moment of the machine hits all of them. A figure is the median of the passes, with quartiles in brackets.
* *Processes* are started anew for every measurement, pinned to one processor each, and share nothing but the
  channel. *Threads* stand in for peers that cannot leave their process, pinned to the same two processors: for
  reference.
* Every word of every item is written by the sender and checked by the receiver: numbers, order, and that no item
  is put together from two. Where several receive, the sum of all numbers is checked besides. A mistake, or 20
  seconds without an end, fails the run; `comparison/run --check` makes such mistakes on purpose and fails unless
  each is found.
* A stream is timed by the receiver, from the moment when twice the capacity has gone through: every page has then
  been touched, and the channel is as full as it gets. How many items make a measurement is found out beforehand.
* Items up to 64 bytes go by value, larger ones by reference where a peer has both. `in place` means written and
  read where they lie; mpmc and this crate's views copy through a cache-hot item or page, as they give no
  references.
* Waiting is each peer's own. Those that leave it to their users look again with one pause instruction in between
  (where processes share a processor: crossbeam's `Backoff`), except the C rings, which have the lecture's empty
  loops.

## What the figures do not say

* Nothing about other machines: with other caches the order changes, and two processors near to each other are
  another machine than the same two far apart. Nothing about more than two processors.
* Throughput is between a sender and a receiver that do nothing else. Whoever computes for a microsecond per item
  will not see which ring it was.
* The peers do other things, too. iceoryx2 finds services by name, counts references and serves many subscribers;
  pipes, sockets and message queues work between strangers, with permissions checked at every call, and block in
  the kernel without looking first; queues in one process need no defence against the other side. sysvshm's rings
  survive the death of a process at any instruction, and what that takes is in their figures; what the others do
  when a process dies was not tested.
* Peers were used as their documentation shows, with equal capacity where they have one: no peer was tuned beyond
  that. A kernel buffer counts bytes with the kernel's own overhead, so it holds fewer small items than its size
  says.
* Round trips of peers that block in the kernel are two wake-ups, in a virtual machine two interrupts.
* Wake-ups include what a sleeper does before it notices, and depend on how deep the processor slept.
* Copies, fills and huge pages are not among these: the crate's own benchmarks measure them (`cargo bench --bench
  copy`, `segment`).
* Memory of kernel objects is a limit, not what is in use; memory of queues in one process was not measured.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(1234.4), "1,234");
        assert_eq!(number(99.96), "100.0");
        assert_eq!(number(9.876), "9.88");
        assert_eq!(number(0.9477), "0.948");
        assert_eq!(number(0.0123), "0.012");
        assert_eq!(number(12_345_678.0), "12.346 million");
        assert_eq!(thousands(1_048_576), "1,048,576");
        assert_eq!(size_name(65536), "64 KiB");
    }
}
