use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pipehat_connectors::{Answer, Attempt, OnRefusal};
use pipehat_journal::Position;
use proptest::prelude::{any, proptest};

use super::{
    Delivery, HELD_BYTES_MAX, HELD_MAX, LoadRequest, OnInterrupted, Outbox, Policy, Verdict,
};
use crate::ledger::{DeliveryKey, Queue};
use crate::names::MessageId;
use crate::project::Unanswered;
use crate::record::SettledOutcome;
use crate::retry::RetryPolicy;

const SECOND: Duration = Duration::from_secs(1);

static BUSY: Answer = Answer { name: "AR", class: None, default: OnRefusal::Retry, doc: "Busy." };
static NOT_FOUND: Answer =
    Answer { name: "404", class: Some("4xx"), default: OnRefusal::Park, doc: "Not found." };

fn position(number: u64) -> Position {
    Position::new(number).expect("positions start at 1")
}

fn key(number: u64) -> DeliveryKey {
    DeliveryKey { processed: position(number), ordinal: 1 }
}

fn delivery(number: u64, lane: u64, bytes: usize) -> Delivery {
    Delivery {
        key: key(number),
        message: MessageId(position(number)),
        bytes: Bytes::from(vec![0; bytes]),
        lanes: vec![lane],
        siblings: Vec::new(),
        file: None,
        change: None,
    }
}

fn policy() -> Policy {
    let retry = RetryPolicy { first: SECOND, most: 8 * SECOND, give_up: None };
    Policy { retry, ..Policy::default() }
}

fn outbox(slots: usize, window: usize, lanes: &[u64]) -> Outbox {
    let mut outbox = Outbox::new(policy(), slots, window);
    for (number, lane) in (1..).zip(lanes) {
        outbox.offer(delivery(number, *lane, 1));
    }
    outbox
}

/// Takes all that may be sent now.
fn send(outbox: &mut Outbox, now: Instant) -> Vec<u64> {
    std::iter::from_fn(|| outbox.next(now))
        .map(|(delivery, _)| delivery.key.processed.get())
        .collect()
}

fn not_sent() -> Attempt {
    Attempt::NotSent { code: "test.not-sent", detail: String::new() }
}

fn interrupted() -> Attempt {
    Attempt::Interrupted { code: "test.interrupted", detail: String::new(), reply: None }
}

fn refused(answer: &'static Answer) -> Attempt {
    Attempt::Refused { code: "test.refused", answer, reply: None }
}

fn delivered(outbox: &mut Outbox, number: u64, now: Instant) {
    let verdict = outbox.tried(key(number), Attempt::Delivered { reply: None }, now, 0);
    let settled = SettledOutcome::Delivered;
    assert!(matches!(verdict, Some(Verdict::Settle { outcome, .. }) if outcome == settled));
    outbox.settle(key(number)).expect("it was held");
}

fn parked(verdict: Option<Verdict>) -> bool {
    matches!(verdict, Some(Verdict::Settle { outcome: SettledOutcome::Parked { .. }, .. }))
}

fn retried(verdict: Option<Verdict>) -> bool {
    matches!(verdict, Some(Verdict::Retry { .. }))
}

#[test]
fn one_of_a_lane_at_a_time_and_as_many_lanes_as_there_are_slots() {
    let now = Instant::now();
    let mut outbox = outbox(2, 1, &[7, 7, 8, 9]);
    assert_eq!(send(&mut outbox, now), [1, 3]);
    delivered(&mut outbox, 1, now);
    assert_eq!(send(&mut outbox, now), [2], "the oldest first");
    delivered(&mut outbox, 3, now);
    assert_eq!(send(&mut outbox, now), [4]);
}

#[test]
fn while_the_peer_is_not_reached_one_delivery_knocks() {
    let now = Instant::now();
    let mut outbox = outbox(3, 1, &[1, 2, 3]);
    assert_eq!(send(&mut outbox, now), [1, 2, 3]);
    for number in 1..=3 {
        assert!(retried(outbox.tried(key(number), not_sent(), now, 0)));
    }
    assert_eq!(outbox.circuit().failures, 1, "connections that fail at once are one failure");
    assert_eq!(outbox.next_due(), Some(now + SECOND));
    assert_eq!(send(&mut outbox, now + SECOND - Duration::from_nanos(1)), [] as [u64; 0]);
    assert_eq!(send(&mut outbox, now + SECOND), [1]);
    assert!(retried(outbox.tried(key(1), not_sent(), now + SECOND, 0)));
    assert_eq!(outbox.next_due(), Some(now + 3 * SECOND), "the pause doubles");
    assert_eq!(send(&mut outbox, now + 3 * SECOND), [1]);
    delivered(&mut outbox, 1, now + 3 * SECOND);
    assert_eq!(outbox.circuit().failures, 0);
    assert_eq!(send(&mut outbox, now + 3 * SECOND), [2, 3], "reached: all at once");
}

