//! One participant dies, after each of its accesses in turn.

use super::*;

/// Every slot can be used: pushes as many as fit, twice, and pops them.
fn is_whole(model: Model) {
    model.recover();
    let mut producer = Handle::enter(model, Role::Producer, 8);
    let mut consumer = Handle::enter(model, Role::Consumer, 9);
    let capacity = u64::from(model.parts.g.capacity);
    for item in 0..2 * capacity {
        assert_eq!((producer.push(&[item]), consumer.pop(1)), (1, vec![item]));
    }
    for item in 0..capacity {
        assert_eq!(producer.push(&[item]), 1);
    }
    assert_eq!(producer.push(&[0]), 0);
    assert_eq!(consumer.drain(), (0..capacity).collect::<Vec<_>>());
}

fn a_producer_dies(capacity: u64, items: &'static [u64]) {
    a_producer_dies_committing(capacity, items, items.len(), Bug::None);
}

/// Of the items that it reserved slots for, the producer commits the first `count`.
fn a_producer_dies_committing(capacity: u64, items: &'static [u64], count: usize, bug: Bug) {
    for_every_death(move |k| {
        let model = Model::with(capacity, bug);
        let mut consumer = Handle::enter(model, Role::Consumer, 2);
        let dying = thread::spawn(move || {
            until_death(model, || {
                Handle::enter(model.mortal(k), Role::Producer, 1).commit(items, count as u32);
            })
        });
        let living = thread::spawn(move || {
            let mut found = consumer.pop(1);
            model.recover();
            found.extend(consumer.pop(1));
            (consumer, found)
        });
        let lived = dying.join().unwrap();
        let (mut consumer, mut found) = living.join().unwrap();
        model.recover();
        found.extend(consumer.drain());
        let pushed = &items[..count.min(capacity as usize)];
        assert!(found == pushed || !lived && found.is_empty(), "{found:?}");
        table::leave(
            model,
            &model.parts.g,
            Owner::new(0),
            OwnerId::from_word(2).unwrap(),
        );
        if !lived {
            is_whole(model);
        }
        lived
    });
}

fn a_consumer_dies(capacity: u64, wanted: u32) {
    a_consumer_dies_releasing(capacity, wanted, wanted, Bug::None);
}

/// Of the items that it looked at, the consumer releases the first `count`.
fn a_consumer_dies_releasing(capacity: u64, wanted: u32, count: u32, bug: Bug) {
    for_every_death(move |k| {
        let model = Model::with(capacity, bug);
        let items: Vec<u64> = (1..=capacity).collect();
        Handle::enter(model, Role::Producer, 3).push(&items);
        table::leave(
            model,
            &model.parts.g,
            Owner::new(0),
            OwnerId::from_word(3).unwrap(),
        );
        let mut consumer = Handle::enter(model, Role::Consumer, 2);
        let batch = Arc::new(Batch::default());
        let its_batch = batch.clone();
        let dying = thread::spawn(move || {
            until_death(model, || {
                let mut handle = Handle::enter(model.mortal(k), Role::Consumer, 1);
                handle.release(wanted, count, &its_batch);
            })
        });
        let living = thread::spawn(move || {
            let mut found = consumer.pop(1);
            model.recover();
            found.extend(consumer.pop(1));
            (consumer, found)
        });
        let lived = dying.join().unwrap();
        let (mut consumer, mut found) = living.join().unwrap();
        model.recover();
        found.extend(consumer.drain());
        found.sort_unstable();
        // Everything, or everything but what it was about to pop: all of it or nothing, and nothing twice.
        let batch = batch.lock().unwrap();
        let but_batch: Vec<u64> = items
            .iter()
            .filter(|item| !batch.contains(item))
            .copied()
            .collect();
        assert!(
            found == but_batch || !lived && found == items,
            "{found:?} beside {batch:?}"
        );
        table::leave(
            model,
            &model.parts.g,
            Owner::new(0),
            OwnerId::from_word(2).unwrap(),
        );
        if !lived {
            is_whole(model);
        }
        lived
    });
}

#[test]
fn model_a_producer_dies_one_slot() {
    a_producer_dies(1, &[7]);
}

#[test]
fn model_a_producer_dies_in_a_batch() {
    a_producer_dies(2, &[7, 8]);
}

#[test]
fn model_a_consumer_dies_one_slot() {
    a_consumer_dies(1, 1);
}

#[test]
fn model_a_consumer_dies_in_a_batch() {
    a_consumer_dies(3, 2);
}

/// Two of three reserved slots; the third is skipped.
#[test]
fn model_a_producer_dies_committing_a_part() {
    a_producer_dies_committing(3, &[7, 8, 9], 2, Bug::None);
}

/// Two of three items; the third is delivered again.
#[test]
fn model_a_consumer_dies_releasing_a_part() {
    a_consumer_dies_releasing(3, 3, 2, Bug::None);
}

#[test]
#[should_panic(expected = "[7]")]
fn model_notices_a_batch_published_from_its_first_slot_on() {
    a_producer_dies_committing(3, &[7, 8, 9], 2, Bug::FirstSlotFirst);
}

#[test]
#[should_panic(expected = "beside")]
fn model_notices_a_pop_that_is_not_said_before_its_slots_are_free() {
    a_consumer_dies_releasing(3, 3, 2, Bug::NotDrained);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_notices_relaxed_stores() {
    a_producer_dies_committing(2, &[7, 8], 2, Bug::Relaxed);
}
