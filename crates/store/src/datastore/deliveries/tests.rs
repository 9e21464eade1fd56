use super::*;

struct Fixture {
    book: DeliveryBook,
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new(newest: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let book = DeliveryBook::open(&folder.path().join("book"), ChangeNumber(newest));
        Self { book: book.expect("a book"), folder }
    }

    fn reopen(self, newest: u64) -> Self {
        let Self { book, folder } = self;
        drop(book);
        let book = DeliveryBook::open(&folder.path().join("book"), ChangeNumber(newest));
        Self { book: book.expect("a book"), folder }
    }

    fn record(&self, position: u64, matched: &[Matched]) {
        let full = self.book.record(ChangeNumber(position), matched, &[], 10).expect("recorded");
        assert!(full.is_empty());
    }

    fn heads(&self, subscription: &str) -> Vec<u64> {
        let heads = self.book.heads(subscription, 10).expect("heads");
        heads.iter().map(|head| head.matched.change.0).collect()
    }

    fn dead(&self) -> Vec<u64> {
        let after = (ChangeNumber(0), "");
        let dead = self.book.dead_letters(None, after, 10).expect("dead letters");
        dead.iter().map(|dead| dead.matched.change.0).collect()
    }

    fn counts(&self) -> Vec<(String, u64, u64)> {
        let counts = self.book.counts().expect("counts");
        counts.into_iter().map(|(id, counts)| (id, counts.waiting, counts.dead)).collect()
    }
}

fn matched(subscription: &str, change: u64, id: &str) -> Matched {
    Matched {
        subscription: subscription.to_owned(),
        key: ResourceKey { resource_type: "Patient".to_owned(), id: id.to_owned() },
        version: change,
        change: ChangeNumber(change),
        trigger: Trigger::Update,
        verdict: Verdict::Tell,
    }
}

#[test]
fn one_of_a_resource_goes_at_a_time() {
    let fixture = Fixture::new(0);
    let all =
        [matched("s", 1, "a"), matched("s", 2, "a"), matched("s", 3, "b"), matched("t", 3, "b")];
    fixture.record(3, &all);
    assert_eq!(fixture.heads("s"), [1, 3]);
    fixture.book.again(&all[0], 50, "it failed").expect("again");
    assert_eq!(fixture.heads("s"), [3, 1], "those due first come first");
    fixture.book.delivered(&all[0]).expect("delivered");
    assert_eq!(fixture.heads("s"), [2, 3]);
    // It is no longer there: nothing happens.
    fixture.book.delivered(&all[0]).expect("delivered");
    fixture.book.again(&all[0], 5, "it failed").expect("again");
    assert_eq!(fixture.heads("s"), [2, 3]);
    assert_eq!(fixture.counts(), [("s".to_owned(), 2, 0), ("t".to_owned(), 1, 0)]);
}

#[test]
fn what_was_recorded_stands_after_a_restart() {
    let fixture = Fixture::new(7);
    assert_eq!(fixture.book.position().expect("a position"), ChangeNumber(7));
    fixture.record(9, &[matched("s", 8, "a")]);
    let fixture = fixture.reopen(20);
    assert_eq!(fixture.book.position().expect("a position"), ChangeNumber(9));
    assert_eq!(fixture.heads("s"), [8]);
    // The same changes looked at again change nothing.
    fixture.record(9, &[matched("s", 8, "a")]);
    assert_eq!(fixture.counts(), [("s".to_owned(), 1, 0)]);
    let fixture = fixture.reopen(5);
    assert_eq!(fixture.book.position().expect("a position"), ChangeNumber(5));
}

#[test]
fn dead_letters_let_others_by_and_come_back() {
    let fixture = Fixture::new(0);
    let all = [matched("s", 1, "a"), matched("s", 2, "a"), matched("s", 3, "a")];
    fixture.record(3, &all);
    fixture.book.give_up(&all[0], "HTTP 500", 77).expect("given up");
    assert_eq!((fixture.heads("s"), fixture.dead()), (vec![2], vec![1]));
    assert_eq!(fixture.counts(), [("s".to_owned(), 2, 1)]);
    let letter = fixture.book.dead_letters(Some("s"), (ChangeNumber(0), ""), 1).expect("one");
    assert_eq!((letter[0].ended, letter[0].attempts), (Some(77), 1));
    assert_eq!(letter[0].why.as_deref(), Some("HTTP 500"));
    let after = fixture.book.dead_letters(None, (ChangeNumber(1), "s"), 1).expect("none");
    assert!(after.is_empty());
    // Behind the one that may be under way, before those behind that.
    assert_eq!(fixture.book.redeliver(Some("s"), None, 80).expect("redelivered"), 1);
    assert_eq!((fixture.heads("s"), fixture.dead()), (vec![2], vec![]));
    fixture.book.delivered(&all[1]).expect("delivered");
    assert_eq!(fixture.heads("s"), [1]);
    fixture.book.delivered(&all[0]).expect("delivered");
    assert_eq!(fixture.heads("s"), [3]);
    assert_eq!(fixture.book.redeliver(None, Some(ChangeNumber(3)), 80).expect("none"), 0);
    fixture.book.forget("s").expect("forgotten");
    assert_eq!(fixture.counts(), []);
}

#[test]
fn what_is_not_decided_stays_so() {
    let fixture = Fixture::new(0);
    let triggers = [Trigger::Create, Trigger::Update, Trigger::Delete];
    let all: Vec<Matched> = (1..)
        .zip(
            triggers
                .iter()
                .flat_map(|trigger| [(*trigger, Verdict::Tell), (*trigger, Verdict::Open)]),
        )
        .map(|(change, (trigger, verdict))| Matched {
            trigger,
            verdict,
            ..matched("s", change, &change.to_string())
        })
        .collect();
    fixture.record(9, &all);
    let fixture = fixture.reopen(9);
    let heads = fixture.book.heads("s", 10).expect("heads");
    let read: Vec<Matched> = heads.into_iter().map(|head| head.matched).collect();
    assert_eq!(read, all);
    assert!(
        fixture.book.has_open("s").expect("read") && !fixture.book.has_open("t").expect("read")
    );
    for open in all.iter().filter(|one| one.verdict == Verdict::Open) {
        fixture.book.give_up(open, "why", 1).expect("given up");
    }
    assert!(!fixture.book.has_open("s").expect("read"));
}

#[test]
fn what_is_too_old_is_given_up() {
    let fixture = Fixture::new(0);
    fixture.record(2, &[matched("s", 1, "a"), matched("s", 2, "a")]);
    assert_eq!(fixture.book.give_up_old(10, "too old", 99).expect("none"), 0);
    assert_eq!(fixture.book.give_up_old(11, "too old", 99).expect("one"), 1);
    assert_eq!((fixture.heads("s"), fixture.dead()), (vec![2], vec![1]));
}

#[test]
fn listeners_that_missed_something_are_told_once() {
    let fixture = Fixture::new(0);
    fixture.book.record(ChangeNumber(1), &[], &["w".to_owned()], 1).expect("recorded");
    assert!(fixture.book.take_missed("w").expect("asked"));
    assert!(!fixture.book.take_missed("w").expect("asked"));
}
