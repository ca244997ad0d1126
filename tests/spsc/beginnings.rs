//! Killed after single instructions of everything that is no operation: making a token, creating a ring, taking
//! it over from a dead initialiser, claiming a role, taking it over from the dead, giving it back. All of it
//! calls the kernel.
//!
//! Whenever the process dies, the next one can create, open, claim and go on at once, with every item in order.
//! What may be left is one token that can be told from everything else, and the ring itself.

use crate::instructions::look;
use crate::single_step::{self, Led, Trace, breakpoint};
use crate::support::{
    LAYOUTS, Peer, Random, alone, attach, budget, id, ring, ring_with, say, seed,
};
use crate::tokens::{is_token, left_by};
use std::collections::BTreeMap;
use std::time::Duration;
use sysvshm::bounded_buffer::PeerState;
use sysvshm::bounded_buffer::spsc::{BoundedBuffer, Layout, Options};
use sysvshm::{Key, Segment, SegmentId, SegmentOptions, Status};

const CAPACITY: usize = 4;

/// What the process does that is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    CreateNew,
    OpenOrCreate,
    /// There is a segment, whose initialiser is dead.
    TakeOverInitialiser,
    ClaimProducer,
    ClaimConsumer,
    TakeOverProducer,
    TakeOverConsumer,
    LeaveAsProducer,
    LeaveAsConsumer,
}

const SCENES: [Scene; 9] = [
    Scene::CreateNew,
    Scene::OpenOrCreate,
    Scene::TakeOverInitialiser,
    Scene::ClaimProducer,
    Scene::ClaimConsumer,
    Scene::TakeOverProducer,
    Scene::TakeOverConsumer,
    Scene::LeaveAsProducer,
    Scene::LeaveAsConsumer,
];

impl Scene {
    fn creates(self) -> bool {
        matches!(
            self,
            Self::CreateNew | Self::OpenOrCreate | Self::TakeOverInitialiser
        )
    }
}

/// The process that is stepped. Numbers: scene, layout, a key or the identifier of a ring.
pub(crate) fn peer(numbers: &[u64]) {
    let scene = SCENES[numbers[0] as usize];
    let mut options = Options::new();
    options
        .capacity(CAPACITY)
        .layout(LAYOUTS[numbers[1] as usize]);
    let key = Key::from_raw(numbers[2] as i32);
    let ring = || attach::<u64>(numbers[2]);
    let stop = || {
        say(&format!("thread {}", single_step::trace_me()));
        breakpoint();
    };
    match scene {
        Scene::CreateNew => {
            stop();
            let ring = options.create_new::<u64>(key);
            breakpoint();
            ring.unwrap();
        }
        Scene::OpenOrCreate | Scene::TakeOverInitialiser => {
            stop();
            let ring = options.open_or_create::<u64>(key);
            breakpoint();
            ring.unwrap();
        }
        Scene::ClaimProducer | Scene::TakeOverProducer => {
            let ring = ring();
            stop();
            let producer = ring.producer();
            breakpoint();
            producer.unwrap();
        }
        Scene::ClaimConsumer | Scene::TakeOverConsumer => {
            let ring = ring();
            stop();
            let consumer = ring.consumer();
            breakpoint();
            consumer.unwrap();
        }
        Scene::LeaveAsProducer => {
            let producer = ring().producer().unwrap();
            stop();
            drop(producer);
            breakpoint();
        }
        Scene::LeaveAsConsumer => {
            let consumer = ring().consumer().unwrap();
            stop();
            drop(consumer);
            breakpoint();
        }
    }
}

/// Whatever has this key when the value goes is removed.
struct OwnedKey(Key);

impl Drop for OwnedKey {
    fn drop(&mut self) {
        if let Ok(id) = SegmentId::find(self.0) {
            let _ = id.mark_for_removal();
        }
    }
}

/// The claim of a process that held a role and was killed.
fn dead_claim() -> u64 {
    let ring = ring::<u64>(CAPACITY, Layout::Interleaved);
    let mut peer = Peer::start("hold", &[id(&ring)]);
    peer.expect("held");
    let claim = ring.segment().reference::<u64>(128).unwrap().load();
    peer.kill();
    assert_eq!(ring.producer_state(), PeerState::Dead);
    claim
}

