//! Messages to learn from: of files of any size, or of a channel.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use pipehat_dictionary::profile::Learner;
use pipehat_engine::Log;
use pipehat_engine::record::Record;
use pipehat_journal::{FileJournal, OpenOptions};
use pipehat_message::{
    BatchPart, BatchPartKind, BatchSplitter, Charset, CharsetSpec, Header, Message,
};
use pipehat_server::{MessagesPage, SearchRequest};

use crate::admin::Admin;
use crate::commands::message::sources;
use crate::commands::project::DataArguments;
use crate::exit::Failure;
use crate::input::{InputError, Source};
use crate::local_time::Clock;
use crate::terminal::Terminal;

/// So much of a file is read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// So many messages of a channel are asked for at once.
const PAGE: usize = 500;

/// So often the bar moves.
const PROGRESS_EVERY: u64 = 1_000;

/// Where the messages come from.
#[derive(Debug, clap::Args)]
pub(super) struct TrafficArguments {
    /// Files or directories with messages; `-` for standard input
    #[arg(value_name = "FILE", required_unless_present = "channel", conflicts_with = "channel")]
    files: Vec<PathBuf>,

    /// Learn from what this channel received
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,

    /// Received since: a time like 2026-01-31T08:00:00Z, or a span like 15m, 2h, 3d
    #[arg(long, value_name = "TIME", requires = "channel")]
    since: Option<String>,

    /// Received before: a time, or a span ago
    #[arg(long, value_name = "TIME", requires = "channel")]
    until: Option<String>,

    #[command(flatten)]
    data: DataArguments,
}

/// Messages to learn from.
pub(super) enum Traffic {
    Files(Vec<Source>),
    Channel(Box<ChannelTraffic>),
}

pub(super) struct ChannelTraffic {
    channel: String,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    data: DataArguments,
}

/// Traffic that gives nothing to learn from.
#[derive(Debug, thiserror::Error)]
enum TrafficError {
    #[error("{name} holds no HL7 message")]
    NoMessage { name: String },
    #[error("there is no message of the channel {channel} in that time")]
    NoneOfChannel { channel: String },
    #[error("there is no journal in {data}: name the data directory with --data")]
    NoJournal { data: String },
}

impl Traffic {
    pub(super) fn of(arguments: &TrafficArguments) -> Result<Self, Failure> {
        let Some(channel) = arguments.channel.clone() else {
            return Ok(Self::Files(sources(&arguments.files)?));
        };
        let clock = Clock::of_system();
        let time = |text: &Option<String>| -> Result<Option<Timestamp>, Failure> {
            text.as_deref().map(|text| clock.read(text)).transpose()
        };
        Ok(Self::Channel(Box::new(ChannelTraffic {
            channel,
            since: time(&arguments.since)?,
            until: time(&arguments.until)?,
            data: arguments.data.clone(),
        })))
    }

    /// The messages in these files and directories.
    pub(super) fn files(names: &[PathBuf]) -> Result<Self, Failure> {
        Ok(Self::Files(sources(names)?))
    }

    /// Learns from all of it.
    pub(super) fn read(&self, learner: &mut Learner, terminal: &Terminal) -> Result<(), Failure> {
        match self {
            Self::Files(sources) => read_files(sources, learner, terminal),
            Self::Channel(traffic) => traffic.read(learner, terminal),
        }
    }
}

fn read_files(
    sources: &[Source],
    learner: &mut Learner,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let size = |source: &Source| match source {
        Source::File(path) => path.metadata().map_or(0, |metadata| metadata.len()),
        Source::StandardInput => 0,
    };
    let bar = bar(terminal, "{bar:30} {binary_bytes}/{binary_total_bytes}  {msg}  {eta} left");
    bar.set_length(sources.iter().map(size).sum());
    for source in sources {
        let before = learner.messages();
        let read = match source {
            Source::StandardInput => read_stream(&mut io::stdin().lock(), learner, &bar),
            Source::File(path) => {
                File::open(path).and_then(|mut file| read_stream(&mut file, learner, &bar))
            }
        };
        read.map_err(|source_error| InputError::Read {
            name: source.name(),
            source: source_error,
        })?;
        if learner.messages() == before && sources.len() > 1 {
            bar.suspend(|| {
                terminal.warn(format_args!("{} holds no HL7 message", source.name()));
            });
        }
    }
    bar.finish_and_clear();
    if learner.messages() == 0 {
        let name = sources.first().map(Source::name).unwrap_or_default();
        let name = if sources.len() == 1 { name } else { "none of the files".to_owned() };
        return Err(Failure::could_not(TrafficError::NoMessage { name }));
    }
    Ok(())
}

/// Reads piece by piece; what is too large for a message ends the file.
fn read_stream(input: &mut dyn Read, learner: &mut Learner, bar: &ProgressBar) -> io::Result<()> {
    let mut splitter = BatchSplitter::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut is_first = true;
    loop {
        let count = input.read(&mut chunk)?;
        let bytes = chunk.get(..count).unwrap_or_default();
        if std::mem::take(&mut is_first)
            && let Some(charset) = Charset::detect_wide(bytes)
        {
            return read_wide(bytes, input, charset, learner);
        }
        if count == 0 {
            splitter.finish();
        } else {
            splitter.push(bytes);
        }
        loop {
            match splitter.next_part() {
                Ok(Some(part)) => learn_part(&part, learner),
                Ok(None) => break,
                Err(_) => {
                    learner.unreadable();
                    return Ok(());
                }
            }
        }
        bar.inc(count as u64);
        bar.set_message(format!("{} messages", learner.messages()));
        if count == 0 {
            return Ok(());
        }
    }
}

