//! Killed after single instructions of everything that is no operation: making a token, creating a ring, taking
//! it over from a dead initialiser, taking an entry of the participant table, also one of the dead, and leaving
//! it.
//!
//! Whenever the process dies, the next one can create, open, enter and go on at once, with every item there and
//! every entry free again. What may be left is one token that can be told from everything else, and the ring
//! itself.

use crate::common::{OwnedKey, Peer, peer};
use crate::instructions::{is_possible, kill_stepped, look};
use crate::single_step::{self, Led, Trace, breakpoint};
use crate::support::{Random, alone, attach, budget, id, ring, ring_with, seed};
use crate::tokens::{is_token, left_by};
use std::collections::BTreeMap;
use std::time::Duration;
use sysvshm::bounded_buffer::mpmc::{BoundedBuffer, Options};
use sysvshm::{Key, Segment, SegmentId, SegmentOptions, Status};

const CAPACITY: usize = 4;
const PARTICIPANTS: usize = 3;
/// The first entry of the table, and from one to the next.
const TABLE: usize = 1408;
const ENTRY: usize = 64;

/// What the process does that is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    CreateNew,
    OpenOrCreate,
    /// There is a segment, whose initialiser is dead.
    TakeOverInitialiser,
    EnterAsProducer,
    EnterAsConsumer,
    /// The table is full of the dead.
    EnterAfterTheDead,
    LeaveAsProducer,
    LeaveAsConsumer,
    /// With two items claimed by a guard that was forgotten, which go back.
    LeaveWithItems,
    /// With a slot reserved by a guard that was forgotten, which is skipped.
    LeaveWithSlots,
}

const SCENES: [Scene; 10] = [
    Scene::CreateNew,
    Scene::OpenOrCreate,
    Scene::TakeOverInitialiser,
    Scene::EnterAsProducer,
    Scene::EnterAsConsumer,
    Scene::EnterAfterTheDead,
    Scene::LeaveAsProducer,
    Scene::LeaveAsConsumer,
    Scene::LeaveWithItems,
    Scene::LeaveWithSlots,
];

impl Scene {
    fn creates(self) -> bool {
        matches!(
            self,
            Self::CreateNew | Self::OpenOrCreate | Self::TakeOverInitialiser
        )
    }

    /// Leaving is no time to make a token.
    fn makes_token(self) -> bool {
        !matches!(
            self,
            Self::LeaveAsProducer
                | Self::LeaveAsConsumer
                | Self::LeaveWithItems
                | Self::LeaveWithSlots
        )
    }
}

fn options() -> Options {
    let mut options = Options::new();
    options.capacity(CAPACITY).participants(PARTICIPANTS);
    options
}

/// The part that is stepped. `stop` asks to be traced.
fn play(scene: Scene, target: i64, stop: impl FnOnce()) {
    let key = Key::from_raw(target as i32);
    let ring = || attach::<u64>(target as i32);
    match scene {
        Scene::CreateNew => {
            stop();
            let ring = options().create_new::<u64>(key);
            breakpoint();
            ring.unwrap();
        }
        Scene::OpenOrCreate | Scene::TakeOverInitialiser => {
            stop();
            let ring = options().open_or_create::<u64>(key);
            breakpoint();
            ring.unwrap();
        }
        Scene::EnterAsProducer | Scene::EnterAfterTheDead => {
            let ring = ring();
            stop();
            let producer = ring.producer();
            breakpoint();
            producer.unwrap();
        }
        Scene::EnterAsConsumer => {
            let ring = ring();
            stop();
            let consumer = ring.consumer();
            breakpoint();
            consumer.unwrap();
        }
        Scene::LeaveAsProducer | Scene::LeaveWithSlots => {
            let mut producer = ring().producer().unwrap();
            if scene == Scene::LeaveWithSlots {
                std::mem::forget(producer.try_reserve(1).unwrap());
            }
            stop();
            drop(producer);
            breakpoint();
        }
        Scene::LeaveAsConsumer | Scene::LeaveWithItems => {
            let mut consumer = ring().consumer().unwrap();
            if scene == Scene::LeaveWithItems {
                std::mem::forget(consumer.try_peek(2).unwrap());
            }
            stop();
            drop(consumer);
            breakpoint();
        }
    }
}

