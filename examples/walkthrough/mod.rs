//! The slide sequence itself. Shared by two examples: `bounded_buffer_walkthrough` and `lecture`.

use crate::cli;
use std::error::Error;
use std::thread;
use std::time::Duration;
use sysvshm::bounded_buffer::lecture::{BoundedBuffer, TryConsumeError, TryProduceError};
use sysvshm::{Key, SegmentOptions};

const BUFFER_SIZE: usize = 10;
type Buffer<'a> = BoundedBuffer<'a, u8, BUFFER_SIZE>;

/// Where the sequence starts: in the middle, so that both indices go round the end as on the slides.
const START: usize = 6;

/// Draws every step. The segment is private and already marked for removal: nothing stays behind.
pub(crate) fn run(pause: Duration) -> Result<(), Box<dyn Error>> {
    let segment = SegmentOptions::new()
        .size_bytes(Buffer::SIZE_BYTES)
        .create_new(Key::PRIVATE)?;
    segment.mark_for_removal()?;
    let buffer = Buffer::new(&segment)?;
    // Earlier items came and went.
    for _ in 0..START {
        buffer.produce(0)?;
        buffer.consume()?;
    }
    let mut slides = Slides { pause, buffer };

    slides.say("#define BUFFER_SIZE 10")?;
    slides.say("item buffer[BUFFER_SIZE]; int in; int out;\n")?;
    slides.say("-- the producer fills, the consumer empties --")?;
    for item in b'A'..=b'D' {
        slides.produce(item)?;
    }
    for _ in 0..4 {
        slides.consume()?;
    }
    slides.consume()?; // in == out: Empty!
    slides.produce(b'E')?;
    slides.consume()?;

    slides.say("-- and when nobody consumes --")?;
    for item in b'a'..=b'j' {
        slides.produce(item)?;
    }
    slides.say("Why are there only 9 items in 10 positions? With the tenth, `in` would stand")?;
    slides.say("where `out` stands, and `in == out` already means: Empty!")?;
    Ok(())
}

struct Slides<'a> {
    pause: Duration,
    buffer: Buffer<'a>,
}

impl Slides<'_> {
    fn say(&mut self, line: &str) -> Result<(), Box<dyn Error>> {
        Ok(cli::say(line)?)
    }

    fn produce(&mut self, item: u8) -> Result<(), Box<dyn Error>> {
        let at = self.buffer.next_in();
        self.say("producer:  while (((in + 1) % BUFFER_SIZE) == out) ; /* do nothing */")?;
        match self.buffer.try_produce(item) {
            Ok(()) => {
                self.say(&format!("           buffer[{at}] = '{}';", item as char))?;
                self.say("           in = (in + 1) % BUFFER_SIZE;")?;
            }
            Err(TryProduceError::Full(_)) => {
                self.say("           ... and there it stays: Full!")?;
            }
            Err(TryProduceError::Corrupted(corrupted)) => return Err(corrupted.into()),
        }
        self.draw()
    }

    fn consume(&mut self) -> Result<(), Box<dyn Error>> {
        let at = self.buffer.next_out();
        self.say("consumer:  while (in == out) ; /* do nothing */")?;
        match self.buffer.try_consume() {
            Ok(item) => {
                self.say(&format!(
                    "           next_consumed = buffer[{at}]; /* '{}' */",
                    item as char
                ))?;
                self.say("           out = (out + 1) % BUFFER_SIZE;")?;
            }
            Err(TryConsumeError::Empty) => self.say("           ... and there it stays: Empty!")?,
            Err(TryConsumeError::Corrupted(corrupted)) => return Err(corrupted.into()),
        }
        self.draw()
    }

    /// The array, the two arrows, the count.
    fn draw(&mut self) -> Result<(), Box<dyn Error>> {
        let (next_in, next_out) = (
            self.buffer.next_in() as usize,
            self.buffer.next_out() as usize,
        );
        let len = self.buffer.len()?;
        let mut cells = String::new();
        let mut arrows = String::new();
        for position in 0..BUFFER_SIZE {
            let is_full = (position + BUFFER_SIZE - next_out) % BUFFER_SIZE < len;
            let shown = if is_full {
                self.buffer.positions().load(position) as char
            } else {
                ' '
            };
            cells.push_str(&format!("|  {shown}  "));
            arrows.push_str(match (position == next_in, position == next_out) {
                (true, true) => "in=out",
                (true, false) => "  in  ",
                (false, true) => " out  ",
                (false, false) => "      ",
            });
        }
        let numbers: String = (0..BUFFER_SIZE)
            .map(|position| format!("   {position}  "))
            .collect();
        self.say("")?;
        self.say(numbers.trim_end())?;
        self.say(&format!("{cells}|"))?;
        self.say(arrows.trim_end())?;
        let remark = if len == 0 { "   Empty!" } else { "" };
        self.say(&format!("# of items: {len}{remark}\n"))?;
        thread::sleep(self.pause);
        Ok(())
    }
}