/// The most of a file in two-byte characters: it is decoded as a whole.
const WIDE_BYTES_MAX: u64 = 1 << 30;

fn read_wide(
    begun: &[u8],
    input: &mut dyn Read,
    charset: Charset,
    learner: &mut Learner,
) -> io::Result<()> {
    let mut bytes = begun.to_vec();
    input.take(WIDE_BYTES_MAX).read_to_end(&mut bytes)?;
    let text = charset.decode(&bytes).text.into_owned();
    let mut splitter = BatchSplitter::default();
    splitter.push(text.as_bytes());
    splitter.finish();
    while let Ok(Some(part)) = splitter.next_part() {
        learn_part(&part, learner);
    }
    Ok(())
}

fn learn_part(part: &BatchPart<'_>, learner: &mut Learner) {
    match part.kind {
        BatchPartKind::Message => learn_bytes(part.bytes, learner),
        BatchPartKind::Stray if part.bytes.iter().any(|byte| !byte.is_ascii_whitespace()) => {
            learner.unreadable();
        }
        _ => {}
    }
}

/// Learns from one message; one whose characters may hold delimiters is decoded first.
pub(super) fn learn_bytes(bytes: &[u8], learner: &mut Learner) {
    let header = Header::read(bytes);
    let declared = header.as_ref().map(Header::character_set).unwrap_or_default();
    let hiding = (!declared.is_empty())
        .then(|| CharsetSpec::from_msh18(declared).ok())
        .flatten()
        .map(|spec| spec.charset())
        .filter(Charset::hides_delimiters);
    let decoded = hiding.map(|charset| charset.decode(bytes).text.into_owned());
    let bytes = decoded.as_ref().map_or(bytes, |text| text.as_bytes());
    match Message::parse(bytes) {
        Ok(message) => learner.learn(&message),
        Err(_) => learner.unreadable(),
    }
}

impl ChannelTraffic {
    fn read(&self, learner: &mut Learner, terminal: &Terminal) -> Result<(), Failure> {
        let data = self.data.find()?;
        let running = data.read_admin().map_err(Failure::could_not)?.is_some();
        if running {
            match self.ask(&Admin::find(&data)?, learner, terminal) {
                // It was killed and left its address behind.
                Err(_) if learner.messages() == 0 => self.journal(&data, learner, terminal)?,
                asked => asked?,
            }
        } else {
            self.journal(&data, learner, terminal)?;
        }
        if learner.messages() == 0 {
            let channel = self.channel.clone();
            return Err(Failure::could_not(TrafficError::NoneOfChannel { channel }));
        }
        Ok(())
    }

    /// Asks the Pipehat that runs for message after message.
    fn ask(
        &self,
        admin: &Admin,
        learner: &mut Learner,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        let bar = bar(terminal, "{spinner} {msg}");
        let mut request = SearchRequest {
            channels: vec![self.channel.clone()],
            from: self.since.map(|time| time.to_string()),
            until: self.until.map(|time| time.to_string()),
            message_type: None,
            control_id: None,
            sending_application: None,
            sending_facility: None,
            identifier: None,
            named: None,
            disposition: None,
            destination: None,
            oldest_first: true,
            limit: Some(PAGE),
            cursor: None,
        };
        loop {
            let page: MessagesPage = admin.post("/api/v1/messages/search", &request)?;
            for message in page.messages.iter().filter(|message| message.duplicate_of.is_none()) {
                let path = format!("/api/v1/messages/{}/bytes", message.id);
                learn_bytes(&admin.get_bytes(&path)?, learner);
                bar.set_message(format!("{} messages", learner.messages()));
                bar.tick();
            }
            request.cursor = page.next;
            if request.cursor.is_none() {
                bar.finish_and_clear();
                return Ok(());
            }
        }
    }

    /// Reads the journal of a Pipehat that does not run.
    fn journal(
        &self,
        data: &pipehat_server::DataDirectory,
        learner: &mut Learner,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        if !data.has_journal() {
            let data = data.root().display().to_string();
            return Err(Failure::could_not(TrafficError::NoJournal { data }));
        }
        let mut options = OpenOptions::new(data.journal());
        options.key = Some(data.existing_key().map_err(Failure::could_not)?);
        let (journal, _) = FileJournal::open(options).map_err(Failure::could_not)?;
        let log = Log::new(std::sync::Arc::new(journal));
        let bar = crate::commands::prove::progress(terminal);
        let first = log.journal().first_position();
        bar.set_length(log.journal().next_position().get().saturating_sub(first.get()));
        let mut records: u64 = 0;
        for entry in log.records(first) {
            let (_, record) = entry.map_err(Failure::could_not)?;
            records = records.saturating_add(1);
            if records.is_multiple_of(PROGRESS_EVERY) {
                bar.set_position(records);
            }
            let Record::Received(received) = record else { continue };
            let in_time = self.since.is_none_or(|since| received.at >= since)
                && self.until.is_none_or(|until| received.at < until);
            if *received.channel == *self.channel && in_time && received.duplicate_of.is_none() {
                learn_bytes(&received.bytes, learner);
            }
        }
        bar.finish_and_clear();
        log.journal().close();
        Ok(())
    }
}

/// A bar on a terminal, nothing elsewhere.
fn bar(terminal: &Terminal, template: &str) -> ProgressBar {
    if !terminal.shows_progress() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
