//! Bots and translations as steps.

use bytes::Bytes;
use pipehat_connectors::{BotFinding, BotOutcome, BotResult, Found, PayloadFormat};

use super::{HEADER, message, run_bot, told};
use crate::effects::LookupAnswer;
use crate::program::{Made, ProgramInput, Verdict};
use crate::project::testing::{TestEffects, files, load, peer};

const HL7: &str = "destinations:\n  out:\n    mllp: { connect: 127.0.0.1:2 }\n  other:\n    when: false or PID-2 = \"9\"\n    mllp: { connect: 127.0.0.1:3 }\n";

fn run(rest: &str, lines: &str, outcome: Option<BotOutcome>) -> Verdict {
    run_bot(rest, &message(lines), outcome)
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
    let done = BotResult::Json(Bytes::from_static(b"true"));
    let done = BotOutcome { result: done, ..BotOutcome::default() };
    check("  - bot: names", done, &["PID|1|7"]);
    check(
        "  - when: PID-2 = \"7\"\n    do: [{ bot: names }]\n  - set: { PID-4.1: Y }",
        returned("PID|1|8"),
        &["PID|1|8||Y"],
    );
    check("  - bot: { name: names, result: ignored }", returned("PID|1|8"), &["PID|1|7"]);
}

#[test]
fn what_a_bot_could_not_translate_is_kept_with_the_message() {
    let finding = |code: &str, path: &str| BotFinding {
        code: code.to_owned(),
        path: path.to_owned(),
        count: 2,
    };
    let findings = vec![
        finding("translate.not-mapped", "PID-9"),
        finding("translate.more", ""),
        finding("of.another.version", ""),
    ];
    check(
        "  - bot: names",
        BotOutcome { findings, ..BotOutcome::default() },
        &[
            "PID|1|7",
            "finding translate.not-mapped PID-9 steps[1].bot times 2",
            "finding translate.more - steps[1].bot times 2",
            "finding translate.more - steps[1].bot times 2",
        ],
    );
}

