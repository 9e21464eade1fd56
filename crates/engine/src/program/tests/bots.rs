//! Bots and translations as steps.

use bytes::Bytes;
use pipehat_connectors::{BotOutcome, BotResult, Found, PayloadFormat};

use super::{HEADER, message, told};
use crate::effects::LookupAnswer;
use crate::program::{ProgramInput, Verdict};
use crate::project::testing::{TestEffects, files, load, peer};

const HL7: &str = "destinations:\n  out:\n    mllp: { connect: 127.0.0.1:2 }\n  other:\n    when: false or PID-2 = \"9\"\n    mllp: { connect: 127.0.0.1:3 }\n";

fn run(rest: &str, lines: &str, outcome: Option<BotOutcome>) -> Verdict {
    let files = files(rest)
        .with("bots/names.yaml", "bot: names")
        .with("bots/names.ts", "export async function handler() {}");
    let loaded = load(&files);
    let project = loaded
        .project
        .unwrap_or_else(|| panic!("{}", loaded.diagnostics.render(pipehat_config::Colour::Never)));
    let spec = &project.channels[0];
    let answer = outcome.map(|outcome| LookupAnswer::Found(Found::One(outcome.to_bytes())));
    let mut effects =
        TestEffects { answers: answer.into_iter().collect(), ..TestEffects::default() };
    let (bytes, peer) = (message(lines), peer());
    let input = ProgramInput { bytes: &bytes, channel: &spec.name, peer: &peer };
    spec.program.run(&input, &mut effects)
}

#[track_caller]
fn check(steps: &str, outcome: BotOutcome, expected: &[&str]) {
    let verdict = run(&format!("steps:\n{steps}\n{HL7}"), "PID|1|7", Some(outcome));
    assert_eq!(told(verdict), expected);
}

fn text(text: &str) -> BotResult {
    BotResult::Text(Bytes::from(text.replace('\n', "\r")))
}

#[test]
fn what_a_bot_returns_goes_on() {
    let returned = |lines: &str| BotOutcome {
        result: text(&format!("{HEADER}\n{lines}\n")),
        ..BotOutcome::default()
    };
    check("  - bot: names", returned("PID|1|8"), &["PID|1|8"]);
    check("  - bot: names\n  - set: { PID-3.1: X }", returned("PID|1|8"), &["PID|1|8|X"]);
    check("  - bot: names", BotOutcome::default(), &["PID|1|7"]);
    check(
        "  - when: PID-2 = \"7\"\n    do: [{ bot: names }]\n  - set: { PID-4.1: Y }",
        returned("PID|1|8"),
        &["PID|1|8||Y"],
    );
    check("  - bot: { name: names, result: ignored }", returned("PID|1|8"), &["PID|1|7"]);
}

#[test]
fn what_a_bot_sends_goes_with_the_rest() {
    let sent = BotOutcome {
        sent: vec![("other".into(), Bytes::from_static(b"MSH|1"))],
        ..BotOutcome::default()
    };
    check("  - bot: names", sent, &["1: MSH|1", "PID|1|7"]);
    let nowhere = BotOutcome {
        sent: vec![("elsewhere".into(), Bytes::from_static(b"MSH|1"))],
        ..BotOutcome::default()
    };
    check(
        "  - bot: names",
        nowhere,
        &[
            "parked program.bot-send steps[1].bot: `names` sent to a destination that the channel has not",
        ],
    );
}

#[test]
fn a_bot_sets_messages_aside() {
    let park = BotOutcome { park: Some("ask them".to_owned()), ..BotOutcome::default() };
    check("  - bot: names", park, &["parked program.park steps[1].bot: ask them"]);
    let broken = BotOutcome { result: text("no message"), ..BotOutcome::default() };
    let verdict = run(&format!("steps:\n  - bot: names\n{HL7}"), "PID|1|7", Some(broken));
    assert!(matches!(verdict, Verdict::Parked { code: "program.bot-result", .. }));
}

#[test]
fn a_bot_answers_the_sender() {
    let reply = BotOutcome { result: text("MSH|^~\\&|\nMSA|AA|C1\n"), ..BotOutcome::default() };
    let steps = "reply: processed\nsteps:\n  - bot: { name: names, result: reply }\n";
    let verdict = run(&format!("{steps}{HL7}"), "PID|1|7", Some(reply));
    let Verdict::Routed { outputs, reply: Some(reply), .. } = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!((outputs.len(), &reply[..]), (1, &b"MSH|^~\\&|\rMSA|AA|C1\r"[..]));
}

#[test]
fn a_run_is_waited_for() {
    let verdict = run(&format!("steps:\n  - bot: names\n{HL7}"), "PID|1|7", None);
    let Verdict::Waits { lookup } = verdict else { panic!("{verdict:?}") };
    assert!(lookup.search().starts_with("bot?names#"), "{}", lookup.search());
    assert!(!lookup.search().contains("PID"));
}

#[test]
fn translated_messages_go_where_json_goes() {
    let told = |rest: &str| {
        let loaded = load(&files(rest));
        let told: Vec<String> =
            loaded.diagnostics.iter().map(|one| format!("{}: {}", one.code, one.message)).collect();
        (loaded.project.map(|project| project.channels[0].format), told)
    };
    let fhir = "destinations:\n  store:\n    fhir: { base: \"http://127.0.0.1:2/fhir\" }\n";
    let (_, wrong) = told(fhir);
    assert_eq!(
        wrong,
        [
            "channel.format: `fhir` does not send HL7 v2, and the messages of this channel are HL7 v2"
        ]
    );
    let steps = "    steps: [{ set: { PID-2: A } }, { translate: fhir }]\n";
    assert_eq!(told(&format!("{fhir}{steps}")), (Some(PayloadFormat::Hl7), vec![]));
    let behind = "    steps: [{ translate: fhir }, { set: { PID-2: A } }]\n";
    let (_, wrong) = told(&format!("{fhir}{behind}"));
    assert!(wrong[0].starts_with("channel.format: `set` is for HL7 v2"), "{wrong:?}");
    let (_, wrong) =
        told(&format!("{fhir}    steps: [{{ translate: fhir, when: PID-2 exists }}]\n"));
    assert!(wrong[0].contains("by the condition"), "{wrong:?}");
}

#[test]
fn bots_that_are_not_there() {
    let loaded = load(
        &files(&format!("steps:\n  - bot: name\n{HL7}"))
            .with("bots/names.yaml", "bot: names")
            .with("bots/names.ts", "export function handlr() {}"),
    );
    let told: Vec<String> = loaded.diagnostics.iter().map(|one| one.message.clone()).collect();
    assert!(told.iter().any(|one| one == "the project has no bot `name`"), "{told:?}");
    assert!(told.iter().any(|one| one == "it exports no `handler`"), "{told:?}");
}