#[test]
fn a_delivery_that_pauses_holds_its_lane_and_no_other() {
    let now = Instant::now();
    let mut outbox = outbox(2, 1, &[7, 7, 8]);
    assert_eq!(send(&mut outbox, now), [1, 3]);
    assert!(retried(outbox.tried(key(1), refused(&BUSY), now, 0)));
    delivered(&mut outbox, 3, now);
    assert_eq!(send(&mut outbox, now), [] as [u64; 0]);
    assert_eq!((outbox.retrying(), outbox.next_due()), (1, Some(now + SECOND)));
    let told = outbox.failure().map(|failure| failure.problem.detail.as_str());
    assert_eq!(told, Some("the peer answered AR"));
    assert_eq!(send(&mut outbox, now + SECOND), [1]);
    assert_eq!(outbox.failure(), None);
}

#[test]
fn a_lost_connection_with_a_window_starts_again_in_order() {
    let now = Instant::now();
    let mut outbox = outbox(4, 4, &[7, 7, 7, 7, 7]);
    assert_eq!(send(&mut outbox, now), [1, 2, 3, 4]);
    delivered(&mut outbox, 1, now);
    assert!(retried(outbox.tried(key(2), interrupted(), now, 0)));
    assert!(retried(outbox.tried(key(3), not_sent(), now, u64::MAX)));
    assert!(retried(outbox.tried(key(4), not_sent(), now, 0)));
    assert_eq!(send(&mut outbox, now), [] as [u64; 0]);
    // The destination's pause ends before that of the delivery that was interrupted.
    let due = outbox.next_due().expect("something is due");
    assert!(due < now + SECOND);
    assert_eq!(send(&mut outbox, due), [] as [u64; 0], "nothing passes the one that pauses");
    assert_eq!(send(&mut outbox, now + SECOND), [2]);
    delivered(&mut outbox, 2, now + SECOND);
    assert_eq!(send(&mut outbox, now + SECOND), [3, 4, 5]);
}

#[test]
fn a_knock_ends_all_pauses() {
    let now = Instant::now();
    let mut outbox = outbox(4, 4, &[7, 7, 8]);
    assert_eq!(send(&mut outbox, now), [1, 2, 3]);
    assert!(retried(outbox.tried(key(1), interrupted(), now, 0)));
    assert!(retried(outbox.tried(key(2), not_sent(), now, 0)));
    assert!(retried(outbox.tried(key(3), not_sent(), now, 0)));
    outbox.knock();
    assert_eq!(send(&mut outbox, now), [1, 2, 3]);
}

#[test]
fn the_channel_file_says_what_follows_a_refusal() {
    let now = Instant::now();
    let verdict = |answers: &[(&str, OnRefusal)], attempt| {
        let answers = answers.iter().map(|(name, then)| ((*name).to_owned(), *then)).collect();
        let mut outbox = Outbox::new(Policy { answers, ..policy() }, 1, 1);
        outbox.offer(delivery(1, 7, 1));
        assert_eq!(send(&mut outbox, now), [1]);
        outbox.tried(key(1), attempt, now, 0)
    };
    assert!(parked(verdict(&[], refused(&NOT_FOUND))));
    assert!(retried(verdict(&[], refused(&BUSY))));
    assert!(parked(verdict(&[("AR", OnRefusal::Park)], refused(&BUSY))));
    assert!(retried(verdict(&[("4xx", OnRefusal::Retry)], refused(&NOT_FOUND))), "by its class");
    let both = [("4xx", OnRefusal::Retry), ("404", OnRefusal::Accept)];
    assert!(matches!(
        verdict(&both, refused(&NOT_FOUND)),
        Some(Verdict::Settle { outcome: SettledOutcome::Delivered, .. })
    ));
    let impossible = Attempt::Impossible { code: "test.impossible", detail: String::new() };
    assert!(parked(verdict(&[], impossible)));
}