/// A ring that holds the items 2, 3 and 4.
fn used_ring(scene: Scene, dead: u64) -> BoundedBuffer<u64> {
    let ring: BoundedBuffer<u64> = ring_with(&options());
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for item in 0..5 {
        producer.push(item).unwrap();
        if item < 2 {
            assert_eq!(consumer.pop(), Ok(item));
        }
    }
    drop((producer, consumer));
    if scene == Scene::EnterAfterTheDead {
        for index in 0..PARTICIPANTS {
            let entry = ring.segment().reference::<u64>(TABLE + index * ENTRY);
            entry.unwrap().store(dead);
        }
    }
    ring
}

/// A segment under a key as one leaves it who died while initialising it.
fn half_a_ring(key: Key, dead: u64) -> Segment {
    let whole: BoundedBuffer<u64> = ring_with(&options());
    let segment = SegmentOptions::new()
        .size_bytes(whole.segment().len_bytes())
        .create_new(key)
        .unwrap();
    // Remains of its work, which must not matter.
    for (at, value) in [
        (0, u64::from_ne_bytes(*b"svshmpmc")),
        (8, dead),
        (32, 99),
        (256, 0x1234),
        (TABLE, dead),
        (TABLE + 192, 77),
    ] {
        segment.reference::<u64>(at).unwrap().store(value);
    }
    segment
}

/// How a death came out.
struct Outcome {
    /// Whether it went along the path that is known.
    is_on_path: bool,
    token: bool,
    picture: String,
}

/// Leads a process and kills it, and lets others go on.
fn outcome(stepped: &Peer, scene: Scene, dead: u64, lead: impl FnOnce(i32) -> Led) -> Outcome {
    let key = OwnedKey::random();
    let half = (scene == Scene::TakeOverInitialiser).then(|| half_a_ring(key.key(), dead));
    let ring = (!scene.creates()).then(|| used_ring(scene, dead));
    let target = ring.as_ref().map_or(key.key().as_raw(), id);
    let number = SCENES.iter().position(|&other| other == scene).unwrap();
    let mut running = stepped.clone().arg(number).arg(target).start();
    let thread: i32 = running.hear().parse().unwrap();
    let led = lead(thread);
    let pid = running.pid();
    kill_stepped(running, thread);

    let what = format!("{scene:?}, after {} instructions", led.executed);
    let (tokens, others): (Vec<Status>, Vec<Status>) = left_by(pid).into_iter().partition(is_token);
    assert!(tokens.len() <= 1, "{what}: {tokens:?}");
    assert!(
        others.iter().all(|status| status.key() == key.key()),
        "{what}: {others:?}"
    );
    for token in &tokens {
        token.id().mark_for_removal().unwrap();
    }
    let picture = match &ring {
        None => after_creation(key.key(), &what),
        Some(ring) => after_entry(ring, &what),
    };
    drop(half);
    Outcome {
        is_on_path: led.is_on_path,
        token: !tokens.is_empty(),
        picture,
    }
}

/// The next process creates or opens the ring at once, which then works. Says what the dead one had left.
fn after_creation(key: Key, what: &str) -> String {
    let picture = match SegmentId::find(key) {
        Err(_) => "no segment",
        Ok(id) => match id.attach().unwrap().reference::<u64>(8).unwrap().load() {
            0 => "untouched",
            1 => "ready",
            _ => "begun",
        },
    };
    // It has nobody to wait for.
    let opened = Options::new().patience(Duration::ZERO).open::<u64>(key);
    // Who may not initialise finds a whole ring or is told that there is none.
    // If the dead one had said all, it is taken over.
    match picture {
        "begun" => {}
        _ => assert_eq!(opened.is_ok(), picture == "ready", "{what}: {opened:?}"),
    }
    let ring = options()
        .patience(Duration::ZERO)
        .open_or_create::<u64>(key)
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(ring.participants().is_empty(), "{what}");
    assert!(look(&ring).is_empty(), "{what}");
    let again = Options::new().open::<u64>(key).unwrap();
    assert_eq!(again.generation(), ring.generation(), "{what}");
    picture.to_owned()
}

