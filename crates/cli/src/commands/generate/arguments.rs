//! The arguments of `pipehat generate` and their help.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use pipehat_dictionary::Version;
use pipehat_dictionary::profile::Profile;
use pipehat_testdata::{Generator, Selection, SelectionError, Settings, SettingsError};

use super::destination::{self, Amount, Destination};
use super::list;
use crate::commands::profile;
use crate::commands::send::{Rate, Sending, rate, send_made};
use crate::duration::duration;
use crate::exit::{Exit, Failure};
use crate::peer_address::{PeerAddress, peer_address};
use crate::terminal::Terminal;
use crate::tls;

const EXAMPLES: &str = "\
Examples:
  pipehat generate ADT^A01
  pipehat generate ORU^R01 --version 2.3 -n 1000 -o results.hl7
  pipehat generate hospital -n 5000 --seed 7 -o day/
  pipehat generate hospital --to localhost:2575 --rate 20/s --for 10m
  pipehat generate SIU -n 100 --charset 8859/1 -o appointments.hl7
  pipehat generate ORU^R01 --profile lab2 -n 50 -o lab2.hl7
  pipehat generate --list --version 2.9.1

TYPE is a message code with a trigger event (ADT^A08, ORU_R01), a message code alone for any of its events (SIU),
or `hospital` for what a hospital sends in a day: people come, are moved and leave, things are ordered and found.

The people do not exist. What is told fits together: a result follows its order, a discharge an admission, a
cancel what it cancels. The same seed, version, start and TYPE make the same bytes. Messages keep to the
standard: `pipehat message validate` finds nothing in them. With --profile they keep to a partner's
profile too and carry its own segments, as far as its conditions do not contradict each other.

Without -o and --to the messages go to standard output, on a terminal with a line for each segment. A directory
(one that exists, or a name that ends with /) gets a file for each message.

The exit code is 1 if any message was not acknowledged positively, 2 if the version has no such type, 3 if a file
cannot be written or the peer cannot be reached.";

/// A version as it was asked for: 2.9 is told by the definitions of 2.9.1, and says 2.9 in MSH-12.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) version: Version,
    pub(super) name: &'static str,
}

impl Asked {
    const fn of(version: Version) -> Self {
        Self { version, name: version.as_str() }
    }
}

const WINDOW_MAX: u64 = 100_000;
const CONNECTIONS_MAX: u64 = 10_000;

