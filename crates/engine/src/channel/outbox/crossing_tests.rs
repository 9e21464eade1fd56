use std::time::{Duration, Instant};

use bytes::Bytes;
use pipehat_connectors::Attempt;
use pipehat_journal::Position;

use super::{Delivery, LoadRequest, Outbox, Policy, Verdict};
use crate::ledger::{DeliveryKey, Queue};
use crate::names::MessageId;

fn key(number: u64) -> DeliveryKey {
    let processed = Position::new(number).expect("positions start at 1");
    DeliveryKey { processed, ordinal: 1 }
}

fn delivery(number: u64) -> Delivery {
    Delivery {
        key: key(number),
        message: MessageId(key(number).processed),
        bytes: Bytes::from_static(b"MSH"),
        lanes: vec![1],
        siblings: Vec::new(),
        file: None,
    }
}

fn not_sent() -> Attempt {
    Attempt::NotSent { code: "test.down", detail: "it is down".to_owned() }
}

#[test]
fn while_one_delivery_knocks_nothing_else_is_due() {
    let now = Instant::now();
    let mut outbox = Outbox::new(Policy::default(), 4, 4);
    outbox.offer(delivery(1));
    outbox.offer(delivery(2));
    outbox.next(now).expect("the first is sent");
    let retry = outbox.tried(key(1), not_sent(), now, 0);
    assert!(matches!(retry, Some(Verdict::Retry { .. })));
    let due = outbox.next_due().expect("a time to knock");
    assert!(due > now);
    assert_eq!(outbox.next(due).expect("it knocks").0.key, key(1));
    assert_eq!(outbox.next(due), None);
    // Or the conductor would look again and again until the knock is answered.
    assert_eq!(outbox.next_due(), None);
}

#[test]
fn a_delivery_read_twice_is_held_once() {
    let now = Instant::now();
    let mut outbox = Outbox::new(Policy::default(), 1, 1);
    outbox.must_load([key(1)]);
    let asked = outbox.wants(&Queue::default()).expect("something to read");
    outbox.loaded(&asked, vec![delivery(1)], |_| true);
    outbox.must_load([key(1)]);
    let asked = outbox.wants(&Queue::default()).expect("something to read");
    outbox.loaded(&asked, vec![delivery(1)], |_| true);
    outbox.offer(delivery(2));
    outbox.next(now).expect("the first is sent");
    outbox.tried(key(1), Attempt::Delivered { reply: None }, now, 0);
    outbox.settle(key(1));
    assert_eq!(outbox.next(now).expect("its lane is free").0.key, key(2));
}

#[test]
fn what_is_no_longer_open_is_not_read_for_ever() {
    let mut outbox = Outbox::new(Policy::default(), 1, 1);
    outbox.must_load([key(1)]);
    let asked = outbox.wants(&Queue::default()).expect("something to read");
    assert_eq!(asked, LoadRequest::These(vec![key(1)]));
    outbox.loaded(&asked, vec![delivery(1)], |_| false);
    assert_eq!(outbox.wants(&Queue::default()), None);
}

#[test]
fn a_narrower_window_keeps_the_order_of_what_is_under_way() {
    let now = Instant::now();
    let mut outbox = Outbox::new(Policy::default(), 4, 4);
    for number in 1..=4 {
        outbox.offer(delivery(number));
    }
    outbox.next(now).expect("the first is sent");
    outbox.next(now).expect("the second follows on the same connection");
    outbox.reconfigure(Policy::default(), 4, 1);
    assert_eq!(outbox.next(now), None);
    for number in [1, 2] {
        outbox.tried(key(number), Attempt::Delivered { reply: None }, now, 0);
        outbox.settle(key(number));
    }
    assert_eq!(outbox.next(now), None);
    let asked = outbox.wants(&Queue::default()).expect("the rest is read anew");
    assert_eq!(asked, LoadRequest::These(vec![key(3), key(4)]));
    outbox.loaded(&asked, vec![delivery(3), delivery(4)], |_| true);
    assert_eq!(outbox.next(now + Duration::from_secs(1)).expect("one").0.key, key(3));
    assert_eq!(outbox.next(now + Duration::from_secs(1)), None);
}
