//! The settings of the file connector.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pipehat_config::{Diagnostic, Diagnostics, FieldSchema, Kind, Required, Settings};

use super::codes;
use super::destination::{DestinationOptions, FileDestination, Layout, OnExisting};
use super::disk::Mode;
use super::listing::{Marker, MarkerBase, Order, Ready};
use super::parts::Split;
use super::pattern::Pattern;
use super::source::{FileSource, SourceOptions, Watching, WhenDone};
use super::template::NameTemplate;
use super::workplace::WORKING_FOLDER;
use crate::segment_end::SegmentEnd;
use crate::{
    BuildContext, Descriptor, Destination, DestinationDescriptor, Health, PayloadFormat, Source,
    SourceDescriptor,
};

/// The file connector.
pub(crate) const CONNECTOR: Descriptor = Descriptor {
    name: "file",
    title: "Files",
    doc: "Takes messages from the files of a folder, on this machine or on a mounted share, and writes messages to files.",
    source: Some(SourceDescriptor {
        schema: SOURCE,
        formats: &[PayloadFormat::Hl7],
        build: source,
        claim,
    }),
    destination: Some(DestinationDescriptor {
        schema: DESTINATION,
        shorthand: None,
        formats: &[PayloadFormat::Hl7],
        unrepeatable: &[],
        answers: &[],
        interruptions: &[],
        build: destination,
    }),
    lookup: None,
    codes: codes::CODES,
};

/// More often than this a folder is not worth looking into.
const POLL_LEAST: Duration = Duration::from_millis(100);

/// How long a file must be unchanged unless configured. Programs that write with pauses need more.
const STABLE_FOR: Duration = Duration::from_secs(2);

const SOURCE: &[FieldSchema] = &[
    FieldSchema {
        name: "folder",
        kind: Kind::Text,
        required: Required::Yes,
        doc: "The folder files are taken from; folders in it are not looked into. Seen from the project directory.",
        example: "/srv/hl7/in",
    },
    FieldSchema {
        name: "pattern",
        kind: Kind::List(&Kind::Text),
        required: Required::Default("[\"*.hl7\"]"),
        doc: "Which files, by name: `*` for any characters, `?` for one, `[a-z]` for one of a set. Upper and lower case are \
              the same. Hidden files (a dot in front) only match a pattern with a dot in front.",
        example: "[\"*.hl7\", \"adt_*.txt\"]",
    },
    FieldSchema {
        name: "poll",
        kind: Kind::Duration,
        required: Required::Default("5s"),
        doc: "How often the folder is looked into, whether or not the system tells of changes.",
        example: "30s",
    },
    FieldSchema {
        name: "watch",
        kind: Kind::Boolean,
        required: Required::Default("true"),
        doc: "Whether to be told of changes by the system as well; network shares tell nothing.",
        example: "false",
    },
    FieldSchema {
        name: "stable_for",
        kind: Kind::Duration,
        required: Required::No,
        doc: "A file is complete when its size and time did not change for this long: 2s when left out. `0s` takes files at \
              once, for senders that write under another name and rename.",
        example: "10s",
    },
    FieldSchema {
        name: "marker",
        kind: Kind::Text,
        required: Required::No,
        doc: "Instead of `stable_for`: the name of a second file that says the first is complete, made of `{name}` (the whole \
              name) or `{stem}` (without its extension). It is deleted when the file is taken.",
        example: "\"{name}.done\"",
    },
    FieldSchema {
        name: "order",
        kind: Kind::Choice(&["name", "modified"]),
        required: Required::Default("name"),
        doc: "In which order files are taken: by name, or the one changed first.",
        example: "modified",
    },
    FieldSchema {
        name: "working",
        kind: Kind::Text,
        required: Required::No,
        doc: "The folder that files are moved into while they are read: `.pipehat` in the folder when left out. It must be on \
              the same file system, because a file is claimed by renaming it, so that no two engines take the same one. \
              Engines that share a folder need different ones.",
        example: "/srv/hl7/working",
    },
    FieldSchema {
        name: "when_done",
        kind: Kind::Choice(&["move", "delete"]),
        required: Required::Default("move"),
        doc: "What becomes of a file whose messages were all taken. Every message is in the journal, whatever you choose.",
        example: "delete",
    },
    FieldSchema {
        name: "done",
        kind: Kind::Text,
        required: Required::No,
        doc: "Where finished files go: `done` in the folder when left out. A name that is taken gets a number.",
        example: "/srv/hl7/done",
    },
    FieldSchema {
        name: "error",
        kind: Kind::Text,
        required: Required::No,
        doc: "Where files go in which a message was refused or something is not as it should be, with a `.reason` file beside \
              each: `error` in the folder when left out.",
        example: "/srv/hl7/error",
    },
    FieldSchema {
        name: "split",
        kind: Kind::Choice(&["messages", "none"]),
        required: Required::Default("messages"),
        doc: "`messages`: HL7, one message or many, with or without batch headers. `none`: each file is one payload of any \
              kind.",
        example: "none",
    },
    FieldSchema {
        name: "message_bytes_max",
        kind: Kind::Bytes,
        required: Required::Default("64MiB"),
        doc: "The largest message. A file may be larger than memory, a message may not.",
        example: "8MiB",
    },
    FieldSchema {
        name: "under_way",
        kind: Kind::Integer { min: 1, max: 1_000 },
        required: Required::Default("32"),
        doc: "How many messages of a file may wait to be kept at once. Their order stays.",
        example: "1",
    },
];