#[test]
fn an_interrupted_delivery_is_parked_where_the_file_says_so() {
    let now = Instant::now();
    let policy = Policy { on_interrupted: OnInterrupted::Park, ..policy() };
    let mut outbox = Outbox::new(policy, 1, 1);
    outbox.offer(delivery(1, 7, 1));
    assert_eq!(send(&mut outbox, now), [1]);
    assert!(retried(outbox.tried(key(1), not_sent(), now, 0)), "nothing left: no doubt");
    assert_eq!(send(&mut outbox, now + SECOND), [1]);
    assert!(parked(outbox.tried(key(1), interrupted(), now + SECOND, 0)));
}

#[test]
fn it_gives_up_after_the_time_since_the_first_failure() {
    let now = Instant::now();
    let retry = RetryPolicy { first: SECOND, most: SECOND, give_up: Some(3 * SECOND) };
    let mut outbox = Outbox::new(Policy { retry, ..policy() }, 1, 1);
    outbox.offer(delivery(1, 7, 1));
    for second in 0..3 {
        let now = now + second * SECOND;
        assert_eq!(send(&mut outbox, now), [1]);
        assert!(retried(outbox.tried(key(1), refused(&BUSY), now, 0)), "after {second} seconds");
    }
    let now = now + 3 * SECOND;
    assert_eq!(send(&mut outbox, now), [1]);
    let verdict = outbox.tried(key(1), refused(&BUSY), now, 0);
    assert!(matches!(verdict, Some(Verdict::Settle { attempts: 4, .. })), "{verdict:?}");
}

#[test]
fn memory_is_bounded_by_number_and_by_bytes() {
    let mut outbox = Outbox::new(policy(), 1, 1);
    for number in 1..=HELD_MAX as u64 + 10 {
        outbox.offer(delivery(number, number, 1));
    }
    assert_eq!((outbox.held.len(), outbox.to_load.len()), (HELD_MAX, 10));

    let mut outbox = Outbox::new(policy(), 1, 1);
    outbox.offer(delivery(1, 1, HELD_BYTES_MAX + 1));
    outbox.offer(delivery(2, 2, 1));
    assert_eq!((outbox.held.len(), outbox.to_load.len()), (1, 1), "one larger message alone");
}

#[test]
fn what_does_not_fit_is_read_later_and_before_what_is_newer() {
    let now = Instant::now();
    let mut outbox = Outbox::new(policy(), 1, 1);
    outbox.must_load([key(1), key(2), key(3)]);
    outbox.offer(delivery(4, 7, 1));
    let queue = Queue { frontier: Some(position(5)), beyond: 1, ..Queue::default() };
    let asked = outbox.wants(&queue).expect("something to load");
    assert_eq!(asked, LoadRequest::These((1..=4).map(key).collect()));
    assert_eq!(outbox.wants(&queue), None, "one reading at a time");
    // The reading was cut off behind the second, which is not open any more.
    let found = vec![delivery(1, 7, 1), delivery(2, 7, 1)];
    outbox.loaded(&asked, found, |open| *open != key(2));
    let asked = outbox.wants(&queue).expect("the rest");
    assert_eq!(asked, LoadRequest::These(vec![key(3), key(4)]));
    outbox.loaded(&asked, vec![delivery(3, 7, 1), delivery(4, 7, 1)], |_| true);
    let asked = outbox.wants(&queue).expect("what is beyond the frontier");
    assert_eq!(asked, LoadRequest::From(position(5)));
    outbox.load_failed();
    assert_eq!(outbox.wants(&queue), Some(LoadRequest::From(position(5))), "again");
    // What is held already is not held twice.
    outbox.loaded(&asked, vec![delivery(4, 7, 1), delivery(5, 7, 1)], |_| true);
    let mut sent = Vec::new();
    while let Some((next, _)) = outbox.next(now) {
        sent.push(next.key.processed.get());
        delivered(&mut outbox, next.key.processed.get(), now);
    }
    assert_eq!(sent, [1, 3, 4, 5]);
}

