//! Projects made up in memory, with connectors that connect to nothing.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use pipehat_config::{
    Colour, Diagnostics, Environment, FieldSchema, Kind, Required, SecretText, Settings,
};
use pipehat_connectors::{
    Answer, Asked, Attempt, Bound, BuildContext, Descriptor, Destination, DestinationDescriptor,
    Found, GivenChanges, Health, Lookup, LookupAttempt, LookupDescriptor, OnRefusal, Outbound,
    Parallel, PayloadFormat, Peer, RefusesDeletions, Secrets, Source, SourceDescriptor, StartError,
    UnknownSecret,
};

use super::channel::ChannelSpec;
use super::files::{MemoryFiles, ProjectFiles};
use super::load::{LoadContext, Loaded, Project};
use crate::effects::{Effects, LookupAnswer, LookupRequest};
use crate::program::{ProgramInput, Verdict};

/// Receives nothing, sends nothing.
struct Nowhere;

impl Nowhere {
    fn bind_nowhere<'b>(&self) -> BoxFuture<'b, Result<Box<dyn Bound>, StartError>> {
        let error = StartError {
            code: "test.nowhere",
            message: "this source listens nowhere".to_owned(),
            source: None,
        };
        Box::pin(async { Err(error) })
    }
}

impl Source for Nowhere {
    fn bind(&self) -> BoxFuture<'_, Result<Box<dyn Bound>, StartError>> {
        self.bind_nowhere()
    }
}

impl Destination for Nowhere {
    fn parallel(&self) -> Parallel {
        Parallel { connections: 1, window: 1 }
    }

    fn deliver(&self, _: Outbound) -> BoxFuture<'static, Attempt> {
        Box::pin(async { Attempt::Delivered { reply: None } })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

const LISTEN: FieldSchema = FieldSchema {
    name: "listen",
    kind: Kind::Address,
    required: Required::Yes,
    doc: "Where to listen.",
    example: "127.0.0.1:2575",
};

const CONNECT: FieldSchema = FieldSchema {
    name: "connect",
    kind: Kind::Address,
    required: Required::Yes,
    doc: "Where to connect to.",
    example: "127.0.0.1:2576",
};

const CONNECTIONS: FieldSchema = FieldSchema {
    name: "connections",
    kind: Kind::Integer { min: 1, max: 64 },
    required: Required::Default("1"),
    doc: "How many connections to open.",
    example: "8",
};

const FOLDER: FieldSchema = FieldSchema {
    name: "folder",
    kind: Kind::Text,
    required: Required::Yes,
    doc: "The folder.",
    example: "in",
};

const ANSWERS: &[Answer] = &[
    Answer { name: "AE", class: None, default: OnRefusal::Park, doc: "An error." },
    Answer { name: "AR", class: None, default: OnRefusal::Retry, doc: "A refusal." },
];

fn build_source(
    _: &Settings,
    _: &BuildContext<'_>,
    _: &mut Diagnostics,
) -> Option<Arc<dyn Source>> {
    Some(Arc::new(Nowhere))
}

fn build_destination(
    _: &Settings,
    _: &BuildContext<'_>,
    _: Arc<Health>,
    _: &mut Diagnostics,
) -> Option<Arc<dyn Destination>> {
    Some(Arc::new(Nowhere))
}

const MLLP: Descriptor = Descriptor {
    name: "mllp",
    title: "MLLP",
    doc: "HL7 v2 over TCP.",
    codes: &[],
    lookup: None,
    source: Some(SourceDescriptor {
        schema: &[LISTEN],
        formats: &[PayloadFormat::Hl7, PayloadFormat::Json],
        build: build_source,
        claim: |settings| {
            let address = settings.address("listen")?;
            (address.port() != 0).then(|| format!("tcp {address}"))
        },
    }),
    destination: Some(DestinationDescriptor {
        schema: &[CONNECT, CONNECTIONS],
        shorthand: Some("connect"),
        formats: &[PayloadFormat::Hl7, PayloadFormat::Json],
        unrepeatable: &["mllp.may-double"],
        interruptions: &[("mllp.may-double", "none")],
        answers: ANSWERS,
        build: build_destination,
    }),
};

const FILE: Descriptor = Descriptor {
    name: "file",
    title: "Files",
    doc: "Files of a folder.",
    codes: &[],
    lookup: None,
    source: Some(SourceDescriptor {
        schema: &[FOLDER],
        formats: &[PayloadFormat::Hl7],
        build: build_source,
        claim: |settings| settings.text("folder").map(|folder| format!("folder {folder}")),
    }),
    destination: Some(DestinationDescriptor {
        schema: &[FOLDER],
        shorthand: None,
        formats: &[PayloadFormat::Hl7],
        unrepeatable: &[],
        interruptions: &[],
        answers: &[],
        build: build_destination,
    }),
};

/// Finds nothing.
impl Lookup for Nowhere {
    fn ask(&self, _: Asked) -> BoxFuture<'static, LookupAttempt> {
        Box::pin(async { LookupAttempt::Found(Found::Nothing) })
    }
}