const DESTINATION: &[FieldSchema] = &[
    FieldSchema {
        name: "folder",
        kind: Kind::Text,
        required: Required::Yes,
        doc: "The folder files are written to. It must be there: it is not made, and `check` warns where it is missing. Seen from the project directory.",
        example: "/srv/hl7/out",
    },
    FieldSchema {
        name: "name",
        kind: Kind::Template,
        required: Required::Default("\"{channel}-{message}-{ordinal}.hl7\""),
        doc: "The file's name, of `{channel}`, `{message}` (our number), `{ordinal}`, `{source_file}`, `{date}`, `{time}`, \
              `{year}`, `{month}`, `{day}`, `{hour}`, `{minute}`, `{second}`, `{millisecond}` and places in the message such \
              as `{MSH-10}`. With `{message}` and `{ordinal}` a repeated delivery finds its file and makes no second one. \
              Places such as `{PID-3.1}` put patient data into file names, where listings, backups and other people's logs \
              show it: that is yours to decide.",
        example: "\"{MSH-4}-{date}-{message}-{ordinal}.txt\"",
    },
    FieldSchema {
        name: "on_existing",
        kind: Kind::Choice(&["suffix", "replace", "park"]),
        required: Required::Default("suffix"),
        doc: "What is done when another file has the name: take a new name with a number, replace the file, or park the \
              message.",
        example: "park",
    },
    FieldSchema {
        name: "append",
        kind: Kind::Boolean,
        required: Required::Default("false"),
        doc: "Add to the file instead of making one for each message: choose a `name` that stays the same as long as you \
              like, such as `{date}.hl7`. A hidden file beside it remembers how far it is whole, so that a crash leaves no \
              half message in it. No other program may add to the file: what it adds would be taken for such a piece.",
        example: "true",
    },
    FieldSchema {
        name: "segment_end",
        kind: Kind::Choice(&["keep", "cr", "lf", "crlf"]),
        required: Required::Default("keep"),
        doc: "What ends each segment: what the message has, or one of these everywhere.",
        example: "crlf",
    },
    FieldSchema {
        name: "mode",
        kind: Kind::Text,
        required: Required::Default("\"0640\""),
        doc: "Who may read and write the files, as in `chmod`: unless told otherwise, we and the folder's group, nobody else. \
              The process's umask may take more away.",
        example: "\"0660\"",
    },
];

