//! Messages that wait for answers: who goes on, who is asked again, and what is kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pipehat_connectors::{Destination, Found, LookupAttempt};
use pipehat_journal::Position;

use crate::decisions::Deciding;
use crate::effects::{Effect, LookupAnswer};
use crate::names::MessageId;
use crate::project::Project;
use crate::project::testing::lookup_answer;
use crate::record::{Processed, Record};
use crate::testing::{
    Calls, Question, Questions, TestEngine, TestSource, asking, asking_bot, destination, message,
    project, within,
};

/// Puts into PID-2 the id of who is found by PID-3.1.
fn rest(more: &str) -> String {
    format!(
        "order: by PID-3.1\nsteps:\n  - lookup:\n      fhir: local\n      \
         search: \"Patient?identifier={{PID-3.1}}\"\n      into: {{ PID-2.1: id }}\n      \
         retry: {{ first: 10ms, most: 10ms }}\n{more}\
         destinations: {{ out: {{ mllp: {{ connect: 127.0.0.1:1, connections: 8 }} }} }}\n"
    )
}

struct Scene {
    source: TestSource,
    out: Arc<dyn Destination>,
    engine: TestEngine,
    calls: Calls,
    questions: Questions,
}

impl Scene {
    async fn start(more: &str) -> Self {
        let source = TestSource::default();
        let (out, calls) = destination(8, 1);
        let (project, questions) = asking(project(&rest(more), &source, &[("out", &out)]));
        let engine = TestEngine::start(&project).await;
        Self { source, out, engine, calls, questions }
    }

    fn project(&self, more: &str) -> (Project, Questions) {
        asking(project(&rest(more), &self.source, &[("out", &self.out)]))
    }

    async fn send(&self, control_id: &str) {
        self.source.receive(message(control_id)).await;
    }

    /// Another message of the patient of the first with this control id.
    async fn send_another(&self, control_id: &str) {
        let first = String::from_utf8(message(control_id).to_vec()).expect("ASCII");
        let another = first.replacen(&format!("|{control_id}|P|"), "|another|P|", 1);
        self.source.receive(another).await;
    }

    /// The next question, which must be about this message.
    async fn asked(&mut self, control_id: &str) -> Question {
        let question = self.questions.next().await;
        assert_eq!(&*question.asked.query, format!("identifier={control_id}"));
        question
    }

    /// The next message that is sent, which must have this in PID-2.
    async fn sent(&mut self, id: &str) {
        let call = self.calls.next().await;
        let text = String::from_utf8_lossy(&call.outbound.bytes).into_owned();
        assert!(text.contains(&format!("PID|1|{id}|")), "{text}");
        call.deliver();
    }

    fn processed(&self) -> Vec<Processed> {
        let records = self.engine.engine.log().records(Position::FIRST);
        let processed = records.filter_map(|entry| match entry.expect("a record") {
            (_, Record::Processed(record)) => Some(record),
            _ => None,
        });
        processed.collect()
    }
}

fn patient(id: &str) -> LookupAttempt {
    let resource = format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#);
    LookupAttempt::Found(Found::One(Bytes::from(resource)))
}

fn failed() -> LookupAttempt {
    LookupAttempt::Failed { code: "test.failed", detail: "nobody is there".to_owned() }
}

fn refused(name: &str) -> LookupAttempt {
    let detail = format!("it answered {name}");
    LookupAttempt::Refused { code: "test.refused", answer: lookup_answer(name), detail }
}

#[tokio::test]
async fn a_question_holds_its_lane_and_no_other() {
    let mut scene = Scene::start("").await;
    scene.send("a").await;
    let first = scene.asked("a").await;
    // The next of the lane waits, another lane does not.
    scene.send_another("a").await;
    scene.send("b").await;
    scene.asked("b").await.answer(patient("bb"));
    scene.sent("bb").await;
    assert!(scene.questions.is_quiet().await);
    first.answer(patient("a1"));
    scene.asked("a").await.answer(patient("a2"));
    scene.sent("a1").await;
    scene.sent("a2").await;
    scene.engine.until(|status| status.counters.delivered == 3).await;
    assert!(scene.engine.holds());
}

#[tokio::test]
async fn what_was_asked_and_answered_is_kept_with_the_message() {
    let mut scene = Scene::start("").await;
    scene.send("a").await;
    scene.asked("a").await.answer(failed());
    scene.asked("a").await.answer(refused("429"));
    scene.asked("a").await.answer(patient("x"));
    scene.sent("x").await;
    scene.engine.until(|status| status.counters.delivered == 1).await;
    let [processed] = scene.processed().try_into().expect("one record");
    let LookupAttempt::Found(found) = patient("x") else { panic!("it is found") };
    let search = "Patient?identifier=a".to_owned();
    let answer = LookupAnswer::Found(found);
    assert_eq!(processed.effects, [Effect::Lookup { search, answer }], "failures are no answers");
}

