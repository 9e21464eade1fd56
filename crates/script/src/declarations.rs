//! What editors need to know of the built-in modules and of the sandbox: TypeScript's declarations.

macro_rules! declaration {
    ($name:literal) => {
        ($name, include_str!(concat!("../modules/types/", $name)))
    };
}

/// The declarations of the built-in modules: the names of their files, and what is in them.
///
/// They are made of the modules' sources by `scripts/bot-types`, and refer to `@medplum/fhirtypes`, which is not among
/// them.
pub fn declarations() -> &'static [(&'static str, &'static str)] {
    &[
        declaration!("sandbox.d.ts"),
        declaration!("pipehat/index.d.ts"),
        declaration!("pipehat/message.d.ts"),
        declaration!("pipehat/outside.d.ts"),
        declaration!("pipehat/state.d.ts"),
        declaration!("medplum/absent.d.ts"),
        declaration!("medplum/bot.d.ts"),
        declaration!("medplum/bundle.d.ts"),
        declaration!("medplum/client.d.ts"),
        declaration!("medplum/codes.d.ts"),
        declaration!("medplum/encoding.d.ts"),
        declaration!("medplum/fhirpath.d.ts"),
        declaration!("medplum/format.d.ts"),
        declaration!("medplum/hl7-date-time.d.ts"),
        declaration!("medplum/hl7.d.ts"),
        declaration!("medplum/index.d.ts"),
        declaration!("medplum/interaction.d.ts"),
        declaration!("medplum/observation.d.ts"),
        declaration!("medplum/outcome.d.ts"),
        declaration!("medplum/questionnaire.d.ts"),
        declaration!("medplum/reference.d.ts"),
        declaration!("medplum/search.d.ts"),
        declaration!("medplum/validation.d.ts"),
        declaration!("medplum/values.d.ts"),
    ]
}
