//! How long a wait sleeps, and when it gives way.

use super::*;

fn looks_while_giving_way(yields: u32, deadline: Option<Instant>) -> u32 {
    let waiter = Waiter::one_of_many(0, Waiting::Sleep, false, yields);
    let mut looks = 0;
    let end = waiter.give_way(deadline, &mut |_| {
        looks += 1;
        Look::<()>::NotYet
    });
    assert!(end.is_none());
    looks
}

#[test]
fn a_slice_is_four_fifths_of_the_interval_and_short_where_a_wait_may_be_cancelled() {
    let slice = |cancel: &Cancel, interval: Duration| {
        let mut how = WaitOptions::default();
        how.notice_within(interval);
        let waiter = Waiter::alone(0, Waiting::Sleep, false);
        waiter.ended_by(cancel, how).slice
    };
    let cancel = Cancel::default();
    let ms = Duration::from_millis;
    assert_eq!(slice(&cancel, ms(100)), SLICE);
    assert_eq!(WaitOptions::default().slice(), SLICE);
    assert_eq!(slice(&cancel, ms(1000)), ms(800));
    assert_eq!(slice(&cancel, ms(10)), ms(8));
    assert_eq!(slice(&cancel, Duration::ZERO), ms(1));
    assert_eq!(slice(&cancel, Duration::MAX), ms(u32::MAX.into()));
    cancel.share();
    assert_eq!(slice(&cancel, ms(1000)), SLICE);
    assert_eq!(slice(&cancel, ms(10)), ms(8));
    assert_eq!(size_of::<WaitOptions>(), 8);
}

#[test]
fn nobody_gives_way_when_time_is_short() {
    let now = Instant::now();
    for left in [Duration::ZERO, GIVE_WAY] {
        assert_eq!(looks_while_giving_way(16, Some(now + left)), 0);
    }
    for deadline in [None, Some(now + Duration::from_secs(60))] {
        assert!((1..=16).contains(&looks_while_giving_way(16, deadline)));
        assert_eq!(looks_while_giving_way(0, deadline), 0);
    }
}