#[tokio::test]
async fn one_that_waits_is_shown_once_it_has_failed() {
    let mut scene = Scene::start("").await;
    scene.send("a").await;
    let question = scene.asked("a").await;
    let (mut seen, status) = (Vec::new(), scene.engine.engine.status().await);
    seen.extend(status.into_iter().flat_map(|status| status.blocked));
    assert_eq!(seen, [], "one that has just been asked is nothing to look at");
    question.answer(failed());
    let told = "program.lookup-waits: test.failed: nobody is there";
    scene
        .engine
        .until(|status| matches!(status.blocked.as_slice(), [(_, why)] if why == told))
        .await;
    scene.asked("a").await.answer(patient("x"));
    scene.sent("x").await;
    scene.engine.until(|status| status.blocked.is_empty()).await;
}

#[tokio::test]
async fn it_is_parked_when_it_is_refused_or_given_up() {
    let give_up = "      on: { \"5xx\": park }\n";
    let mut scene = Scene::start(give_up).await;
    for (control_id, answer) in [
        ("a", refused("404")),
        ("b", refused("5xx")),
        ("c", LookupAttempt::Impossible { code: "test.no", detail: "too large".to_owned() }),
    ] {
        scene.send(control_id).await;
        scene.asked(control_id).await.answer(answer);
    }
    scene.engine.until(|status| status.counters.parked == 3).await;
    // Released, it is asked anew.
    let one = MessageId(Position::FIRST);
    let message = scene.processed().first().map_or(one, |record| record.message);
    let who = Deciding { by: "test".to_owned(), reason: "a test".to_owned() };
    scene.engine.engine.release(message, &who).await.expect("it is parked");
    scene.asked("a").await.answer(patient("x"));
    scene.sent("x").await;
    scene.engine.until(|status| status.counters.delivered == 1).await;
    assert!(scene.engine.holds());
}

#[tokio::test]
async fn after_a_time_it_is_given_up() {
    let mut scene = Scene::start("").await;
    let give_up = rest("").replace("most: 10ms", "most: 10ms, give_up: 1ms");
    let project_of = project(&give_up, &scene.source, &[("out", &scene.out)]);
    let (given_up, questions) = asking(project_of);
    scene.questions = questions;
    scene.engine.engine.apply(&given_up, "test").await.expect("it is applied");
    scene.send("a").await;
    scene.asked("a").await.answer(failed());
    scene.asked("a").await.answer(failed());
    scene.engine.until(|status| status.counters.parked == 1).await;
    let [processed] = scene.processed().try_into().expect("one record");
    let told = format!("{:?}", processed.outcome);
    assert!(told.contains("given up after 2 tries: nobody is there"), "{told}");
}

/// What would use up the same time again holds its lane for one try more, whatever the policy says.
#[tokio::test]
async fn what_most_likely_fails_again_is_asked_once_more() {
    let mut scene = Scene::start("").await;
    let endless =
        || LookupAttempt::FailedForGood { code: "test.limit", detail: "it has no end".to_owned() };
    scene.send("a").await;
    scene.asked("a").await.answer(failed());
    scene.asked("a").await.answer(endless());
    scene.asked("a").await.answer(failed());
    scene.asked("a").await.answer(endless());
    scene.engine.until(|status| status.counters.parked == 1).await;
    assert!(scene.questions.is_quiet().await);
    let [processed] = scene.processed().try_into().expect("one record");
    let told = format!("{:?}", processed.outcome);
    assert!(told.contains("given up after 4 tries: it has no end"), "{told}");
    // The next is asked anew.
    scene.send("b").await;
    scene.asked("b").await.answer(endless());
    scene.asked("b").await.answer(patient("bb"));
    scene.sent("bb").await;
}

#[tokio::test]
async fn a_refusal_can_mean_that_nothing_is_there() {
    let mut scene =
        Scene::start("      on: { \"404\": accept }\n      otherwise: { default: NONE }\n").await;
    scene.send("a").await;
    scene.asked("a").await.answer(refused("404"));
    scene.sent("NONE").await;
    scene.engine.until(|status| status.counters.delivered == 1).await;
}

#[tokio::test]
async fn who_waits_for_one_that_answers_again_need_not_wait_longer() {
    let mut scene = Scene::start("").await;
    let slow = rest("").replace("first: 10ms, most: 10ms", "first: 1h, most: 1h");
    let (slow, questions) = asking(project(&slow, &scene.source, &[("out", &scene.out)]));
    scene.questions = questions;
    scene.engine.engine.apply(&slow, "test").await.expect("it is applied");
    scene.send("a").await;
    scene.asked("a").await.answer(failed());
    scene.send("r").await;
    scene.asked("r").await.answer(refused("429"));
    scene.engine.until(|status| status.blocked.len() == 2).await;
    scene.send("b").await;
    scene.asked("b").await.answer(patient("bb"));
    scene.sent("bb").await;
    // Not the one that was told to wait.
    scene.asked("a").await.answer(patient("aa"));
    scene.sent("aa").await;
    assert!(scene.questions.is_quiet().await);
}