/// A ring that holds the items 2, 3 and 4, of which the named sides belong to the dead, who died asleep.
fn used_ring(scene: Scene, layout: Layout, dead: u64) -> BoundedBuffer<u64> {
    let ring: BoundedBuffer<u64> = ring_with(Options::new().capacity(CAPACITY).layout(layout));
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push_slice(&[0, 1, 2]).unwrap();
    assert_eq!((consumer.pop(), consumer.pop()), (Ok(0), Ok(1)));
    producer.push_slice(&[3, 4]).unwrap();
    drop((producer, consumer));
    let (claim, sleeps) = match scene {
        Scene::TakeOverProducer => (128, 512),
        Scene::TakeOverConsumer => (144, 640),
        _ => return ring,
    };
    ring.segment().reference::<u64>(claim).unwrap().store(dead);
    ring.segment().reference::<u32>(sleeps).unwrap().store(1);
    ring
}

/// A segment under a key as one leaves it who died while initialising it.
fn half_a_ring(key: Key, layout: Layout, dead: u64) -> Segment {
    let mut options = Options::new();
    options.capacity(CAPACITY).layout(layout);
    let whole: BoundedBuffer<u64> = ring_with(&options);
    let segment = SegmentOptions::new()
        .size_bytes(whole.segment().len_bytes())
        .create_new(key)
        .unwrap();
    // Remains of its work, which must not matter.
    let magic = u64::from_ne_bytes(*b"svshspsc");
    for (at, value) in [(0, magic), (8, dead), (32, 99), (256, 0x1234), (768, 77)] {
        segment.reference::<u64>(at).unwrap().store(value);
    }
    segment
}

/// How a death came out.
struct Outcome {
    /// Whether it went along the path that is known.
    is_on_path: bool,
    tokens: usize,
    picture: String,
}

/// Leads a process and kills it, and lets others go on.
fn outcome(scene: Scene, layout: Layout, dead: u64, lead: impl FnOnce(i32) -> Led) -> Outcome {
    let key = OwnedKey(Key::random().unwrap());
    let half = (scene == Scene::TakeOverInitialiser).then(|| half_a_ring(key.0, layout, dead));
    let ring = (!scene.creates()).then(|| used_ring(scene, layout, dead));
    let target = ring.as_ref().map_or(key.0.as_raw() as u64, id);
    let index_of = |wanted| SCENES.iter().position(|&scene| scene == wanted).unwrap();
    let numbers = [
        index_of(scene) as u64,
        u64::from(layout != LAYOUTS[0]),
        target,
    ];
    let mut peer = Peer::start("begin-step", &numbers);
    let thread = peer.expect_number("thread ");
    let led = lead(thread);
    peer.signal(libc::SIGKILL);
    single_step::see_the_end(thread);
    peer.child.wait().unwrap();

    let what = format!("{layout:?}, {scene:?}, after {} instructions", led.executed);
    let (tokens, others): (Vec<Status>, Vec<Status>) =
        left_by(peer.child.id()).into_iter().partition(is_token);
    assert!(tokens.len() <= 1, "{what}: {tokens:?}");
    assert!(
        others.iter().all(|status| status.key() == key.0),
        "{what}: {others:?}"
    );
    for token in &tokens {
        token.id().mark_for_removal().unwrap();
    }
    let picture = match &ring {
        None => after_creation(key.0, layout, &what),
        Some(ring) => after_role(ring, &what),
    };
    drop(half);
    Outcome {
        is_on_path: led.is_on_path,
        tokens: tokens.len(),
        picture,
    }
}

/// The next process creates or opens the ring at once, which then works. Says what the dead one had left.
fn after_creation(key: Key, layout: Layout, what: &str) -> String {
    let picture = match SegmentId::find(key) {
        Err(_) => "no segment",
        Ok(id) => {
            let segment = id.attach().unwrap();
            match segment.reference::<u64>(8).unwrap().load() {
                0 => "untouched",
                1 => "ready",
                _ => "begun",
            }
        }
    };
    let mut options = Options::new();
    // It has nobody to wait for.
    options.patience(Duration::ZERO);
    // Who may not initialise finds a whole ring or is told that there is none.
    let opened = options.open::<u64>(key);
    // If the dead one had said all, it is taken over.
    match picture {
        "begun" => {}
        _ => assert_eq!(opened.is_ok(), picture == "ready", "{what}: {opened:?}"),
    }
    options.capacity(CAPACITY).layout(layout);
    let ring = options
        .open_or_create::<u64>(key)
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let sides = (ring.producer_state(), ring.consumer_state());
    assert_eq!(sides, (PeerState::Never, PeerState::Never), "{what}");
    assert!(look(&ring).is_empty(), "{what}");
    let again = Options::new().open::<u64>(key).unwrap();
    assert_eq!(again.generation(), ring.generation(), "{what}");
    picture.to_owned()
}

