//! Which translations outputs went through, and what is kept of them.

use bytes::Bytes;
use pipehat_connectors::{BotOutcome, BotResult, Found};
use pipehat_translate::{PackedLineage, PlacePattern};

use super::message;
use crate::effects::{Effect, LookupAnswer, Recording};
use crate::program::{ProgramInput, Translation, Verdict};
use crate::project::testing::{TestEffects, files, load, peer};

const STORE: &str = "    fhir: { base: \"http://127.0.0.1:2/fhir\" }\n";
const LAB: &str = "    mllp: { connect: 127.0.0.1:3 }\n";

fn routed(rest: &str, lines: &str, outcome: Option<BotOutcome>) -> (Verdict, Vec<Effect>) {
    let files = files(rest)
        .with("pipehat.yaml", "datastore: {}")
        .with("bots/names.yaml", "bot: names")
        .with("bots/names.ts", "export async function handler() {}");
    let loaded = load(&files);
    let project = loaded
        .project
        .unwrap_or_else(|| panic!("{}", loaded.diagnostics.render(pipehat_config::Colour::Never)));
    let spec = &project.channels[0];
    let answer = outcome.map(|outcome| LookupAnswer::Found(Found::One(outcome.to_bytes())));
    let effects = TestEffects { answers: answer.into_iter().collect(), ..TestEffects::default() };
    let mut effects = Recording::new(effects);
    let (bytes, peer) = (message(lines), peer());
    let input = ProgramInput { bytes: &bytes, channel: &spec.name, peer: &peer };
    let verdict = spec.program.run(&input, &mut effects);
    (verdict, effects.into_effects())
}

/// Expected is for each output the translations it went through, first to last: the step, the bot, whether something is kept.
#[track_caller]
fn check(rest: &str, lines: &str, outcome: Option<BotOutcome>, expected: &[&str]) {
    let (Verdict::Routed { outputs, translations, .. }, _) = routed(rest, lines, outcome) else {
        panic!("routed")
    };
    let told: Vec<String> =
        outputs.iter().map(|output| told(&translations, output.translation)).collect();
    assert_eq!(told, expected);
}

fn told(translations: &[Translation], last: Option<u16>) -> String {
    let mut words = Vec::new();
    let mut next = last;
    while let Some(number) = next {
        let own = &translations[usize::from(number)];
        let bot = own.bot.as_deref().map(|bot| format!(" by {bot}")).unwrap_or_default();
        let kept = if own.lineage.is_some() { "" } else { " not kept" };
        words.push(format!("{}{bot}{kept}", own.at.step()));
        next = own.before;
    }
    words.reverse();
    words.join(", ")
}

const PATIENT: &str = "PID|1||47^^^GOOD||Muster^Maria";

#[test]
fn each_output_tells_what_it_went_through() {
    let both = |translate: &str| {
        format!(
            "destinations:\n  lab:\n{LAB}  store:\n    steps: [{translate}]\n{STORE}  other:\n{LAB}"
        )
    };
    check(
        &both("{ translate: fhir }"),
        PATIENT,
        None,
        &["", "destinations.store.steps[1].translate", ""],
    );
    check(&both("{ translate: { to: fhir, lineage: false } }"), PATIENT, None, &["", "", ""]);
    check(
        &format!("steps: [{{ translate: fhir }}]\ndestinations:\n  a:\n{STORE}  b:\n{STORE}"),
        PATIENT,
        None,
        &["steps[1].translate", "steps[1].translate"],
    );
}

#[test]
fn lineage_says_where_the_elements_came_from() {
    let rest = format!("destinations:\n  store:\n    steps: [{{ translate: fhir }}]\n{STORE}");
    let (Verdict::Routed { translations, .. }, _) = routed(&rest, PATIENT, None) else {
        panic!("routed")
    };
    let packed = translations[0].lineage.as_ref().expect("it is kept");
    let lineage = PackedLineage::new(packed.to_vec()).unpack().expect("it can be read");
    let place = PlacePattern::parse("Patient.name.family").expect("a place");
    let found = lineage.about(&place).sources;
    let paths: Vec<_> = found.iter().flat_map(|source| &source.paths).collect();
    assert_eq!(paths.iter().map(|path| path.path()).collect::<Vec<_>>(), ["PID-5.1.1"]);
}