/// Make synthetic messages of any type and version, for tests and demonstrations
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// What to make: a type like ADT^A01 or ORU_R01, a message code like SIU, or `hospital`
    #[arg(value_name = "TYPE", required_unless_present = "list")]
    what: Option<String>,

    /// The version of HL7; 2.5.1 if left out, or the profile's
    #[arg(long, value_name = "VERSION", value_parser = version)]
    version: Option<Asked>,

    /// A partner's profile whose dialect the messages have: a name of this project, or a file
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,

    /// How many messages
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Another number makes other people and events
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// When the told events begin: a date, a date with a time, or `now`
    #[arg(long, value_name = "TIME", default_value = "2026-03-02T07:00", value_parser = start)]
    start: i64,

    /// The character set (MSH-18), like 8859/1, UTF-8 or ascii; the version's best if left out
    #[arg(long, value_name = "NAME")]
    charset: Option<String>,

    /// How fast, like 100/s or 30/m; as fast as it goes if left out
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<Rate>,

    /// For how long, like 30s or 10m, instead of a number of messages
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, conflicts_with = "count")]
    duration: Option<Duration>,

    /// A file for all messages, or a directory for a file each
    #[arg(long, short = 'o', value_name = "FILE|DIR", conflicts_with = "to")]
    output: Option<PathBuf>,

    /// Send them to an MLLP peer, like mllp://lab:2575, and count the acknowledgments
    #[arg(long, value_name = "HOST:PORT", value_parser = peer_address)]
    to: Option<PeerAddress>,

    /// Over how many connections to send; with more than one, order is not kept
    #[arg(long, value_name = "N", default_value_t = 1, requires = "to", value_parser = clap::value_parser!(u64).range(1..=CONNECTIONS_MAX))]
    connections: u64,

    /// How many messages may wait for their acknowledgment on one connection
    #[arg(long, value_name = "N", default_value_t = 1, requires = "to", value_parser = clap::value_parser!(u64).range(1..=WINDOW_MAX))]
    window: u64,

    /// How long to wait for an acknowledgment, and for a connection
    #[arg(long, value_name = "DURATION", default_value = "30s", requires = "to", value_parser = duration)]
    timeout: Duration,

    /// List the types that the version has
    #[arg(long, conflicts_with_all = ["output", "to", "count", "duration"])]
    list: bool,

    /// Print what was made, or the list, as one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    tls: tls::ClientOptions,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        if self.list {
            let asked = self.version.unwrap_or(Asked::of(Version::V2_5_1));
            return list::list(asked, self.what.as_deref(), self.json, terminal);
        }
        let what = self.what.as_deref().unwrap_or_default();
        let profile =
            self.profile.as_deref().map(|name| profile::load(name, terminal)).transpose()?;
        let of_profile = profile.as_ref().map(|profile| profile.version);
        if let (Some(asked), Some(profile)) = (self.version, &profile)
            && asked.version != profile.version
        {
            let Profile { name, version, .. } = profile;
            return Err(Failure::usage(format!(
                "the profile {name} is of version {version}: leave out `--version {}`",
                asked.name
            )));
        }
        let asked = self.version.or(of_profile.map(Asked::of));
        let Asked { version, name: version_id } = asked.unwrap_or(Asked::of(Version::V2_5_1));
        let selection = Selection::parse(what, version)
            .map_err(|error| unknown(error.with_version_name(version_id)))?;
        let generator = Generator::new(Settings {
            version_id,
            seed: self.seed,
            start: self.start,
            charset: self.charset.clone(),
            ..Settings::new(version)
        });
        let mut generator = generator.map_err(refused)?;
        if let Some(profile) = profile {
            check_cover(&profile, &selection)?;
            generator = generator.with_profile(Arc::new(profile));
        }
        let count = match (self.count, self.duration) {
            (Some(count), _) => count,
            (None, Some(_)) => u64::MAX,
            (None, None) => 1,
        };
        let Some(target) = &self.to else {
            let amount = Amount { count, duration: self.duration, rate: self.rate };
            let destination = Destination::of(self.output.as_deref(), terminal);
            if self.json && destination.is_standard_output() {
                return Err(Failure::usage("--json tells of messages elsewhere: add -o or --to"));
            }
            let made =
                destination::write(&mut generator, &selection, destination, amount, terminal)?;
            made.tell(version_id, self.seed, self.json, terminal)?;
            return Ok(Exit::Ok);
        };
        let tls = self.tls.client(&target.host)?;
        let sending = Sending {
            count,
            rate: self.rate,
            duration: self.duration,
            connections: self.connections,
            window: self.window,
            timeout: self.timeout,
            json: self.json,
        };
        let make = move || {
            let mut bytes = Vec::new();
            generator.append(&selection, &mut bytes);
            bytes
        };
        send_made(target, tls.as_ref(), make, &sending, terminal)
    }
}

fn unknown(error: SelectionError) -> Failure {
    Failure::usage(format!("{error}: `pipehat generate --list` shows all"))
}

/// A profile that says nothing about the messages asked for was named by mistake.
fn check_cover(profile: &Profile, selection: &Selection) -> Result<(), Failure> {
    if let Selection::Event(event) = selection
        && !profile.covers(event.message_code().as_bytes(), event.trigger_event().as_bytes())
    {
        let (code, trigger) = (event.message_code(), event.trigger_event());
        let text = format!("the profile {} does not cover {code}^{trigger}", profile.name);
        return Err(Failure::usage(text));
    }
    Ok(())
}

fn refused(error: SettingsError) -> Failure {
    Failure::usage(error)
}

/// Reads a version; errors name those that are known.
fn version(text: &str) -> Result<Asked, String> {
    if text == "2.9" {
        return Ok(Asked { version: Version::V2_9_1, name: "2.9" });
    }
    Version::named(text.as_bytes()).map(Asked::of).ok_or_else(|| {
        let mut known: Vec<&str> = Version::ALL.iter().map(|version| version.as_str()).collect();
        known.insert(known.len().saturating_sub(1), "2.9");
        format!("the versions are {}", known.join(", "))
    })
}

/// Reads when events begin, as seconds of the hospital's own time.
fn start(text: &str) -> Result<i64, String> {
    let time = if text == "now" {
        TimeZone::system().to_datetime(Timestamp::now())
    } else {
        text.parse::<DateTime>()
            .map_err(|_| "write a date like 2026-03-02 or 2026-03-02T07:00".to_owned())?
    };
    let seconds = TimeZone::UTC.to_timestamp(time).map_err(|error| error.to_string())?.as_second();
    if seconds < 0 { Err("a date from 1970 on".to_owned()) } else { Ok(seconds) }
}