#[tokio::test]
async fn another_configuration_asks_anew_and_forgets_old_answers() {
    let mut scene = Scene::start("").await;
    scene.send("a").await;
    let old = scene.asked("a").await;
    let (changed, questions) = scene.project("  - set: { MSH-6: NEW }\n");
    scene.questions = questions;
    scene.engine.engine.apply(&changed, "test").await.expect("it is applied");
    let new = scene.asked("a").await;
    old.answer(patient("old"));
    new.answer(patient("new"));
    scene.sent("new").await;
    scene.engine.until(|status| status.counters.delivered == 1).await;
    assert!(scene.engine.holds());
}

/// Whoever saves a file of the channel again and again would else have a failing message hold its lane for ever.
#[tokio::test]
async fn another_configuration_does_not_begin_the_time_of_giving_up_anew() {
    let mut scene = Scene::start("").await;
    let giving_up = |more: &str| rest(more).replace("most: 10ms", "most: 10ms, give_up: 5ms");
    let mut begun = None;
    for (number, more) in
        ["", "  - set: { MSH-6: NEW }\n", "  - set: { MSH-6: NEWER }\n"].iter().enumerate()
    {
        let of = project(&giving_up(more), &scene.source, &[("out", &scene.out)]);
        let (changed, questions) = asking(of);
        scene.questions = questions;
        scene.engine.engine.apply(&changed, "test").await.expect("it is applied");
        match number {
            0 => {
                scene.send("a").await;
                scene.asked("a").await.answer(failed());
                scene.engine.until(|status| status.blocked.len() == 1).await;
                begun = Some(Instant::now());
            }
            // Asked at once, and not answered before the next change.
            1 => drop(scene.asked("a").await),
            _ => {
                let question = scene.asked("a").await;
                while begun.is_some_and(|begun| begun.elapsed() < Duration::from_millis(5)) {
                    tokio::task::yield_now().await;
                }
                question.answer(failed());
            }
        }
    }
    scene.engine.until(|status| status.counters.parked == 1).await;
    let [processed] = scene.processed().try_into().expect("one record");
    let told = format!("{:?}", processed.outcome);
    assert!(told.contains("given up after 2 tries: nobody is there"), "{told}");
    assert!(scene.engine.holds());
}

#[tokio::test]
async fn what_a_bot_fails_at_is_shown_with_what_waits_behind() {
    let source = TestSource::default();
    let (out, _calls) = destination(8, 1);
    let of = project(&rest("").replace("10ms", "1h"), &source, &[("out", &out)]);
    let (project, mut questions) = asking_bot(of, "grumpy");
    let engine = TestEngine::start(&project).await;
    for control_id in ["a", "b", "c"] {
        source.receive(message(control_id)).await;
    }
    let another = String::from_utf8(message("a").to_vec()).expect("ASCII");
    source.receive(another.replacen("|a|P|", "|another|P|", 1)).await;
    let before = jiff::Timestamp::now();
    for _ in ["a", "b"] {
        questions.next().await.answer(failed());
    }
    engine.until(|status| status.blocked.len() == 2).await;
    let status = engine.engine.status().await;
    let [failing] = status[0].failing_bots.as_slice() else { panic!("one bot fails") };
    assert_eq!((&*failing.bot, failing.code), ("grumpy", "test.failed"));
    assert_eq!((failing.messages, failing.waiting, failing.tries), (2, 1, 1));
    assert!(failing.since >= before && failing.since <= jiff::Timestamp::now());
}

#[tokio::test]
async fn what_waits_when_the_process_dies_is_asked_by_the_next() {
    let mut scene = Scene::start("").await;
    scene.send("a").await;
    scene.send_another("a").await;
    let _lost = scene.asked("a").await;
    let (project, questions) = scene.project("");
    let Scene { source, out, engine, calls, .. } = scene;
    let engine = engine.start_again(&project).await;
    let mut scene = Scene { source, out, engine, calls, questions };
    scene.asked("a").await.answer(patient("one"));
    scene.sent("one").await;
    scene.asked("a").await.answer(patient("two"));
    scene.sent("two").await;
    scene.engine.until(|status| status.counters.delivered == 2).await;
    assert!(scene.engine.holds());
}

#[tokio::test]
async fn a_question_keeps_no_channel_from_stopping() {
    let mut scene = Scene::start("").await;
    scene.send("a").await;
    let _waiting = scene.asked("a").await;
    within(scene.engine.engine.stop()).await.expect("it stops");
}
