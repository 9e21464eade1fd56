//! A run done again from its record.

use std::cell::RefCell;
use std::rc::Rc;

use pipehat_script::{Output, Recorded, Replay, Worker};

use crate::host::{run_with, script, text, tight};

const SOURCE: &str = "
    export async function handler(client: unknown, event: { input: string }) {
        const began = Date.now();
        console.log('began');
        const all = await Promise.all(['a', 'b'].map(async (body) => (await fetch('https://a.example', { method: 'POST', body: body + Math.random() })).text()));
        await new Promise((done) => setTimeout(done, 1500));
        let refused = '';
        try { await fetch('https://refused.example') } catch (e: any) { refused = e.code }
        return [event.input, crypto.randomUUID(), Math.random(), ...all, Date.now() - began, refused, new Date().toISOString(), performance.now()].join(' ');
    }";

#[test]
fn a_replayed_run_gives_the_same() {
    let script = script(SOURCE);
    let mut worker = Worker::new(&script, tight());
    // The record does not depend on what the engine did before.
    for _ in 0..2 {
        let (first, _) = run_with(&mut worker, &text("it"));
        let Ok(Output::Text(result)) = &first.result else { panic!("it runs") };
        assert!(result.contains(" 1500 refused "), "{result}");
        let replay = Rc::new(RefCell::new(Replay::new(first.recorded.clone())));
        let again = Worker::new(&script, tight()).run(&text("it"), replay.clone());
        assert_eq!(again.result, first.result);
        assert_eq!(again.recorded, first.recorded);
        let replay = replay.borrow();
        assert_eq!((replay.diverged(), replay.left()), (None, 0));
        assert_eq!(replay.log.len(), 1);
    }
}

#[test]
fn answers_and_timers_come_in_the_same_order_again() {
    let script = script(
        "export async function handler() {
            const order: string[] = [];
            const note = (what: string) => order.push(what + Date.now() % 100000);
            setInterval(() => note('timer'), 70);
            const get = (url: string, ms: number) => fetch(url, { signal: AbortSignal.timeout(ms) }).then(() => note(url), (e) => note(e.name));
            await Promise.all([
                get('https://late.example/300', 500), get('https://hangs.example', 200), get('https://a.example', 200), get('https://late.example/100', 500),
            ]);
            fetch('https://late.example/9999');
            await new Promise((done) => setTimeout(done, 100));
            return order.join(' ');
        }",
    );
    let (first, _) = run_with(&mut Worker::new(&script, tight()), &text("it"));
    assert!(first.result.is_ok(), "{:?}", first.result);
    let replay = Rc::new(RefCell::new(Replay::new(first.recorded.clone())));
    let again = Worker::new(&script, tight()).run(&text("it"), replay.clone());
    assert_eq!(again.result, first.result);
    assert_eq!(again.recorded, first.recorded);
    assert_eq!((replay.borrow().diverged(), replay.borrow().left()), (None, 0));
}

#[test]
fn a_changed_script_is_told_where_it_left_the_record() {
    let (first, _) = run_with(&mut Worker::new(&script(SOURCE), tight()), &text("it"));
    let changed = script(&SOURCE.replace("https://a.example", "https://b.example"));
    let replay = Rc::new(RefCell::new(Replay::new(first.recorded)));
    let run = Worker::new(&changed, tight()).run(&text("it"), replay.clone());
    assert!(run.result.is_err());
    let replay = replay.borrow();
    let Some(pipehat_script::Ask::Fetch { url, .. }) = replay.diverged() else {
        panic!("it asked for another")
    };
    assert_eq!(url, "https://b.example/");
}

#[test]
fn a_run_that_asks_for_nothing_records_nothing() {
    let (run, _) =
        run_with(&mut Worker::new(&script("export const handler = () => 1"), tight()), &text(""));
    assert_eq!(run.recorded, Vec::<Recorded>::new());
}
