//! What every descriptor must say.

use pipehat_config::schema_mistakes;

use crate::{Answer, Descriptor};

/// Checks a descriptor by itself.
pub(crate) fn check_descriptor(descriptor: &Descriptor) {
    let name = descriptor.name;
    let lawful = |character: char| character.is_ascii_lowercase() || character == '-';
    assert!(!name.is_empty() && name.chars().all(lawful), "{name}");
    assert!(!descriptor.title.is_empty() && descriptor.doc.ends_with('.'), "{name}");
    assert!(descriptor.source.is_some() || descriptor.destination.is_some(), "{name}");
    if let Some(source) = &descriptor.source {
        assert_eq!(schema_mistakes(source.schema), [] as [String; 0], "{name}");
    }
    if let Some(destination) = &descriptor.destination {
        assert_eq!(schema_mistakes(destination.schema), [] as [String; 0], "{name}");
        check_answers(destination.answers);
        check_interruptions(descriptor);
    }
    if let Some(lookup) = &descriptor.lookup {
        assert_eq!(schema_mistakes(lookup.schema), [] as [String; 0], "{name}");
        check_answers(lookup.answers);
    }
    for (index, code) in descriptor.codes.iter().enumerate() {
        let own = code.code.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
        assert!(own.is_some_and(|own| !own.is_empty() && own.chars().all(lawful)), "{code:?}");
        assert!(code.cause.ends_with('.') && code.remedy.ends_with('.'), "{code:?}");
        let twice = descriptor.codes.iter().take(index).any(|other| other.code == code.code);
        assert!(!twice, "{code:?} is there twice");
    }
    assert!(!descriptor.codes.is_empty(), "{name} has no codes");
}

/// An operator finds the code, and the configuration the name.
fn check_interruptions(descriptor: &Descriptor) {
    let Some(destination) = &descriptor.destination else { return };
    for (code, name) in destination.interruptions {
        assert!(descriptor.codes.iter().any(|known| known.code == *code), "{code} is not listed");
        let answer = destination.answer_to_interruption(code);
        assert!(answer.is_some_and(|answer| answer.name == *name), "{name} is no answer");
    }
}

/// Names are unique, and a class is not a riddle: it is itself an answer or the `4xx` of one.
fn check_answers(answers: &[Answer]) {
    for (index, answer) in answers.iter().enumerate() {
        assert!(!answer.name.is_empty() && !answer.doc.is_empty(), "{answer:?}");
        let twice = answers.iter().take(index).any(|other| other.name == answer.name);
        assert!(!twice, "{answer:?} is there twice");
        if let Some(class) = answer.class {
            assert!(
                answers.iter().any(|other| other.name == class),
                "{answer:?} has an unknown class"
            );
        }
    }
}