fn build_lookup(
    _: &Settings,
    _: &BuildContext<'_>,
    _: Arc<Health>,
    _: &mut Diagnostics,
) -> Option<Arc<dyn Lookup>> {
    Some(Arc::new(Nowhere))
}

const BASE: FieldSchema = FieldSchema {
    name: "base",
    kind: Kind::Text,
    required: Required::Yes,
    doc: "The server.",
    example: "local",
};

const ON: FieldSchema = FieldSchema {
    name: "on",
    kind: Kind::List(&Kind::Choice(&["create", "update", "delete"])),
    required: Required::Default("[create, update]"),
    doc: "What must happen.",
    example: "[delete]",
};

const CRITERIA: FieldSchema = FieldSchema {
    name: "criteria",
    kind: Kind::Text,
    required: Required::No,
    doc: "A type of resource.",
    example: "Encounter",
};

const MODE: FieldSchema = FieldSchema {
    name: "mode",
    kind: Kind::Choice(&["update", "create"]),
    required: Required::Default("update"),
    doc: "What is done.",
    example: "create",
};

/// Follows nothing, and says which changes it would give.
struct Follower {
    changes: GivenChanges,
    resource_type: Option<String>,
}

impl Source for Follower {
    fn bind(&self) -> BoxFuture<'_, Result<Box<dyn Bound>, StartError>> {
        Nowhere.bind_nowhere()
    }

    fn changes(&self) -> GivenChanges {
        self.changes
    }

    fn resource_type(&self) -> Option<&str> {
        self.resource_type.as_deref()
    }
}

fn build_follower(
    settings: &Settings,
    _: &BuildContext<'_>,
    _: &mut Diagnostics,
) -> Option<Arc<dyn Source>> {
    let on = settings.list("on")?;
    let deletions = on.iter().any(|setting| setting.choice() == Some("delete"));
    let changes = match (deletions, on.len()) {
        (false, _) => GivenChanges::Writes,
        (true, 1) => GivenChanges::Deletions,
        (true, _) => GivenChanges::All,
    };
    Some(Arc::new(Follower {
        changes,
        resource_type: settings.text("criteria").map(str::to_owned),
    }))
}

/// Writes nowhere; made to create, it can't delete.
struct Writer {
    creates: bool,
}

impl Destination for Writer {
    fn parallel(&self) -> Parallel {
        Nowhere.parallel()
    }

    fn deliver(&self, outbound: Outbound) -> BoxFuture<'static, Attempt> {
        Nowhere.deliver(outbound)
    }

    fn refuses_deletions(&self) -> Option<RefusesDeletions> {
        let (why, remedy) = ("this can't delete", "write `mode: update`");
        self.creates.then_some(RefusesDeletions { why, remedy })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Nowhere.close()
    }
}

fn build_writer(
    settings: &Settings,
    _: &BuildContext<'_>,
    _: Arc<Health>,
    _: &mut Diagnostics,
) -> Option<Arc<dyn Destination>> {
    Some(Arc::new(Writer { creates: settings.choice("mode") == Some("create") }))
}

const LOOKUP_ANSWERS: &[Answer] = &[
    Answer { name: "404", class: Some("4xx"), default: OnRefusal::Park, doc: "Not found." },
    Answer { name: "429", class: Some("4xx"), default: OnRefusal::Retry, doc: "Too many." },
    Answer { name: "4xx", class: None, default: OnRefusal::Park, doc: "Ours." },
    Answer { name: "5xx", class: None, default: OnRefusal::Retry, doc: "Theirs." },
];

