//! Any message: no panic, what comes out is valid, the same again, and no populated field is passed over in silence.

use std::{env, fs};

use pipehat_dictionary::Version;
use pipehat_message::{BatchPartKind, Batches, Message};
use pipehat_resource::validate::{Checks, validate};
use pipehat_testdata::{Generator, Selection, Settings as Made};
use pipehat_translate::{FindingKind, LineageLimits, Settings, Translator};
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};

/// A site's own segment behind every message: nothing maps it, so each of its values must be told.
const UNKNOWN: &[u8] = b"ZZZ|one|two^three\r";

/// What is wrong with a translation; empty where nothing is.
fn faults(translator: &Translator, bytes: &[u8]) -> Vec<String> {
    let Ok(message) = Message::parse(bytes) else { return Vec::new() };
    let translation = translator.to_fhir(&message);
    let issues = validate(&translation.bundle, Checks::All);
    let mut faults: Vec<String> = issues
        .into_iter()
        .filter(pipehat_resource::outcome::Issue::is_error)
        .map(|issue| format!("{:?}: {}", issue.expression, issue.text))
        .collect();
    let again = translator.to_fhir_with_lineage(&message, LineageLimits::SHOWN);
    if again.bundle.to_json() != translation.bundle.to_json() {
        faults.push("not the same twice".to_owned());
    }
    let told = translation.findings.iter().filter(|finding| finding.path.starts_with("ZZZ-"));
    if bytes.ends_with(UNKNOWN) && translation.findings_beyond == 0 && told.count() != 3 {
        faults.push("a value that nothing maps was not told".to_owned());
    }
    faults
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_generated_message_becomes_valid_resources(seed in any::<u64>(), which in any::<usize>()) {
        let versions = [Version::V2_3, Version::V2_4, Version::V2_5_1, Version::V2_8_2];
        let version = versions[which % versions.len()];
        let translator = Translator::new(Settings::default());
        let events: Vec<_> = Selection::all(version).collect();
        let mut generator = Generator::new(Made { seed, ..Made::new(version) }).expect("a generator");
        let mut made = 0;
        for offset in 0..8 {
            let event = events[(which + offset * 31) % events.len()];
            let name = format!("{}^{}", event.message_code(), event.trigger_event());
            let Ok(selection) = Selection::parse(&name, version) else { continue };
            let mut bytes = Vec::new();
            generator.append(&selection, &mut bytes);
            bytes.extend_from_slice(UNKNOWN);
            made += 1;
            let faults = faults(&translator, &bytes);
            prop_assert!(faults.is_empty(), "{name} {version:?} seed {seed}: {faults:#?}");
        }
        prop_assert!(made > 0);
    }

    #[test]
    fn any_bytes_behind_a_header_do_no_harm(rest in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = b"MSH|^~\\&|A|B|C|D|20260101||ORU^R01|1|P|2.5.1\rPID|1||".to_vec();
        bytes.extend(rest);
        let faults = faults(&Translator::new(Settings::default()), &bytes);
        prop_assert!(faults.is_empty(), "{faults:#?}");
    }
}

#[test]
fn a_message_that_no_table_covers_is_told_whole() {
    let bytes = b"MSH|^~\\&|A|B|C|D|20260101||ZZZ^Z99|1|P|2.5.1\rZZZ|one|two^three\r";
    let message = Message::parse(bytes).expect("a message");
    let translation = Translator::new(Settings::default()).to_fhir(&message);
    assert_eq!(translation.bundle.items("entry").len(), 0);
    let kinds: Vec<_> = translation.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds.first(), Some(&FindingKind::StructureUnknown));
    assert!(faults(&Translator::new(Settings::default()), bytes).is_empty());
}

/// `MESSAGES=DIR cargo test -p pipehat-translate --test messages -- --ignored`
#[test]
#[ignore = "needs a directory of messages in the variable MESSAGES"]
fn every_message_of_a_directory_becomes_valid_resources() {
    let directory = env::var("MESSAGES").expect("MESSAGES names a directory");
    let translator = Translator::new(Settings::default());
    let mut count = 0;
    let mut wrong = Vec::new();
    for file in fs::read_dir(directory).expect("it can be read").flatten() {
        let Ok(bytes) = fs::read(file.path()) else { continue };
        for part in Batches::new(&bytes).filter(|part| part.kind == BatchPartKind::Message) {
            count += 1;
            let faults = faults(&translator, part.content());
            if !faults.is_empty() {
                wrong.push(format!("{}: {faults:?}", file.file_name().display()));
            }
        }
    }
    assert!(count > 0, "there are no messages");
    assert!(wrong.is_empty(), "{} of {count}: {wrong:#?}", wrong.len());
}

#[test]
fn every_row_is_run_or_has_its_reason() {
    let check = pipehat_translate::check_tables();
    assert_eq!(check.unread, Vec::<String>::new(), "rows without a reason");
    assert_eq!(check.idle_reasons, Vec::<String>::new(), "reasons that nothing needs");
    assert_eq!(check.idle_corrections, Vec::<String>::new(), "corrections that change nothing");
    assert_eq!(check.unexplained, Vec::<String>::new(), "rows of ours without a comment");
    assert!(check.rows_run > 1_500, "{}", check.rows_run);
}
