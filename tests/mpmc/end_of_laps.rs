//! Laps have 33 bits and go round; any capacity must get across. Rings are created to start right before.

use crate::support::{Random, ring_with, seed};
use std::collections::VecDeque;
use sysvshm::bounded_buffer::mpmc::{Options, PopError};

/// The last lap there is.
const LAST: u64 = (1 << 33) - 1;

/// Two producers and two consumers take turns: every call, handles that go and come, slots that are skipped. In one
/// thread the order is that of one queue.
#[test]
fn any_capacity_gets_across_the_wrap() {
    let mut random = Random::new(seed());
    for capacity in [1, 2, 3, 10, 64, 1000] {
        for before in [0, 1, 2, 3] {
            let mut options = Options::new();
            let ring = ring_with::<u64>(
                options
                    .capacity(capacity)
                    .participants(6)
                    .start_lap(LAST - before),
            );
            let mut producers = [ring.producer().unwrap(), ring.producer().unwrap()];
            let mut consumers = [ring.consumer().unwrap(), ring.consumer().unwrap()];
            let mut model = VecDeque::new();
            let mut next = 0;
            while next < 8 * capacity as u64 {
                let producer = &mut producers[random.below(2) as usize];
                let consumer = &mut consumers[random.below(2) as usize];
                let many = 1 + random.below(capacity as u64 + 2) as usize;
                let run: Vec<u64> = (next..next + many as u64).collect();
                let (pushed, popped) = match random.below(9) {
                    0 => (usize::from(producer.try_push(next).is_ok()), vec![]),
                    1 => (producer.try_push_slice(&run).unwrap_or(0), vec![]),
                    2 => match producer.try_reserve(many) {
                        Ok(mut space) => {
                            let len = space.len();
                            space.write_from(0, &run[..len]);
                            let count = random.below(len as u64 + 1) as usize;
                            space.commit(count).unwrap();
                            (count, vec![])
                        }
                        Err(_) => (0, vec![]),
                    },
                    3 | 4 => (0, consumer.try_pop().into_iter().collect()),
                    5 | 6 => {
                        let mut got = vec![0; many];
                        let count = consumer.try_pop_slice(&mut got).unwrap_or(0);
                        got.truncate(count);
                        (0, got)
                    }
                    7 => match consumer.try_peek(many) {
                        Ok(items) => {
                            let got: Vec<u64> = (0..items.len()).map(|at| items.get(at)).collect();
                            items.release(got.len()).unwrap();
                            (0, got)
                        }
                        Err(error) => {
                            assert_eq!(error, PopError::Empty);
                            (0, vec![])
                        }
                    },
                    _ => {
                        // Newcomers find their place among those who are there.
                        *producer = ring.producer().unwrap();
                        *consumer = ring.consumer().unwrap();
                        continue;
                    }
                };
                model.extend(&run[..pushed]);
                next += pushed as u64;
                for item in popped {
                    assert_eq!(Some(item), model.pop_front(), "{capacity}, {before} before");
                }
                assert_eq!(ring.len(), model.len());
            }
            // What is left comes out, and every slot can be used again: the skipped ones from the next lap on.
            assert!(consumers[0].try_iter().eq(model));
            for item in 0..2 * capacity as u64 {
                producers[0].try_push(item).unwrap();
                assert_eq!(consumers[1].try_pop(), Ok(item));
            }
            let all: Vec<u64> = (0..capacity as u64).collect();
            assert!(all.iter().all(|&item| producers[1].try_push(item).is_ok()));
            assert!(ring.is_full() && producers[0].try_push(0).is_err());
            assert!(consumers[0].try_iter().eq(all));
        }
    }
}