proptest! {
    /// Whatever peers do, within a lane the first of each is sent in order, and all are sent.
    #[test]
    fn lanes_keep_their_order(
        window in 1_usize..5,
        slots in 1_usize..5,
        lanes in proptest::collection::vec(0_u64..4, 1..40),
        whims in proptest::collection::vec((0_u8..8, any::<u64>()), 0..200),
    ) {
        let mut now = Instant::now();
        let slots = if window > 1 { window } else { slots };
        let mut outbox = outbox(slots, window, &lanes);
        let mut whims = whims.into_iter();
        let mut under_way: Vec<u64> = Vec::new();
        let mut settled: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let mut count = 0;
        while count < lanes.len() {
            under_way.extend(send(&mut outbox, now));
            if under_way.is_empty() {
                now = outbox.next_due().expect("nothing is forgotten").max(now);
                continue;
            }
            // With a window results are told in order; otherwise in any.
            let (whim, random) = whims.next().unwrap_or((0, 0));
            let place = if window > 1 { 0 } else { random as usize % under_way.len() };
            let number = under_way.remove(place);
            let attempt = match whim {
                0..=4 => Attempt::Delivered { reply: None },
                5 => not_sent(),
                _ => interrupted(),
            };
            let lost = whim > 4 && window > 1;
            match outbox.tried(key(number), attempt, now, random) {
                Some(Verdict::Settle { .. }) => {
                    outbox.settle(key(number)).expect("it was held");
                    let lane = lanes[number as usize - 1];
                    settled.entry(lane).or_default().push(number);
                    count += 1;
                }
                Some(Verdict::Retry { .. }) => {}
                None => panic!("{number} is not held"),
            }
            if lost {
                // The one connection is gone, and with it all that was under way.
                for number in under_way.drain(..) {
                    let attempt = if random.is_multiple_of(2) { interrupted() } else { not_sent() };
                    assert!(retried(outbox.tried(key(number), attempt, now, random)));
                }
            }
        }
        for (lane, numbers) in settled {
            assert!(numbers.is_sorted(), "lane {lane}: {numbers:?}");
        }
    }
}

#[test]
fn while_one_delivery_knocks_nothing_else_is_due() {
    let now = Instant::now();
    let mut outbox = outbox(4, 4, &[1, 1]);
    outbox.next(now).expect("the first is sent");
    outbox.tried(key(1), not_sent(), now, 0);
    let due = outbox.next_due().expect("a time to knock");
    assert!(due > now);
    assert_eq!(send(&mut outbox, due), [1]);
    // Or the conductor would look again and again until the knock is answered.
    assert_eq!(outbox.next_due(), None);
}

#[test]
fn a_narrower_window_keeps_the_order_of_what_is_under_way() {
    let now = Instant::now();
    let mut outbox = outbox(4, 4, &[1, 1, 1, 1]);
    outbox.next(now).expect("the first is sent");
    outbox.next(now).expect("the second follows on the same connection");
    outbox.reconfigure(policy(), 4, 1);
    assert_eq!(outbox.next(now), None);
    for number in [1, 2] {
        outbox.tried(key(number), Attempt::Delivered { reply: None }, now, 0);
        outbox.settle(key(number));
    }
    assert_eq!(outbox.next(now), None);
    let asked = outbox.wants(&Queue::default()).expect("the rest is read anew");
    assert_eq!(asked, LoadRequest::These(vec![key(3), key(4)]));
    outbox.loaded(&asked, vec![delivery(3, 1, 1), delivery(4, 1, 1)], |_| true);
    assert_eq!(send(&mut outbox, now), [3]);
}

#[test]
fn a_changed_window_does_not_begin_the_time_of_giving_up_anew() {
    let (mut now, give_up) = (Instant::now(), Some(60 * SECOND));
    let policy = Policy { retry: RetryPolicy { give_up, ..policy().retry }, ..policy() };
    let mut outbox = Outbox::new(policy.clone(), 4, 4);
    outbox.offer(delivery(1, 1, 1));
    for window in [1, 4] {
        outbox.next(now).expect("it is sent");
        let verdict = outbox.tried(key(1), refused(&BUSY), now, 0);
        assert!(matches!(verdict, Some(Verdict::Retry { .. })), "{verdict:?}");
        now += 30 * SECOND;
        outbox.reconfigure(policy.clone(), 4, window);
        assert_eq!(outbox.next(now), None);
        let asked = outbox.wants(&Queue::default()).expect("it is read anew");
        outbox.loaded(&asked, vec![delivery(1, 1, 1)], |_| true);
    }
    outbox.next(now).expect("it is sent");
    let verdict = outbox.tried(key(1), refused(&BUSY), now, 0);
    let Some(Verdict::Settle { outcome: SettledOutcome::Parked { detail, .. }, attempts, .. }) =
        verdict
    else {
        panic!("it is given up: {verdict:?}")
    };
    assert_eq!((detail.ends_with("given up after 3 tries"), attempts), (true, 3), "{detail}");
}