#[test]
fn what_a_bot_sends_goes_with_the_rest() {
    let sent = BotOutcome {
        sent: vec![("other".into(), Bytes::from_static(b"MSH|^~\\&|1"))],
        ..BotOutcome::default()
    };
    check("  - bot: names", sent, &["1: MSH|^~\\&|1", "PID|1|7"]);
    let nowhere = BotOutcome {
        sent: vec![("elsewhere".into(), Bytes::from_static(b"MSH|^~\\&|1"))],
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
fn what_can_not_go_on_is_set_aside_at_the_step() {
    let hl7 = HL7.replace("mllp: { connect: 127.0.0.1:2 }", "file: { folder: out }");
    #[track_caller]
    fn of(hl7: &str, steps: &str, outcome: BotOutcome, expected: &[&str]) {
        let verdict = run(&format!("steps:\n{steps}\n{hl7}"), "PID|1|7", Some(outcome));
        assert_eq!(told(verdict), expected);
    }
    let json = || BotResult::Json(Bytes::from_static(br#"{"resourceType":"Patient"}"#));
    for bare in ["false", " 5 "] {
        let verdict = run(
            &format!("steps:\n  - bot: names\n{hl7}"),
            "PID|1|7",
            Some(BotOutcome {
                result: BotResult::Json(Bytes::from_static(bare.as_bytes())),
                ..BotOutcome::default()
            }),
        );
        assert!(matches!(verdict, Verdict::Parked { code: "program.bot-result", .. }), "{bare}");
    }
    let returned = |result| BotOutcome { result, ..BotOutcome::default() };
    let help =
        "return an Hl7Message, or nothing (the message goes on as it is), or say `result: ignored`";
    let parked = |why: &str| format!("parked program.bot-result steps[1].bot: {why}");
    let of_json = |why: &str| parked(&format!("`names` returned JSON, and {why}: {help}"));
    of(&hl7, "  - bot: names", returned(json()), &[&of_json("`out` sends HL7 v2")]);
    of(
        &hl7,
        "  - bot: names\n  - set: { PID-3.1: X }",
        returned(json()),
        &[&of_json("`steps[2].set` is for HL7 v2")],
    );
    of(
        &hl7,
        "  - bot: names\n  - filter: { when: PID-2 = \"9\" }",
        returned(json()),
        &[&of_json("`steps[2].filter` is for HL7 v2")],
    );
    of(
        HL7,
        "  - bot: names\n  - route: [other, out]",
        returned(json()),
        &[&of_json("`when` of `other` reads HL7 v2")],
    );
    of(&hl7, "  - bot: { name: names, result: ignored }", returned(json()), &["PID|1|7"]);
    let http = "destinations:\n  web:\n    mllp: { connect: 127.0.0.1:2 }\n";
    let verdict =
        run(&format!("steps:\n  - bot: names\n{http}"), "PID|1|7", Some(returned(json())));
    assert!(
        matches!(&verdict, Verdict::Routed { outputs, .. } if outputs.len() == 1),
        "{verdict:?}"
    );

    let two = format!("{HEADER}\nPID|1|8\n{HEADER}\nPID|1|9\n");
    let several = "`names` returned several messages in one text: `send` each, or have `split: batch` as the first step";
    of(&hl7, "  - bot: names", returned(text(&two)), &[&parked(several)]);
    of(
        &hl7,
        "  - split: batch\n  - bot: names",
        returned(text(&two)),
        &["PID|1|8", "PID|1|9", "1: PID|1|9"],
    );
    let sent = |bytes: &str| BotOutcome {
        sent: vec![("out".into(), Bytes::from(bytes.replace('\n', "\r")))],
        ..BotOutcome::default()
    };
    let unsent = |what: &str| {
        format!(
            "parked program.bot-send steps[1].bot: `names` sent {what} to `out`, which sends HL7 v2"
        )
    };
    of(&hl7, "  - bot: names", sent("{}"), &[&unsent("what is no HL7 v2 message")]);
    of(&hl7, "  - bot: names", sent(&two), &[&unsent("several messages in one text")]);
}

#[test]
fn what_answers_the_message_goes_on_only_where_the_file_says_so() {
    let id = HEADER.split('|').nth(9).expect("MSH-10");
    let answer = |id: &str| BotOutcome {
        result: text(&format!("{HEADER}\nMSA|AA|{id}\n")),
        ..BotOutcome::default()
    };
    let reason = "parked program.bot-result steps[1].bot: what `names` returned answers the message itself (MSA-2): \
                  `result: reply` gives it to the sender, `result: message` sends it on in the message's place";
    check("  - bot: names", answer(id), &[reason]);
    let line = format!("MSA|AA|{id}");
    check("  - bot: { name: names, result: message }", answer(id), &[&line]);
    check("  - bot: names", answer("another"), &["MSA|AA|another"]);
}

#[test]
fn a_text_among_json_is_json() {
    let files = files(
        "format: json\nsteps: [{ bot: names }]\ndestinations:\n  web:\n    mllp: { connect: 127.0.0.1:2 }\n",
    )
    .with("bots/names.yaml", "bot: names")
    .with("bots/names.ts", "export async function handler() {}");
    let loaded = load(&files);
    let project = loaded.project.expect("it is sound");
    let spec = &project.channels[0];
    let told = |result: &str| {
        let outcome = BotOutcome { result: text(result), ..BotOutcome::default() };
        let answer = LookupAnswer::Found(Found::One(outcome.to_bytes()));
        let mut effects = TestEffects { answers: vec![answer], ..TestEffects::default() };
        let (bytes, peer) = (Bytes::from_static(b"{}"), peer());
        let input = ProgramInput { bytes: &bytes, channel: &spec.name, peer: &peer };
        told(spec.program.run(&input, &mut effects)).remove(0)
    };
    assert!(
        told("MSH|^~\\&|A").starts_with("parked program.bot-result"),
        "{}",
        told("MSH|^~\\&|A")
    );
    assert!(told("{\"a\":1}").contains("{\"a\":1}"));
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
    let steps = "    steps: [{ set: { PID-2: A } }, { translate: { to: fhir, sender: HIS } }]\n";
    assert_eq!(told(&format!("{fhir}{steps}")), (Some(PayloadFormat::Hl7), vec![]));
    let behind = "    steps: [{ translate: { to: fhir, sender: HIS } }, { set: { PID-2: A } }]\n";
    let (_, wrong) = told(&format!("{fhir}{behind}"));
    assert!(wrong[0].starts_with("channel.format: `set` is for HL7 v2"), "{wrong:?}");
    let (_, wrong) =
        told(&format!("{fhir}    steps: [{{ translate: fhir, when: PID-2 exists }}]\n"));
    assert!(wrong.iter().any(|one| one.contains("by the condition")), "{wrong:?}");
}

#[test]
fn translations_that_know_numbers_by_their_sender_are_warned_of() {
    let told = |rest: &str, system: &str| {
        let files = files(rest)
            .with("mappings/site.yaml", format!("{system}\n"))
            .with("bots/names.yaml", "bot: names")
            .with("bots/names.ts", "export async function handler() {}");
        let loaded = load(&files);
        let told = loaded.diagnostics.render(pipehat_config::Colour::Never);
        assert!(loaded.project.is_some(), "{told}");
        loaded.diagnostics.iter().filter(|one| one.code == "channel.kept-by-sender").count()
    };
    let (named, other) = ("systems: { KIS: \"urn:x:kis\" }", "coding_systems: { L: \"urn:x:l\" }");
    let store = "    fhir: { base: \"http://127.0.0.1:2/fhir\" }\n";
    let check = |steps: &str, overlay: &str, expected: usize| {
        let rest = format!("destinations:\n  store:\n    steps: [{steps}]\n{store}");
        assert_eq!(told(&rest, overlay), expected, "{steps} {overlay}");
    };
    check("{ translate: fhir }", named, 1);
    check("{ translate: { to: fhir, time_zone: UTC } }", named, 1);
    check("{ translate: { to: fhir, system_base: \"https://h.example/id/\" } }", named, 0);
    check("{ translate: { to: fhir, sender: HIS } }", named, 0);
    check("{ translate: { to: fhir, overlay: mappings/site.yaml } }", named, 0);
    check("{ translate: { to: fhir, overlay: mappings/site.yaml } }", other, 1);
    check("{ set: { PID-3.4.2: 1.2.3 } }, { translate: fhir }", named, 0);
    check("{ set: { PID-3.1: X } }, { translate: fhir }", named, 1);
    check("{ bot: names }, { translate: fhir }", named, 0);
    // Where the other end is no datastore, nobody knows what becomes of it.
    let rest =
        "steps: [{ translate: fhir }]\ndestinations:\n  web:\n    mllp: { connect: 127.0.0.1:2 }\n";
    assert_eq!(told(rest, named), 0);
    assert_eq!(told(&format!("{rest}  store:\n{store}"), named), 1);
}

#[test]
fn what_systems_begin_with_is_a_uri() {
    let store = "    fhir: { base: \"http://127.0.0.1:2/fhir\" }\n";
    for (base, expected) in [("foo", 1), ("\"https://h.example/ id/\"", 1), ("\"urn:h:\"", 0)] {
        let steps = format!("    steps: [{{ translate: {{ to: fhir, system_base: {base} }} }}]\n");
        let loaded = load(&files(&format!("destinations:\n  store:\n{steps}{store}")));
        let told = loaded.diagnostics.iter().filter(|one| one.code == "overlay.uri").count();
        assert_eq!(told, expected, "{base}");
    }
}

#[test]
fn a_bot_that_returns_json_before_hl7_is_warned_of() {
    let warned = |steps: &str, destination: &str, script: &str| {
        let rest = format!("steps:\n{steps}\ndestinations:\n  out:\n{destination}\n");
        let files = files(&rest).with("bots/names.yaml", "bot: names").with(
            "bots/names.ts",
            format!("export async function handler(c: any, e: any) {{\n  {script}\n}}"),
        );
        let loaded = load(&files);
        assert!(loaded.project.is_some());
        let told: Vec<String> = loaded.diagnostics.iter().map(|one| one.message.clone()).collect();
        told.join("; ")
    };
    let hl7 = "    file: { folder: out }";
    let json = "return { a: 1 } as Record<string, number>;";
    let told = "`names` returns JSON (bots/names.ts:2:3), and";
    assert_eq!(
        warned("  - bot: names", hl7, json),
        format!("{told} `out` sends HL7 v2: the message is parked then")
    );
    assert_eq!(
        warned("  - bot: names\n  - each: OBX\n    do: [{ clear: OBX-5 }]", hl7, json),
        format!("{told} the step `each` behind it is for HL7 v2: the message is parked then")
    );
    let own = "    steps: [{ bot: names }]\n    file: { folder: out }";
    assert!(warned("  - accept: PID exists", own, json).contains("`out` sends HL7 v2"));
    // What takes both, what is not taken, and what nobody knows.
    assert_eq!(warned("  - bot: names", "    mllp: { connect: 127.0.0.1:2 }", json), "");
    assert_eq!(warned("  - bot: { name: names, result: ignored }", hl7, json), "");
    assert_eq!(warned("  - bot: names", hl7, "return e.input;"), "");
    let both = "    file: { folder: out }\n  web:\n    mllp: { connect: 127.0.0.1:2 }";
    assert_eq!(warned("  - bot: names", both, json), "");
    // What is sent goes past the destination's steps.
    let sent = "send('out', JSON.stringify(e.input));";
    assert_eq!(
        warned("  - bot: { name: names, result: ignored }", hl7, sent),
        "`names` sends JSON to `out` (bots/names.ts:2:3), which sends HL7 v2: the message is parked then"
    );
    assert_eq!(warned("  - bot: names", "    mllp: { connect: 127.0.0.1:2 }", sent), "");
    assert_eq!(warned("  - bot: names", hl7, &sent.replace("'out'", "'elsewhere'")), "");
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

/// What is told of a channel whose steps are these; `bot` is the file of its bot.
fn told_of(rest: &str, bot: &str) -> (bool, Vec<String>) {
    let files = files(&format!("{rest}{HL7}"))
        .with("pipehat.yaml", "datastore: {}\n")
        .with("bots/names.yaml", format!("bot: names\n{bot}"))
        .with("bots/names.ts", "export function handler() {}");
    let loaded = load(&files);
    let told = loaded.diagnostics.iter().map(|one| format!("{}: {}", one.code, one.message));
    (loaded.project.is_some(), told.collect())
}

#[test]
fn a_reply_that_goes_nowhere_is_told() {
    let steps = "steps:\n  - bot: { name: names, result: reply }\n";
    let (runs, told) = told_of(steps, "");
    assert!(!runs && told[0].starts_with("channel.bot: this reply goes nowhere"), "{told:?}");
    let (runs, told) = told_of(&format!("reply: none\n{steps}"), "");
    assert!(!runs && told[0].starts_with("channel.bot: this reply goes nowhere"), "{told:?}");
    for mode in ["processed", "enhanced", "{ mode: delivered, from: out }"] {
        assert_eq!(told_of(&format!("reply: {mode}\n{steps}"), ""), (true, vec![]), "{mode}");
    }
}

#[test]
fn a_bot_that_is_tried_for_ever_is_warned_of() {
    let retry = |retry: &str| format!("steps:\n  - bot: {{ name: names, retry: {retry} }}\n");
    let (runs, told) = told_of(&retry("{ give_up: never }"), "");
    assert!(runs && told.len() == 1 && told[0].contains("holds up all"), "{told:?}");
    assert_eq!(told_of(&retry("{ give_up: 1h }"), ""), (true, vec![]));
    assert_eq!(told_of(&retry("{ first: 2s }"), ""), (true, vec![]));
    let files = files(&format!("{}{HL7}", retry("{ first: 2s }")))
        .with("bots/names.yaml", "bot: names")
        .with("bots/names.ts", "export function handler() {}");
    let project = load(&files).project.expect("it is sound");
    let policy = project.channels[0].lookups[0].retry;
    assert_eq!(policy.give_up, Some(std::time::Duration::from_secs(600)));
}

#[test]
fn what_no_change_can_meet_is_told() {
    #[track_caller]
    fn check(subscription: &str, runs: bool, expected: &[&str]) {
        let bot = format!("on: {{ subscription: {subscription} }}\n");
        let (own, told) = told_of("", &bot);
        assert_eq!(own, runs, "{told:?}");
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.contains(expected), "{told} has no {expected}");
        }
    }
    check("\"Encounter?status=finished\"", true, &[]);
    check("\"Encounter?foo=bar\"", false, &["`foo`: Encounter has no search parameter `foo`"]);
    check("{ criteria: \"Encounter?foo=bar\", custom: [foo] }", true, &[]);
    check("\"Encounter?status=\"", false, &["`status`: has no value"]);
    check("\"Encounter?subject:Patient.name=x\"", false, &["look at the resource alone"]);
    check("\"Patient?_has:Observation:patient:code=x\"", false, &["look at the resource alone"]);
    check(
        "\"Encounter?status=finshed\"",
        false,
        &["no Encounter has the code `finshed` where `status` looks for it"],
    );
    let when = |when: &str| format!("{{ criteria: Encounter, when: \"{when}\" }}");
    check(&when("%previous.status != 'finished' and %current.status = 'finished'"), true, &[]);
    check(
        &when("%previous.statuss = 'finished'"),
        false,
        &["Encounter has no element `statuss` (column 11 of the expression)"],
    );
    check(&when("%previus.exists()"), false, &["there is no variable `%previus`"]);
    check(&when("%current.status = 'ready'"), false, &["no `ready` is among the codes there"]);
    check(&when("Patient.active"), false, &["is of type Encounter, and not Patient"]);
}

#[test]
fn only_bots_are_run_by_a_scope() {
    let scopes = |scope: &str| told_of("", &format!("scopes: [{scope}]\n"));
    assert_eq!(scopes("system/Bot.rx"), (true, vec![]));
    for scope in ["system/Patient.x", "\"system/*.cx\""] {
        let (runs, told) = scopes(scope);
        assert!(!runs && told[0].contains("only `system/Bot.x`"), "{told:?}");
    }
}

const SITE: &str = "systems: { GOOD: https://good.example/mrn }\n";
const LAB: &str = "to: { application: LAB }\ntime-zone: Europe/Berlin\n";

fn site(rest: &str, overlay: &str) -> crate::project::Project {
    let files = files(rest)
        .with("mappings/site.yaml", overlay)
        .with("receivers/lab.yaml", LAB)
        .with("bots/names.yaml", "bot: names\ntranslate: { system_base: \"https://own.example/\" }")
        .with("bots/names.ts", "export async function handler() {}");
    let loaded = load(&files);
    loaded
        .project
        .unwrap_or_else(|| panic!("{}", loaded.diagnostics.render(pipehat_config::Colour::Never)))
}

const PATIENT: &[u8] =
    b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01^ADT_A01|1|P|2.5.1\rPID|1||47^^^GOOD~48^^^OTHER||Muster^Maria\r";

const STORE: &str = "    fhir: { base: \"http://127.0.0.1:2/fhir\" }\n";

#[test]
fn a_step_translates_by_the_overlay_that_it_names() {
    let named = |overlay: &str| {
        let step = format!("translate: {{ to: fhir{overlay} }}");
        let rest = format!("destinations:\n  store:\n    steps: [{{ {step} }}]\n{STORE}");
        let project = site(&rest, SITE);
        let spec = &project.channels[0];
        let (bytes, peer) = (Bytes::from_static(PATIENT), peer());
        let input = ProgramInput { bytes: &bytes, channel: &spec.name, peer: &peer };
        match spec.program.run(&input, &mut TestEffects::default()) {
            Verdict::Routed { outputs, .. } => {
                String::from_utf8(outputs[0].bytes.to_vec()).expect("UTF-8")
            }
            verdict => panic!("{verdict:?}"),
        }
    };
    let is_told = |bundle: &str| bundle.contains("https://good.example/mrn");
    assert!(is_told(&named(", overlay: mappings/site.yaml")));
    assert!(!is_told(&named("")));
}

#[test]
fn a_step_writes_for_the_receiver_that_it_names() {
    let step = |more: &str| {
        let step = format!(
            "translate: {{ to: v2, event: \"ADT^A31\", version: \"2.5.1\", receiver: receivers/lab.yaml{more} }}"
        );
        let rest = format!(
            "format: json\ndestinations:\n  lab:\n    steps: [{{ {step} }}]\n    mllp: {{ connect: 127.0.0.1:2 }}\n"
        );
        let files =
            files(&rest).with("receivers/lab.yaml", LAB).with("pipehat.yaml", "datastore: {}");
        let loaded = load(&files);
        let project = loaded.project.unwrap_or_else(|| {
            panic!("{}", loaded.diagnostics.render(pipehat_config::Colour::Never))
        });
        let spec = &project.channels[0];
        let patient = br#"{"resourceType":"Patient","id":"1","name":[{"family":"Muster"}]}"#;
        let (bytes, peer) = (Bytes::from_static(patient), peer());
        let input = ProgramInput { bytes: &bytes, channel: &spec.name, peer: &peer };
        match spec.program.run(&input, &mut TestEffects::default()) {
            Verdict::Routed { outputs, .. } => {
                let text = String::from_utf8_lossy(&outputs[0].bytes).into_owned();
                let fields = text.split('|').map(str::to_owned).collect::<Vec<_>>();
                (fields[2].clone(), fields[4].clone())
            }
            verdict => panic!("{verdict:?}"),
        }
    };
    assert_eq!(step(""), (String::new(), "LAB".to_owned()));
    let own = step(", sending_application: HOSP, receiving_application: OTHER");
    assert_eq!(own, ("HOSP".to_owned(), "OTHER".to_owned()));
}

#[test]
fn a_message_without_its_patient_is_set_aside() {
    let ended = |event: &str, more: &str, resource: &str| {
        let step = format!("translate: {{ to: v2, event: \"{event}\", version: \"2.5.1\"{more} }}");
        let rest = format!(
            "format: json\ndestinations:\n  lab:\n    steps: [{{ {step} }}]\n    mllp: {{ connect: 127.0.0.1:2 }}\n"
        );
        let loaded = load(&files(&rest).with("pipehat.yaml", "datastore: {}"));
        let project = loaded.project.expect("a sound project");
        let spec = &project.channels[0];
        let (bytes, peer) = (Bytes::from(resource.to_owned()), peer());
        let input = ProgramInput { bytes: &bytes, channel: &spec.name, peer: &peer };
        super::told(spec.program.run(&input, &mut TestEffects::default())).remove(0)
    };
    let parked = |which: &str| {
        format!(
            "parked program.translate-incomplete destinations.lab.steps[1].translate: the message would lack {which}"
        )
    };
    let order = r#"{"resourceType":"ServiceRequest","id":"1","status":"active","intent":"order","subject":{"display":"Who"},"code":{"text":"Glucose"}}"#;
    // The structure ORM_O01 has the patient as an option; an order without one is nobody's.
    assert_eq!(ended("ORM^O01", "", order), parked("PID"));
    assert!(ended("ORM^O01", ", incomplete: keep", order).contains("ORC|"));
    let visit =
        r#"{"resourceType":"Encounter","id":"1","status":"finished","class":{"code":"IMP"}}"#;
    assert_eq!(ended("ADT^A03", "", visit), parked("PID"));
    let patient = r#"{"resourceType":"Patient","id":"1","name":[{"family":"Muster"}]}"#;
    assert!(ended("ADT^A31", "", patient).contains("PID|"));
}

#[test]
fn what_an_order_was_is_read_as_far_back_as_it_takes_to_know_whether_it_was_told() {
    let rest = "format: json\ndestinations:\n  lab:\n    steps: [{ translate: { to: v2, event: auto, version: \"2.5.1\" } }]\n    mllp: { connect: 127.0.0.1:2 }\n";
    let loaded = load(&files(rest).with("pipehat.yaml", "datastore: {}"));
    let project = loaded.project.expect("a sound project");
    let spec = &project.channels[0];
    let order = |status: &str, priority: &str| {
        let text = format!(
            r#"{{"resourceType":"ServiceRequest","id":"1","status":"{status}","intent":"order","priority":"{priority}","subject":{{"reference":"Patient/p"}},"code":{{"text":"Glucose"}}}}"#
        );
        Bytes::from(text)
    };
    let patient = br#"{"resourceType":"Patient","id":"p","name":[{"family":"Muster"}]}"#;
    // What the versions before this one were, the newest first; what was asked of them, and what it came to.
    let ended = |version: usize, earlier: &[&str]| {
        let mut change = peer();
        let said = ["update", "ServiceRequest", "1"].map(str::to_owned);
        let said = said.into_iter().chain([version.to_string()]);
        let names = pipehat_connectors::ResourceChange::NAMES.iter();
        change.headers.extend(names.map(|name| (*name).to_owned()).zip(said));
        let bytes = order("active", "stat");
        let input = ProgramInput { bytes: &bytes, channel: &spec.name, peer: &change };
        let found = |bytes| LookupAnswer::Found(Found::One(bytes));
        let answers = earlier.iter().map(|status| found(order(status, "routine")));
        let mut answers: Vec<_> = answers.collect();
        // Of a longer history not all is asked for, and the first besides.
        if answers.len() > 65 && earlier.first() == Some(&"active") {
            answers.drain(65..answers.len() - 1);
        } else {
            answers.truncate(65);
        }
        answers.push(found(Bytes::from_static(patient)));
        answers.reverse();
        let mut effects = TestEffects { answers, ..TestEffects::default() };
        let verdict = spec.program.run(&input, &mut effects);
        (effects.asked.len(), super::told(verdict).join(" "))
    };
    let check = |version: usize, earlier: &[&str], asked: usize, expected: &str| {
        let (count, told) = ended(version, earlier);
        assert!(told.contains(expected), "{told}");
        // Each version is asked for once, and the patient.
        assert_eq!(count, asked, "{told}");
    };
    check(3, &["on-hold", "active"], 3, "ORC|RL|");
    check(3, &["on-hold", "draft"], 3, "ORC|NW|");
    check(4, &["unknown", "draft", "active"], 4, "ORC|XO|");
    check(3, &["on-hold", "on-hold"], 3, "ORC|NW|");
    check(2, &["active"], 2, "ORC|XO|");
    // Whose it was told as, and by which number, is looked for in the versions before that, and in the first.
    check(17, &["active"; 16], 17, "ORC|XO|");
    check(18, &["active"; 17], 18, "ORC|XO|");
    check(91, &["active"; 90], 67, "ORC|XO|");
    let held = ["on-hold"; 65];
    check(65, &held[..64], 65, "ORC|NW|");
    check(66, &held, 65, "parked program.lookup-too-many");
}

#[test]
fn another_overlay_is_another_revision_of_who_names_it() {
    let revision = |rest: &str, overlay: &str| site(rest, overlay).channels[0].revision;
    let names = format!(
        "destinations:\n  store:\n    steps: [{{ translate: {{ to: fhir, overlay: mappings/site.yaml }} }}]\n{STORE}"
    );
    let other = "systems: { GOOD: https://other.example/mrn }\n";
    assert_ne!(revision(&names, SITE), revision(&names, other));
    assert_eq!(revision(HL7, SITE), revision(HL7, other));
}

#[test]
fn bots_of_a_channel_translate_as_it_does() {
    let rest = format!(
        "time_zone: Europe/Berlin\nsteps: [{{ bot: names }}]\ndestinations:\n  store:\n    steps: [{{ translate: {{ to: fhir, overlay: mappings/site.yaml, system_base: \"https://feed.example/\" }} }}]\n{STORE}"
    );
    let project = site(&rest, SITE);
    let (channel, bot) = (&project.channels[0].translation, &project.bots[0].translation);
    let system = |settings: &crate::program::TranslationSettings, which: &str| {
        let Made { made: bundle, .. } = crate::program::translate_to_fhir(
            std::str::from_utf8(PATIENT).expect("text"),
            settings,
        )
        .expect("a translation");
        bundle.contains(&format!("\"{which}\""))
    };
    // The bot's own base, and the channel's overlay.
    let both = bot.or(channel);
    assert!(
        system(&both, "https://good.example/mrn") && system(&both, "https://own.example/OTHER")
    );
    assert!(system(channel, "https://feed.example/OTHER"));
    assert!(!system(bot, "https://good.example/mrn"));
    assert!(both.to_fhir.zone.is_some() && bot.to_fhir.zone.is_none());
}

#[test]
fn a_message_that_a_bot_has_as_text_is_read_as_text() {
    let settings = crate::program::TranslationSettings::default();
    for set in ["", "8859/1", "8859/15", "UNICODE UTF-8"] {
        let message = format!(
            "MSH|^~\\&|A|B|C|D|20260101||ADT^A01^ADT_A01|1|P|2.5.1||||||{set}\rPID|1||47^^^GOOD||Müller^Jörg\r"
        );
        let told = crate::program::translate_to_fhir(&message, &settings);
        let Made { made: bundle, .. } = told.expect("a translation");
        assert!(bundle.contains("\"Müller\"") && bundle.contains("\"Jörg\""), "{set}: {bundle}");
    }
}