/// The next process claims the roles at once, at the exact positions. Says what the dead one had left.
fn after_role(ring: &BoundedBuffer<u64>, what: &str) -> String {
    let states = (ring.producer_state(), ring.consumer_state());
    for state in [states.0, states.1] {
        assert!(
            matches!(state, PeerState::Left | PeerState::Dead),
            "{what}: {state:?}"
        );
    }
    let (producer, consumer) = (ring.producer(), ring.consumer());
    let positions = (
        producer.expect(what).position(),
        consumer.expect(what).position(),
    );
    assert_eq!(positions, (5, 2), "{what}");
    assert_eq!(look(ring), [2, 3, 4], "{what}");
    format!("producer {:?}, consumer {:?}", states.0, states.1)
}

/// Around every system call and at random, or after every instruction with `SYSVSHM_STEPS=all`.
#[test]
fn killed_while_beginning_or_leaving() {
    if !single_step::IS_POSSIBLE {
        eprintln!("skipped: single steps are for x86-64 Linux");
        return;
    }
    let _alone = alone();
    let dead = dead_claim();
    let some = budget("SYSVSHM_STEPS_EACH", 2);
    let done = single_step::with_each(&SCENES, |&scene| {
        let mut random = Random::new(seed());
        // Both layouts, in turn; their paths differ.
        let traces = LAYOUTS.map(|layout| {
            let mut trace = Trace::default();
            outcome(scene, layout, dead, |thread| {
                trace = single_step::trace(thread, || false);
                trace.end()
            });
            assert!(!trace.calls.is_empty(), "{scene:?}");
            trace
        });
        let (mut left, mut elsewhere) = (0, 0);
        // What was there after so many instructions.
        let mut stages: BTreeMap<u64, String> = BTreeMap::new();
        let mut next = traces[0].places(some, |end| random.below(end));
        while !next.is_empty() {
            for k in next {
                let which = k as usize % 2;
                let outcome = outcome(scene, LAYOUTS[which], dead, |thread| {
                    single_step::run_to(thread, &traces[which], k)
                });
                left += outcome.tokens;
                elsewhere += usize::from(!outcome.is_on_path);
                stages.insert(k, outcome.picture);
            }
            next = single_step::between_stages(&stages);
        }
        (traces, stages, left, elsewhere)
    });
    let (mut covered, mut kills, mut tokens) = (0, 0, 0);
    for (&scene, (traces, stages, left, elsewhere)) in SCENES.iter().zip(done) {
        let mut pictures: BTreeMap<&str, u64> = BTreeMap::new();
        for picture in stages.values() {
            *pictures.entry(picture).or_default() += 1;
        }
        println!(
            "{scene:?}: {} instructions, {} of them system calls, {}, {left} left a token, {pictures:?}",
            traces[0].total(),
            traces[0].calls.len(),
            single_step::kills_in_words(stages.len(), elsewhere)
        );
        // Each stage was cut off somewhere.
        let expected = match scene {
            Scene::CreateNew | Scene::OpenOrCreate => 4,
            Scene::TakeOverProducer | Scene::TakeOverConsumer => 1,
            _ => 2,
        };
        assert_eq!(pictures.len(), expected, "{pictures:?}");
        // Giving a role back is no time to make a token.
        let makes_token = !matches!(scene, Scene::LeaveAsProducer | Scene::LeaveAsConsumer);
        assert_eq!(left > 0, makes_token, "{scene:?}");
        covered += traces[0].total();
        kills += stages.len();
        tokens += left;
    }
    println!("{covered} instructions in all, {kills} kills, {tokens} tokens found and removed");
}