const FHIR: Descriptor = Descriptor {
    name: "fhir",
    title: "FHIR",
    doc: "Searches.",
    codes: &[],
    source: Some(SourceDescriptor {
        schema: &[ON, CRITERIA],
        formats: &[PayloadFormat::Json],
        build: build_follower,
        claim: |_| None,
    }),
    destination: Some(DestinationDescriptor {
        schema: &[BASE, MODE],
        shorthand: Some("base"),
        formats: &[PayloadFormat::Json],
        unrepeatable: &[],
        interruptions: &[],
        answers: &[],
        build: build_writer,
    }),
    lookup: Some(LookupDescriptor {
        schema: &[BASE, CONNECTIONS],
        shorthand: Some("base"),
        answers: LOOKUP_ANSWERS,
        build: build_lookup,
    }),
};

/// The answer of that name.
pub(crate) fn lookup_answer(name: &str) -> &'static Answer {
    LOOKUP_ANSWERS.iter().find(|answer| answer.name == name).expect("an answer")
}

/// Every variable named `PIPEHAT_…` that a test may need.
pub(crate) struct TestEnvironment;

impl Environment for TestEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "TEST_SITE").then(|| "GENERAL".to_owned())
    }

    fn secret(&self, _: &str) -> Option<SecretText> {
        None
    }
}

impl Secrets for TestEnvironment {
    fn secret(&self, name: &str) -> Result<Vec<u8>, UnknownSecret> {
        Err(UnknownSecret { name: name.to_owned(), remedy: "there are none in tests".to_owned() })
    }
}

/// Loads a project with connectors `mllp`, `file` and `fhir` that connect to nothing.
pub(crate) fn load(files: &dyn ProjectFiles) -> Loaded {
    Project::load_from(&LoadContext {
        files,
        directory: Path::new("/nowhere"),
        environment: &TestEnvironment,
        secrets: &TestEnvironment,
        connectors: &[&MLLP, &FILE, &FHIR],
    })
}

/// The files of a project with one channel, `test`: `rest` follows its source. It has the code
/// table `gender`.
pub(crate) fn files(rest: &str) -> MemoryFiles {
    let head = "channel: test\nsource:\n  mllp: { listen: 127.0.0.1:0 }\n";
    MemoryFiles::new()
        .with("channels/test.yaml", format!("{head}{rest}"))
        .with("tables/gender.csv", "code,fhir,german\nM,male,Mann\nF,female,Frau\n")
}

/// The channel of [`files`], which must be sound.
pub(crate) fn channel(rest: &str) -> Arc<ChannelSpec> {
    let Loaded { project, diagnostics } = load(&files(rest));
    let Some(project) = project else { panic!("{}", diagnostics.render(Colour::Never)) };
    Arc::clone(project.channels.first().expect("one channel"))
}

/// A time that stands still, control ids that count, and answers that are given beforehand.
#[derive(Debug, Default)]
pub(crate) struct TestEffects {
    pub(crate) control_ids: u32,
    /// The answers to lookups, the next one last.
    pub(crate) answers: Vec<LookupAnswer>,
    /// What was asked.
    pub(crate) asked: Vec<String>,
}

impl Effects for TestEffects {
    fn now(&mut self) -> Timestamp {
        Timestamp::constant(1_721_649_600, 0)
    }

    fn control_id(&mut self) -> String {
        self.control_ids += 1;
        format!("NEW{}", self.control_ids)
    }

    fn lookup(&mut self, request: &LookupRequest) -> Option<LookupAnswer> {
        self.asked.push(request.search());
        self.answers.pop()
    }
}

/// The sender of test messages.
pub(crate) fn peer() -> Peer {
    Peer {
        address: Some(([10, 0, 0, 7], 40_000).into()),
        identity: Some("CN=lab".to_owned()),
        file: None,
        headers: vec![("X-Site".to_owned(), "north".to_owned())],
    }
}

/// Runs a channel on a message.
pub(crate) fn run(spec: &ChannelSpec, bytes: &Bytes) -> Verdict {
    let peer = peer();
    let input = ProgramInput { bytes, channel: &spec.name, peer: &peer };
    spec.program.run(&input, &mut TestEffects::default())
}
