//! The settings of the FHIR connector.

use std::sync::Arc;

use pipehat_config::{
    Diagnostic, Diagnostics, FieldSchema, Kind, Required, Setting, Settings, nearest,
};
use pipehat_resource::search::Registry;

use super::answers::{ANSWERS, INTERRUPTIONS, UNREPEATABLE};
use super::codes;
use super::criteria::{Criteria, Mistake};
use super::destination::{DestinationOptions, FhirDestination};
use super::lookup::{FhirLookup, LOOKUP_ANSWERS, LookupOptions};
use super::peer_settings;
use super::request::Mode;
use super::source::{Beginning, FhirSource, SourceOptions};
use super::template::{self, Condition};
use crate::http::reading::Reading;
use crate::{
    BuildContext, ChangeKind, Descriptor, Destination, DestinationDescriptor, Health, Lookup,
    LookupDescriptor, PayloadFormat, Source, SourceDescriptor,
};

/// The FHIR connector.
pub(crate) const CONNECTOR: Descriptor = Descriptor {
    name: "fhir",
    title: "FHIR",
    doc: "Writes FHIR R4 resources, and Bundles that are batches or transactions, to the datastore of this Pipehat or to another \
          server; and receives what changes in the datastore of this Pipehat, in the order in which it changed. The headers \
          `fhir-change`, `fhir-type`, `fhir-id` and `fhir-version` are kept with each message. A `lookup` step searches in \
          either while a message is processed.",
    source: Some(SourceDescriptor {
        schema: SOURCE,
        formats: &[PayloadFormat::Json],
        build: source,
        claim: |_| None,
    }),
    destination: Some(DestinationDescriptor {
        schema: DESTINATION,
        shorthand: Some("base"),
        formats: &[PayloadFormat::Json],
        answers: ANSWERS,
        interruptions: INTERRUPTIONS,
        unrepeatable: UNREPEATABLE,
        build: destination,
    }),
    lookup: Some(LookupDescriptor {
        schema: LOOKUP,
        shorthand: Some("base"),
        answers: LOOKUP_ANSWERS,
        build: lookup,
    }),
    codes: codes::CODES,
};

const SOURCE: &[FieldSchema] = &[
    FieldSchema {
        name: "from",
        kind: Kind::Choice(&["local"]),
        required: Required::Default("local"),
        doc: "The datastore of this Pipehat (`datastore:` in `pipehat.yaml`).",
        example: "local",
    },
    FieldSchema {
        name: "criteria",
        kind: Kind::Text,
        required: Required::Yes,
        doc: "Which resources: a type, and what else must hold of the resource by search parameters: R4's, and those in `custom`. \
              Chains and `_has` can't be used.",
        example: "\"Encounter?status=finished\"",
    },
    FieldSchema {
        name: "custom",
        kind: Kind::List(&Kind::Text),
        required: Required::No,
        doc: "Search parameters of the datastore's own that the criteria ask by. What they mean stands in the datastore's \
              SearchParameters; without them no change is taken, and none left out.",
        example: "[ward]",
    },
    FieldSchema {
        name: "on",
        kind: Kind::List(&Kind::Choice(&["create", "update", "delete"])),
        required: Required::Default("[create, update]"),
        doc: "What must happen to it. `delete` gives the version before, where that met the criteria; a `fhir` destination deletes then. A \
              resource that comes back after \
              a deletion counts as updated.",
        example: "[create, update, delete]",
    },
    FieldSchema {
        name: "start",
        kind: Kind::Choice(&["now", "beginning"]),
        required: Required::Default("now"),
        doc: "Where a new channel begins: with changes from now on, or with every change there is. One that ran before goes on where it \
              was.",
        example: "beginning",
    },
];