fn query(number: u64) -> Delivery {
    let bytes = Bytes::from_static(b"MSH|^~\\&|||||||QBP^Q22|1|P|2.5\rQPD|Q22|T\r");
    Delivery { bytes, ..delivery(number, number, 1) }
}

/// What a try of a query comes to, where it is treated so; `R` is tried again.
#[track_caller]
fn check_query(unanswered: Unanswered, on: &[(&str, OnRefusal)], attempt: Attempt, end: &str) {
    let now = Instant::now();
    let answers = on.iter().map(|(name, then)| ((*name).to_owned(), *then)).collect();
    let policy = Policy { queries: Some(unanswered), answers, ..policy() };
    let mut outbox = Outbox::new(policy, 1, 1);
    outbox.offer(query(1));
    assert_eq!(send(&mut outbox, now), [1]);
    let came = match outbox.tried(key(1), attempt, now, 0).expect("it was held") {
        Verdict::Settle { outcome: SettledOutcome::Delivered, .. } => "delivered",
        Verdict::Settle { outcome: SettledOutcome::Parked { .. }, .. } => "parked",
        Verdict::Settle { outcome: SettledOutcome::GivenUp { .. }, .. } => "given up",
        Verdict::Retry { .. } => "tried again",
    };
    assert_eq!(came, end);
}

#[test]
fn a_query_is_asked_once_unless_the_file_says_otherwise() {
    let all = || [not_sent(), interrupted(), refused(&BUSY), refused(&NOT_FOUND)];
    for attempt in all() {
        check_query(Unanswered::GiveUp, &[], attempt, "given up");
    }
    for attempt in all() {
        check_query(Unanswered::Park, &[], attempt, "parked");
    }
    for (attempt, end) in
        all().into_iter().zip(["tried again", "tried again", "tried again", "parked"])
    {
        check_query(Unanswered::Retry, &[], attempt, end);
    }
    check_query(Unanswered::GiveUp, &[("AR", OnRefusal::Retry)], refused(&BUSY), "tried again");
    check_query(Unanswered::GiveUp, &[("AR", OnRefusal::Park)], refused(&BUSY), "parked");
    check_query(Unanswered::Park, &[("AR", OnRefusal::Accept)], refused(&BUSY), "delivered");
    let impossible = Attempt::Impossible { code: "test.impossible", detail: String::new() };
    check_query(Unanswered::GiveUp, &[], impossible, "given up");
    check_query(Unanswered::GiveUp, &[], Attempt::Delivered { reply: None }, "delivered");
}

#[test]
fn what_is_no_query_is_delivered_as_ever() {
    let now = Instant::now();
    let policy = Policy { queries: Some(Unanswered::GiveUp), ..policy() };
    let mut outbox = Outbox::new(policy, 1, 1);
    outbox.offer(delivery(1, 1, 1));
    assert_eq!(send(&mut outbox, now), [1]);
    assert!(retried(outbox.tried(key(1), not_sent(), now, 0)));
}

#[test]
fn a_query_that_is_tried_again_ends_when_nobody_waits_for_it() {
    let now = Instant::now();
    let answers = [("AR".to_owned(), OnRefusal::Retry)].into();
    let policy = Policy { queries: Some(Unanswered::GiveUp), answers, ..policy() };
    let mut outbox = Outbox::new(policy, 1, 1);
    outbox.offer(query(1));
    assert_eq!(send(&mut outbox, now), [1]);
    outbox.note_overdue(MessageId(position(1)));
    let verdict = outbox.tried(key(1), refused(&BUSY), now, 0);
    let given_up =
        matches!(verdict, Some(Verdict::Settle { outcome: SettledOutcome::GivenUp { .. }, .. }));
    assert!(given_up);
    outbox.settle(key(1)).expect("it was held");
    assert!(!outbox.is_overdue(MessageId(position(1))), "nothing is remembered of it");
}

#[test]
fn a_delivery_that_ends_holds_its_lane_until_the_books_have_it() {
    let now = Instant::now();
    let mut outbox = outbox(1, 1, &[7, 7]);
    assert_eq!(send(&mut outbox, now), [1]);
    outbox.tried(key(1), Attempt::Delivered { reply: None }, now, 0).expect("it was held");
    outbox.end(key(1)).expect("it was held");
    assert_eq!(send(&mut outbox, now), [] as [u64; 0]);
    outbox.ended(key(1));
    assert_eq!(send(&mut outbox, now), [2]);
    outbox.ended(key(1));
}
