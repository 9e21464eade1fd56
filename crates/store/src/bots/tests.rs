//! The book of bots: what is kept, found, tried again and forgotten.

use super::*;

const KEY: [u8; 32] = [7; 32];

fn run(book: &BotBook, bot: &str, state: RunState, due: i64) -> BotRun {
    BotRun {
        id: book.number(),
        bot: bot.to_owned(),
        revision: "r".to_owned(),
        trigger: "webhook".to_owned(),
        source: "s".to_owned(),
        state,
        queued: due,
        started: None,
        ended: matches!(state, RunState::Done | RunState::Dead | RunState::Failed).then_some(due),
        due,
        attempts: 1,
        content_type: "text/plain".to_owned(),
        input: b"MARKER-INPUT".to_vec(),
        headers: "{}".to_owned(),
        result_type: None,
        result: Vec::new(),
        why: None,
        error: Some("MARKER-ERROR".to_owned()),
        log: "[]".to_owned(),
        effects: "[]".to_owned(),
        took: 5,
        cpu: 4,
    }
}

fn book(directory: &tempfile::TempDir) -> BotBook {
    BotBook::open(&directory.path().join("bots.sqlite"), KEY, 100).expect("a book")
}

fn ids(book: &BotBook, bot: Option<&str>, state: Option<RunState>) -> Vec<u64> {
    let query = RunQuery { bot: bot.map(str::to_owned), state, before: None, limit: 10 };
    book.runs(&query).expect("runs").iter().map(|run| run.id).collect()
}

#[test]
fn promised_runs_wait_again_after_a_kill() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = book(&directory);
    let (due, later) =
        (run(&first, "a", RunState::Waiting, 50), run(&first, "a", RunState::Waiting, 500));
    first.put(&due).expect("kept");
    first.put(&later).expect("kept");
    assert_eq!(first.next_due().expect("a time"), Some(50));
    let taken = first.take_due(100, 10).expect("runs");
    assert_eq!(taken, [BotRun { state: RunState::Running, ..due.clone() }]);
    assert_eq!(first.take_due(100, 10).expect("runs"), []);
    drop(first);
    let second = book(&directory);
    assert_eq!(second.take_due(100, 10).expect("runs").len(), 1, "it was under way");
    assert!(second.number() > later.id);
}

#[test]
fn runs_are_found_and_forgotten() {
    let directory = tempfile::tempdir().expect("a directory");
    let book = book(&directory);
    let done = run(&book, "a", RunState::Done, 10);
    book.put_later(done.clone());
    assert_eq!(book.run(done.id).expect("a run"), Some(done.clone()), "at once");
    let dead = run(&book, "b", RunState::Dead, 20);
    book.put_later(dead.clone());
    assert_eq!(ids(&book, None, None), [dead.id, done.id]);
    assert_eq!(ids(&book, Some("a"), None), [done.id]);
    assert_eq!(ids(&book, None, Some(RunState::Dead)), [dead.id]);
    let counts = || book.counts().expect("counts").remove("b").unwrap_or_default();
    assert_eq!(counts(), BotCounts { dead: 1, ..BotCounts::default() });
    assert_eq!(book.replay(Some(done.id), None, 30).expect("none"), 0, "it was done");
    assert_eq!(book.replay(None, Some("b"), 30).expect("one"), 1);
    let again = book.take_due(30, 10).expect("runs");
    assert_eq!((again.len(), again[0].attempts, again[0].ended), (1, 0, None));
    assert_eq!(book.forget("a", 10, 10).expect("none"), 0);
    assert_eq!(book.forget("a", 11, 10).expect("one"), 1);
    assert_eq!(book.run(done.id).expect("none"), None);
}

#[test]
fn values_are_kept_by_owner() {
    let directory = tempfile::tempdir().expect("a directory");
    let book = book(&directory);
    let value = |owner, key| book.value(owner, key).expect("an answer");
    book.keep_value("bot a", "k", Some("1")).expect("kept");
    book.keep_value("bot a", "k", Some("2")).expect("kept");
    assert_eq!((value("bot a", "k").as_deref(), value("bot b", "k")), (Some("2"), None));
    book.keep_value("bot a", "k", None).expect("forgotten");
    assert_eq!(value("bot a", "k"), None);
    let add = |key, by| book.add_to_value("bot a", key, by).expect("an answer");
    assert_eq!((add("n", 2), add("n", 40), add("n", -1)), (Some(2), Some(42), Some(41)));
    assert_eq!(value("bot a", "n").as_deref(), Some("41"));
    assert_eq!((add("n", 9_007_199_254_740_991), add("n", 0)), (None, Some(41)));
    book.keep_value("bot a", "text", Some("\"x\"")).expect("kept");
    assert_eq!((add("text", 1), value("bot a", "text").as_deref()), (None, Some("\"x\"")));
    let large = "x".repeat(STATE_VALUE_BYTES_MAX - 1);
    book.keep_value("bot a", "k", Some(&large)).expect("as large as may be");
    let larger = "x".repeat(STATE_VALUE_BYTES_MAX);
    let refused = book.keep_value("bot a", "k", Some(&larger));
    assert!(matches!(refused, Err(BotBookError::TooMuch)));
}

#[test]
fn a_time_and_its_run_stand_together() {
    let directory = tempfile::tempdir().expect("a directory");
    let book = book(&directory);
    assert_eq!(book.clock("a", "* * * * *").expect("none"), None);
    let waiting = run(&book, "a", RunState::Waiting, 60);
    book.set_clock("a", "* * * * *", 60, Some(&waiting)).expect("kept");
    assert_eq!(book.clock("a", "* * * * *").expect("a time"), Some(60));
    assert_eq!(book.next_due().expect("a time"), Some(60));
}

#[test]
fn nothing_of_a_patient_stands_in_clear_and_another_key_opens_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = book(&directory);
    let kept = run(&first, "a", RunState::Done, 1);
    assert!(!format!("{kept:?}").contains("MARKER"));
    first.put(&kept).expect("kept");
    drop(first);
    for entry in std::fs::read_dir(directory.path()).expect("files") {
        let bytes = std::fs::read(entry.expect("a file").path()).expect("a file");
        assert!(!bytes.windows(6).any(|window| window == b"MARKER"));
    }
    let path = directory.path().join("bots.sqlite");
    assert!(BotBook::open(&path, [8; 32], 0).is_err());
}

#[test]
fn what_fails_is_told_and_what_was_given_up_can_be_left() {
    let directory = tempfile::tempdir().expect("a directory");
    let book = book(&directory);
    let mut again = run(&book, "a", RunState::Waiting, 10);
    book.put(&again).expect("kept");
    let counts = || book.counts().expect("counts").remove("a").unwrap_or_default();
    assert_eq!(counts(), BotCounts { waiting: 1, ..BotCounts::default() }, "it was not tried yet");
    (again.attempts, again.why) = (2, Some("bot.threw: it threw".to_owned()));
    book.put(&again).expect("kept");
    let why = again.why.clone();
    assert_eq!(counts(), BotCounts { waiting: 1, failing: 1, dead: 0, why });
    again.state = RunState::Dead;
    book.put(&again).expect("kept");
    assert_eq!(book.discard(None, Some("b"), "old").expect("none"), 0);
    assert_eq!(book.discard(Some(again.id), None, "old").expect("one"), 1);
    assert_eq!(counts(), BotCounts::default());
    let kept = book.run(again.id).expect("a run").expect("it is kept");
    assert_eq!(kept.why.as_deref(), Some("discarded (old): bot.threw: it threw"));
    assert_eq!(book.replay(Some(again.id), None, 30).expect("one"), 1, "by its number");
}