fn source(
    settings: &Settings,
    context: &BuildContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<dyn Source>> {
    source_options(settings, context, diagnostics)
        .map(|options| Arc::new(FileSource::new(options)) as Arc<dyn Source>)
}

/// Reads a source's settings; reports all that is wrong.
pub(super) fn source_options(
    settings: &Settings,
    context: &BuildContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<SourceOptions> {
    let folder = context.path(settings.text("folder")?);
    let below = |name: &'static str, default: &str| match settings.text(name) {
        Some(written) => context.path(written),
        None => folder.join(default),
    };
    let (working, done, error) =
        (below("working", WORKING_FOLDER), below("done", "done"), below("error", "error"));
    warn_unless_there(
        settings,
        &folder,
        codes::FOLDER_UNREADABLE.code,
        "it is not made: make it, or mount the share; until then the channel waits for it",
        diagnostics,
    );
    let patterns = patterns(settings, diagnostics);
    let ready = ready(settings, diagnostics);
    let poll = settings.duration("poll")?;
    let mut sound = true;
    if poll < POLL_LEAST {
        sound =
            wrong(settings, "poll", "a folder can be looked into every 100ms at most", diagnostics);
    }
    for (name, path) in [("working", &working), ("done", &done), ("error", &error)] {
        if *path == folder {
            let message = format!("`{name}` is the folder files are taken from");
            sound = wrong(settings, name, message, diagnostics);
        } else if name != "working" && *path == working {
            let message = format!("`{name}` is the working folder");
            sound = wrong(settings, name, message, diagnostics);
        }
    }
    let when_done = match settings.choice("when_done")? {
        "delete" => {
            if settings.contains("done") {
                let message = "finished files are deleted, so nothing goes there";
                sound = wrong(settings, "done", message, diagnostics);
            }
            WhenDone::Delete
        }
        _ => WhenDone::Move(done),
    };
    let message_bytes_max = bytes_max(settings, "message_bytes_max", diagnostics);
    if !sound {
        return None;
    }
    Some(SourceOptions {
        patterns: patterns?,
        ready: ready?,
        order: if settings.choice("order")? == "modified" { Order::Modified } else { Order::Name },
        poll,
        watching: if settings.boolean("watch")? { Watching::PollAndWatch } else { Watching::Poll },
        when_done,
        error,
        split: if settings.choice("split")? == "none" { Split::None } else { Split::Messages },
        message_bytes_max: message_bytes_max?,
        under_way_max: usize::try_from(settings.integer("under_way")?).ok()?,
        working,
        folder,
    })
}

fn patterns(settings: &Settings, diagnostics: &mut Diagnostics) -> Option<Vec<Pattern>> {
    let written = settings.list("pattern")?;
    if written.is_empty() {
        wrong(settings, "pattern", "without a pattern no file is taken", diagnostics);
        return None;
    }
    let mut patterns = Vec::new();
    for setting in written {
        match Pattern::parse(setting.text().unwrap_or_default()) {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => {
                diagnostics.error(codes::SETTING.code, setting.span(), error.to_string());
            }
        }
    }
    (patterns.len() == written.len()).then_some(patterns)
}

fn ready(settings: &Settings, diagnostics: &mut Diagnostics) -> Option<Ready> {
    let Some(marker) = settings.text("marker") else {
        return Some(Ready::Stable(settings.duration("stable_for").unwrap_or(STABLE_FOR)));
    };
    if settings.contains("stable_for") {
        let message = "a file is complete either by its `marker` or by `stable_for`, not both";
        wrong(settings, "stable_for", message, diagnostics);
        return None;
    }
    let base = [("{name}", MarkerBase::Name), ("{stem}", MarkerBase::Stem)];
    let read = base.into_iter().find_map(|(word, base)| Some((base, marker.strip_prefix(word)?)));
    match read {
        Some((base, suffix)) if !suffix.is_empty() && !suffix.contains(['/', '\\', '{', '}']) => {
            Some(Ready::Marker(Marker { base, suffix: suffix.to_owned() }))
        }
        _ => {
            let message = "a marker is `{name}` or `{stem}` and an ending, such as `{name}.done`";
            wrong(settings, "marker", message, diagnostics);
            None
        }
    }
}

fn claim(settings: &Settings) -> Option<String> {
    let working = match settings.text("working") {
        Some(working) => PathBuf::from(working),
        None => PathBuf::from(settings.text("folder")?).join(WORKING_FOLDER),
    };
    Some(format!("folder {}", working.display()))
}

fn destination(
    settings: &Settings,
    context: &BuildContext<'_>,
    health: Arc<Health>,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<dyn Destination>> {
    let name = match NameTemplate::parse(settings.text("name")?) {
        Ok(name) => name,
        Err(error) => {
            wrong(settings, "name", error.to_string(), diagnostics);
            return None;
        }
    };
    let append = settings.boolean("append")?;
    if append && !settings.is_default("on_existing") {
        let message = "with `append` a file of that name is added to, whatever stands here";
        wrong(settings, "on_existing", message, diagnostics);
        return None;
    }
    let on_existing = match settings.choice("on_existing")? {
        "replace" => OnExisting::Replace,
        "park" => OnExisting::Park,
        _ => OnExisting::Suffix,
    };
    let segment_end = match settings.choice("segment_end")? {
        "cr" => SegmentEnd::Cr,
        "lf" => SegmentEnd::Lf,
        "crlf" => SegmentEnd::CrLf,
        _ => SegmentEnd::Keep,
    };
    let Some(mode) = Mode::parse(settings.text("mode")?) else {
        let message = "this is not a mode that lets ourselves read and write, such as \"0640\"";
        wrong(settings, "mode", message, diagnostics);
        return None;
    };
    let folder = context.path(settings.text("folder")?);
    warn_unless_there(
        settings,
        &folder,
        codes::WRITE_FAILED.code,
        "it is not made: make it, or mount the share; until then nothing is written, and deliveries are tried again",
        diagnostics,
    );
    let options = DestinationOptions {
        mode,
        folder,
        name,
        layout: if append { Layout::Append } else { Layout::One(on_existing) },
        segment_end,
    };
    match FileDestination::new(options, health) {
        Ok(destination) => Some(Arc::new(destination)),
        Err(error) => {
            let message = format!("the system gives no random numbers: {error}");
            diagnostics.error(codes::SETTING.code, settings.span(), message);
            None
        }
    }
}

/// A folder that is not there is waited for: it may be a share that is mounted later, or a word that is misspelt.
fn warn_unless_there(
    settings: &Settings,
    folder: &Path,
    code: &'static str,
    help: &str,
    diagnostics: &mut Diagnostics,
) {
    if !folder.is_dir() {
        let span = settings.span_of("folder").unwrap_or_else(|| settings.span());
        let warning = Diagnostic::warning(code, span, "there is no such folder");
        diagnostics.push(warning.with_help(help));
    }
}

/// A size that a message may have.
fn bytes_max(
    settings: &Settings,
    name: &'static str,
    diagnostics: &mut Diagnostics,
) -> Option<usize> {
    let bytes = settings.bytes(name)?;
    match u32::try_from(bytes) {
        Ok(bytes) if bytes > 0 => usize::try_from(bytes).ok(),
        _ => {
            wrong(settings, name, "a message has between 1B and 4GiB", diagnostics);
            None
        }
    }
}

/// Reports a setting that fits the schema and yet makes no sense; always false.
fn wrong(
    settings: &Settings,
    name: &'static str,
    message: impl Into<String>,
    diagnostics: &mut Diagnostics,
) -> bool {
    let span = settings.span_of(name).unwrap_or_else(|| settings.span());
    diagnostics.push(Diagnostic::error(codes::SETTING.code, span, message));
    false
}