/// The next processes enter at once and find every item. Says what the dead one had left.
fn after_entry(ring: &BoundedBuffer<u64>, what: &str) -> String {
    let entries = ring.participants().len();
    let found = ring.recover().unwrap();
    assert!(ring.participants().is_empty(), "{what}");
    let mut items = look(ring);
    // Those that were given back come behind the others.
    items.sort_unstable();
    assert_eq!(items, [2, 3, 4], "{what}");
    format!(
        "{entries} entries, {} redelivered, {} skipped",
        found.redelivered, found.skipped
    )
}

/// Around every system call, at each change of what is left, and at random; or after every instruction with
/// `SYSVSHM_STEPS=all`.
#[test]
fn killed_while_beginning_or_leaving() {
    let stepped = peer!(|talk| {
        let target = talk.arg(1);
        play(SCENES[talk.arg::<usize>(0)], target, || {
            talk.say(single_step::trace_me());
            breakpoint();
        });
    });
    let holder = peer!(|talk| {
        let ring: BoundedBuffer<u64> = attach(talk.arg(0));
        let _producer = ring.producer().unwrap();
        talk.say("held");
        talk.hear();
    });
    if !is_possible() {
        return;
    }
    let _alone = alone();
    let dead = {
        let ring = ring::<u64>(CAPACITY);
        let mut running = holder.arg(id(&ring)).start();
        assert_eq!(running.hear(), "held");
        let claim = ring.segment().reference::<u64>(TABLE).unwrap().load();
        running.kill();
        claim
    };
    let some = budget("SYSVSHM_STEPS_EACH", 2);
    let done = single_step::with_each(&SCENES, |&scene| {
        let mut random = Random::new(seed());
        let mut trace = Trace::default();
        outcome(&stepped, scene, dead, |thread| {
            trace = single_step::trace(thread, || false);
            trace.end()
        });
        let (mut left, mut elsewhere) = (0, 0);
        // What was there after so many instructions.
        let mut stages: BTreeMap<u64, String> = BTreeMap::new();
        let mut next = trace.places(some, |end| random.below(end));
        while !next.is_empty() {
            for k in next {
                let outcome = outcome(&stepped, scene, dead, |thread| {
                    single_step::run_to(thread, &trace, k)
                });
                left += u64::from(outcome.token);
                elsewhere += usize::from(!outcome.is_on_path);
                stages.insert(k, outcome.picture);
            }
            next = single_step::between_stages(&stages);
        }
        (trace, stages, left, elsewhere)
    });
    let (mut covered, mut kills, mut tokens) = (0, 0, 0);
    for (scene, (trace, stages, left, elsewhere)) in SCENES.iter().zip(done) {
        let mut pictures: BTreeMap<&str, u64> = BTreeMap::new();
        for picture in stages.values() {
            *pictures.entry(picture).or_default() += 1;
        }
        println!(
            "{scene:?}: {} instructions, {} of them system calls, {}, {left} left a token, {pictures:?}",
            trace.total(),
            trace.calls.len(),
            single_step::kills_in_words(stages.len(), elsewhere)
        );
        assert!(pictures.len() >= 2, "cut off at each stage: {pictures:?}");
        assert_eq!(left > 0, scene.makes_token(), "{scene:?}");
        covered += trace.total();
        kills += stages.len();
        tokens += left;
    }
    println!("{covered} instructions in all, {kills} kills, {tokens} tokens found and removed");
}