const DESTINATION: &[FieldSchema] = &[
    peer_settings::BASE,
    FieldSchema {
        name: "mode",
        kind: Kind::Choice(&["automatic", "create", "update", "transaction"]),
        required: Required::Default("automatic"),
        doc: "`automatic`: a Bundle of type transaction or batch is performed, any other resource written under its id. `create`: \
              it gets an id from the server. `update`: it is written under its id, or over what `search` finds. `transaction`: \
              only Bundles of these types are taken.",
        example: "update",
    },
    FieldSchema {
        name: "if_none_exist",
        kind: Kind::Template,
        required: Required::No,
        doc: "With `mode: create`: nothing is created where this search finds a resource. `identifier`, or a search with FHIRPath in \
              braces.",
        example: "\"identifier={Patient.identifier.first().system}|{Patient.identifier.first().value}\"",
    },
    FieldSchema {
        name: "search",
        kind: Kind::Template,
        required: Required::No,
        doc: "With `mode: update`: what finds the resource to be written over; where nothing is found, one is created. `identifier` \
              (the first with a system and a value), or a search with FHIRPath in braces. A change of a datastore is written without its \
              `id` then: what is found has its own.",
        example: "identifier",
    },
    FieldSchema {
        name: "prefer",
        kind: Kind::Choice(&["minimal", "representation", "OperationOutcome"]),
        required: Required::Default("minimal"),
        doc: "What the server is asked to send back; it is kept with the delivery. Of a response without a body, status, location and \
              ETag are kept.",
        example: "representation",
    },
    peer_settings::CLIENT,
    peer_settings::TOKEN,
    peer_settings::USER,
    peer_settings::PASSWORD,
    peer_settings::HEADERS,
    peer_settings::SECRET_HEADERS,
    peer_settings::TLS,
    peer_settings::ACCEPTED_RISK,
    peer_settings::PROXY,
    peer_settings::CONNECT_TIMEOUT,
    peer_settings::TIMEOUT,
    peer_settings::CONNECTIONS,
    FieldSchema {
        name: "reply_bytes_max",
        kind: Kind::Bytes,
        required: Required::Default("1MiB"),
        doc: "A response's body up to this size is kept with the delivery.",
        example: "64KiB",
    },
];

const LOOKUP: &[FieldSchema] = &[
    peer_settings::BASE,
    peer_settings::CLIENT,
    peer_settings::TOKEN,
    peer_settings::USER,
    peer_settings::PASSWORD,
    peer_settings::HEADERS,
    peer_settings::SECRET_HEADERS,
    peer_settings::TLS,
    peer_settings::ACCEPTED_RISK,
    peer_settings::PROXY,
    peer_settings::CONNECT_TIMEOUT,
    FieldSchema {
        name: "timeout",
        kind: Kind::Duration,
        required: Required::Default("30s"),
        doc: "How long a search may take, connecting included.",
        example: "20s",
    },
    FieldSchema {
        name: "connections",
        kind: Kind::Integer { min: 1, max: 256 },
        required: Required::Default("4"),
        doc: "How many searches may be on their way at once; others wait for their turn.",
        example: "16",
    },
    FieldSchema {
        name: "reply_bytes_max",
        kind: Kind::Bytes,
        required: Required::Default("4MiB"),
        doc: "The largest answer that is read. Of each answer one resource of at most 1 MiB is kept with the message.",
        example: "256KiB",
    },
];