#[test]
fn a_resource_that_becomes_a_message_tells_it_too() {
    let step = "{ translate: { to: v2, event: \"ADT^A31\", version: \"2.5.1\" } }";
    let rest = format!(
        "steps: [{{ translate: fhir }}, {step}, {{ set: {{ MSH-5: LAB }} }}]\ndestinations:\n  lab:\n{LAB}"
    );
    let (verdict, _) = routed(&rest, PATIENT, None);
    let Verdict::Routed { outputs, translations, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(
        told(&translations, outputs[0].translation),
        "steps[1].translate, steps[2].translate"
    );
    let packed = translations[1].lineage.as_ref().expect("it is kept");
    let lineage = PackedLineage::new(packed.to_vec()).unpack().expect("it can be read");
    let place = PlacePattern::parse("PID-5.1").expect("a place");
    let found = lineage.about(&place).sources;
    assert!(found[0].paths[0].path().starts_with("Patient.name[0].family"), "{found:?}");
}

#[test]
fn what_a_bot_translated_goes_with_what_it_made() {
    let packed = Bytes::from_static(b"packed");
    let outcome = |result: BotResult| BotOutcome {
        result,
        sent: vec![("other".into(), Bytes::from_static(b"{}"))],
        lineage: vec![Some(packed.clone()), None],
        ..BotOutcome::default()
    };
    let rest = |bot: &str| {
        format!(
            "steps: [{{ translate: fhir }}, {bot}]\ndestinations:\n  store:\n{STORE}  other:\n{STORE}"
        )
    };
    let by_bot = "steps[1].translate, steps[2].bot by names, steps[2].bot by names not kept";
    let json = || outcome(BotResult::Json(Bytes::from_static(b"{\"a\":1}")));
    check(&rest("{ bot: names }"), PATIENT, Some(json()), &[by_bot, by_bot, by_bot]);
    // What goes on as it was did not go through it.
    for (bot, outcome) in [
        ("{ bot: names }", outcome(BotResult::Nothing)),
        ("{ bot: { name: names, result: ignored } }", json()),
    ] {
        let translated = "steps[1].translate";
        check(&rest(bot), PATIENT, Some(outcome), &[by_bot, translated, translated]);
    }
    // It stands in the answer of the bot, and not once more.
    let (verdict, effects) = routed(&rest("{ bot: names }"), PATIENT, Some(json()));
    let Verdict::Routed { translations, .. } = verdict else { panic!("{verdict:?}") };
    let answer = effects.iter().find_map(|effect| match effect {
        Effect::Lookup { answer: LookupAnswer::Found(Found::One(bytes)), .. } => Some(bytes),
        _ => None,
    });
    let answer = answer.expect("the bot's answer is recorded").as_ptr_range();
    let kept = translations[1].lineage.as_ref().expect("it is kept").as_ptr_range();
    assert!(answer.start <= kept.start && kept.end <= answer.end);
}

#[test]
fn the_lineage_of_so_many_translations_is_kept_and_of_no_more() {
    let parts = |count: usize| {
        let rest = format!(
            "steps: [{{ split: {{ each: OBX }} }}]\ndestinations:\n  store:\n    steps: [{{ translate: fhir }}]\n{STORE}"
        );
        let lines: String =
            (1..=count).map(|number| format!("OBX|{number}|ST|A^B^L||x||||||F\n")).collect();
        let (verdict, _) = routed(&rest, lines.trim_end(), None);
        let Verdict::Routed { outputs, translations, findings, .. } = verdict else {
            panic!("{verdict:?}")
        };
        let lacks = outputs.iter().filter(|output| output.translation.is_none()).count();
        let told = findings.iter().find(|finding| finding.code == "translate.lineage-not-kept");
        (translations.len(), lacks, told.map(|finding| finding.count))
    };
    assert_eq!(parts(1_000), (1_000, 0, None));
    assert_eq!(parts(1_001), (1_000, 1, Some(1)));
}