fn source(
    settings: &Settings,
    context: &BuildContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<dyn Source>> {
    let mut reading =
        Reading { settings, context, diagnostics, sound: true, codes: &codes::READING };
    let local = context.datastore.cloned();
    if local.is_none() {
        reading.wrong_with(&codes::NO_DATASTORE, "from", "this project has no datastore");
    }
    let kinds = settings.list("on")?.iter().map(|setting| match setting.choice() {
        Some("delete") => ChangeKind::Delete,
        Some("update") => ChangeKind::Update,
        _ => ChangeKind::Create,
    });
    let kinds: Vec<ChangeKind> = kinds.collect();
    if kinds.is_empty() {
        reading.wrong("on", "nothing would ever come in: name `create`, `update` or `delete`");
    }
    let custom = settings.texts("custom");
    let criteria = Criteria::parse(settings.text("criteria")?, &custom, kinds)
        .map_err(|mistakes| wrong_criteria(&mut reading, mistakes))
        .ok();
    if !reading.sound {
        return None;
    }
    Some(Arc::new(FhirSource::new(SourceOptions {
        local: local?,
        criteria: criteria?,
        beginning: match settings.choice("start")? {
            "beginning" => Beginning::First,
            _ => Beginning::Now,
        },
        channel: context.channel.to_owned(),
    })))
}

fn wrong_criteria(reading: &mut Reading<'_>, mistakes: Vec<Mistake>) {
    let settings = reading.settings;
    let span = settings.span_of("criteria").unwrap_or_else(|| settings.span());
    // What comes from outside of the file is not guessed at.
    let substituted = settings.get("criteria").is_some_and(Setting::is_substituted);
    for Mistake { message, nearest, help } in mistakes {
        let error = Diagnostic::error(codes::SETTING.code, span, message);
        let error = error.with_nearest(nearest.as_deref().filter(|_| !substituted));
        reading.diagnostics.push(match help {
            Some(help) => error.with_help(help),
            None => error,
        });
    }
    reading.sound = false;
}

fn destination(
    settings: &Settings,
    context: &BuildContext<'_>,
    health: Arc<Health>,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<dyn Destination>> {
    let mut reading =
        Reading { settings, context, diagnostics, sound: true, codes: &codes::READING };
    let mode = mode(&mut reading);
    let peer = peer_settings::peer(&mut reading);
    if !reading.sound {
        return None;
    }
    let options = DestinationOptions {
        peer: peer?,
        mode: mode?,
        prefer: match settings.choice("prefer")? {
            "representation" => "return=representation",
            "OperationOutcome" => "return=OperationOutcome",
            _ => "return=minimal",
        },
        connections: usize::try_from(settings.integer("connections")?).ok()?,
    };
    Some(Arc::new(FhirDestination::new(options, health)))
}

fn mode(reading: &mut Reading<'_>) -> Option<Mode> {
    let settings = reading.settings;
    let mode = settings.choice("mode")?;
    let belongs = |name: &str| if name == "search" { "update" } else { "create" };
    for name in ["search", "if_none_exist"] {
        if settings.contains(name) && mode != belongs(name) {
            reading.wrong(name, format!("this belongs to `mode: {}`", belongs(name)));
        }
    }
    Some(match mode {
        "create" => Mode::Create { if_none_exist: condition(reading, "if_none_exist")? },
        "update" => Mode::Update { search: condition(reading, "search")? },
        "transaction" => Mode::Transaction,
        _ => Mode::Automatic,
    })
}

/// Inside, none where there is no such setting.
fn condition(reading: &mut Reading<'_>, name: &'static str) -> Option<Option<Condition>> {
    let Some(text) = reading.settings.text(name) else { return Some(None) };
    match Condition::parse(text) {
        Ok(condition) => {
            warn_of_unknown(reading, name, text);
            Some(Some(condition))
        }
        Err(error) => {
            reading.wrong(name, error);
            None
        }
    }
}

/// Which type a resource will have is not known, and a server may have search parameters of its own; so a name that no
/// type of R4 has is only doubtful.
fn warn_of_unknown(reading: &mut Reading<'_>, name: &'static str, text: &str) {
    let registry = Registry::standard();
    let codes = || {
        registry
            .resource_types()
            .flat_map(|resource_type| registry.parameters(resource_type))
            .map(|parameter| parameter.code())
    };
    for asked in template::names(text) {
        let code = asked.split([':', '.']).next().unwrap_or_default();
        if code == "_has" || codes().any(|known| known == code) {
            continue;
        }
        let span = reading.settings.span_of(name).unwrap_or_else(|| reading.settings.span());
        let text = format!("no resource type of FHIR R4 has a search parameter `{code}`");
        let own =
            "one of the server's own works where the server has it; otherwise every message parks";
        let help = match nearest(code, codes()) {
            Some(near) => format!("did you mean `{near}`? Or else: {own}"),
            None => own.to_owned(),
        };
        reading
            .diagnostics
            .push(Diagnostic::warning(codes::SETTING.code, span, text).with_help(help));
    }
}

fn lookup(
    settings: &Settings,
    context: &BuildContext<'_>,
    health: Arc<Health>,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<dyn Lookup>> {
    let mut reading =
        Reading { settings, context, diagnostics, sound: true, codes: &codes::READING };
    let peer = peer_settings::peer(&mut reading);
    if !reading.sound {
        return None;
    }
    let connections = usize::try_from(settings.integer("connections")?).ok()?;
    Some(Arc::new(FhirLookup::new(LookupOptions { peer: peer?, connections }, health)))
}
