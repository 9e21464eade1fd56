//! Settings of both directions, and what the connector says of itself.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use pipehat_config::{Address, Diagnostic, Diagnostics, FieldSchema, Kind, Required, Settings};

use crate::mllp::destination::MllpDestination;
use crate::mllp::source::MllpSource;
use crate::mllp::{acknowledgment, codes};
use crate::segment_end::SegmentEnd;
use crate::tls::{
    ACCEPTED_RISK, CLIENT_TLS, ClientTls, Direction, SERVER_TLS, ServerTls, check_exposure,
    check_plaintext_listener,
};
use crate::{
    BuildContext, Descriptor, Destination, DestinationDescriptor, Health, Numbering, PayloadFormat,
    Source, SourceDescriptor,
};

/// MLLP.
pub(crate) const CONNECTOR: Descriptor = Descriptor {
    name: "mllp",
    title: "MLLP",
    doc: "HL7 v2 messages over TCP, framed by MLLP, each answered by an acknowledgment.",
    source: Some(SourceDescriptor {
        schema: SOURCE,
        formats: &[PayloadFormat::Hl7],
        build: build_source,
        claim: claim_source,
    }),
    destination: Some(DestinationDescriptor {
        schema: DESTINATION,
        shorthand: None,
        formats: &[PayloadFormat::Hl7],
        unrepeatable: &[],
        answers: acknowledgment::ANSWERS,
        interruptions: acknowledgment::INTERRUPTIONS,
        build: build_destination,
    }),
    lookup: None,
    codes: codes::CODES,
};

const TLS_SOURCE: FieldSchema = FieldSchema {
    name: "tls",
    kind: Kind::Section(SERVER_TLS),
    required: Required::No,
    doc: "Encrypts connections, and with `client_ca` lets only partners with a known certificate in.",
    example: "{ cert: certificates/adt.pem, key: secret:adt-key }",
};

const TLS_DESTINATION: FieldSchema = FieldSchema {
    name: "tls",
    kind: Kind::Section(CLIENT_TLS),
    required: Required::No,
    doc: "Encrypts connections and makes sure who answers; `{}` is enough for a partner with a public certificate.",
    example: "{ ca: certificates/lab-ca.pem }",
};

const ACCEPTED: FieldSchema = FieldSchema {
    name: "accepted_risk",
    kind: Kind::Section(ACCEPTED_RISK),
    required: Required::No,
    doc: "Who runs MLLP without TLS beyond this machine writes down here why, and since when.",
    example: "{ reason: the analyser speaks no TLS, date: 2026-03-31 }",
};

/// A message is one piece of memory on its way through; positions in it have 32 bits.
const MESSAGE_BYTES_LIMIT: u64 = 1 << 30;

/// 50 MiB: a report with an embedded document; far above all that is plain HL7.
const MESSAGE_BYTES_MAX: FieldSchema = FieldSchema {
    name: "message_bytes_max",
    kind: Kind::Bytes,
    required: Required::Default("50MiB"),
    doc: "The longest message. A longer one is refused without being kept in memory.",
    example: "10MiB",
};

const SEGMENT_END: FieldSchema = FieldSchema {
    name: "segment_end",
    kind: Kind::Choice(&["keep", "cr"]),
    required: Required::Default("keep"),
    doc: "What ends each segment: what the message has, or a carriage return as the standard wants it. Choose `cr` for \
          messages that come from files with other line ends: strict partners refuse those.",
    example: "cr",
};

const KEEP_ALIVE: FieldSchema = FieldSchema {
    name: "keep_alive",
    kind: Kind::Duration,
    required: Required::Default("1m"),
    doc: "After so much silence the system probes whether the other side is still there; `0s` for never.",
    example: "30s",
};

/// More than any partner opens by intention. Each may hold a quarter of a mebibyte of an unfinished message before the
/// engine is asked for room, so that all of them together are bounded too.
const CONNECTIONS_MAX_DEFAULT: &str = "1000";

/// The keys of an MLLP source.
pub(super) const SOURCE: &[FieldSchema] = &[
    FieldSchema {
        name: "listen",
        kind: Kind::Address,
        required: Required::Yes,
        doc: "Where partners connect to: an address of this machine and a port.",
        example: "127.0.0.1:2575",
    },
    TLS_SOURCE,
    ACCEPTED,
    FieldSchema {
        name: "allow",
        kind: Kind::List(&Kind::Text),
        required: Required::No,
        doc: "The addresses and networks that may connect; all, if it is left out.",
        example: "[10.0.0.0/8, 192.168.7.12]",
    },
    FieldSchema {
        name: "connections_max",
        kind: Kind::Integer { min: 1, max: 100_000 },
        required: Required::Default(CONNECTIONS_MAX_DEFAULT),
        doc: "How many connections may be open at once; further ones are turned away.",
        example: "200",
    },
    MESSAGE_BYTES_MAX,
    FieldSchema {
        name: "idle_timeout",
        kind: Kind::Duration,
        required: Required::No,
        doc: "Closes a connection on which nothing happened for so long. Left out, connections stay open: many partners \
              hold one for days and lose a message when it is closed.",
        example: "1h",
    },
    FieldSchema {
        name: "frame_timeout",
        kind: Kind::Duration,
        required: Required::Default("1m"),
        doc: "How long a message may take from its first byte to its last, with a second more for each 16 KiB.",
        example: "30s",
    },
    FieldSchema {
        name: "write_timeout",
        kind: Kind::Duration,
        required: Required::Default("30s"),
        doc: "Closes a connection whose partner takes no bytes of our replies for so long.",
        example: "10s",
    },
    KEEP_ALIVE,
    FieldSchema {
        name: "commit_bytes",
        kind: Kind::Boolean,
        required: Required::Default("false"),
        doc: "MLLP release 2: says by a single byte, before any acknowledgment, whether a message is kept.",
        example: "true",
    },
    FieldSchema {
        name: "sequence_numbers",
        kind: Kind::Boolean,
        required: Required::Default("false"),
        doc: "Sequence number protocol: partners number their messages in MSH-13; one out of its turn is refused, and MSA-4 says \
              which number is expected.",
        example: "true",
    },
];

/// The keys of an MLLP destination.
pub(super) const DESTINATION: &[FieldSchema] = &[
    FieldSchema {
        name: "connect",
        kind: Kind::Address,
        required: Required::Yes,
        doc: "Where the partner listens: host and port.",
        example: "lab.internal:2575",
    },
    TLS_DESTINATION,
    ACCEPTED,
    FieldSchema {
        name: "connections",
        kind: Kind::Integer { min: 1, max: 1000 },
        required: Required::Default("1"),
        doc: "How many connections are opened at most. More than one helps only where the channel's order allows it.",
        example: "8",
    },
    FieldSchema {
        name: "window",
        kind: Kind::Integer { min: 1, max: 1000 },
        required: Required::Default("1"),
        doc: "How many messages may be unanswered at a time on one connection, if the partner allows more than one.",
        example: "16",
    },
    FieldSchema {
        name: "acknowledgment",
        kind: Kind::Choice(&["expected", "any", "none"]),
        required: Required::Default("expected"),
        doc: "`expected`: the answer whose MSA-2 is our MSH-10. `any`: the next answer, whatever its MSA-2, for partners \
              that don't echo it. `none`: the partner never answers, and what is written counts as delivered.",
        example: "expected",
    },
    FieldSchema {
        name: "await_application",
        kind: Kind::Boolean,
        required: Required::Default("false"),
        doc: "Enhanced mode: after a commit accept (CA), waits for the application acknowledgment, and goes by its code. With a \
              `window` above 1 others are sent meanwhile. Otherwise CA counts as delivered.",
        example: "true",
    },
    FieldSchema {
        name: "application_timeout",
        kind: Kind::Duration,
        required: Required::No,
        doc: "With `await_application`, how long the application acknowledgment may take after the commit accept; as long as \
              `ack_timeout`, if it is left out.",
        example: "10m",
    },
    FieldSchema {
        name: "application_listen",
        kind: Kind::Address,
        required: Required::No,
        doc: "With `await_application`, where the partner connects to when it brings application acknowledgments by a \
              connection of its own: an address of this machine and a port. Not encrypted.",
        example: "127.0.0.1:2577",
    },
    FieldSchema {
        name: "commit_bytes",
        kind: Kind::Boolean,
        required: Required::Default("false"),
        doc: "MLLP release 2: the partner says by a single byte whether it has kept the message, before any acknowledgment.",
        example: "true",
    },
    FieldSchema {
        name: "connect_timeout",
        kind: Kind::Duration,
        required: Required::Default("10s"),
        doc: "How long connecting may take, TLS included.",
        example: "5s",
    },
    FieldSchema {
        name: "ack_timeout",
        kind: Kind::Duration,
        required: Required::Default("30s"),
        doc: "How long the partner may take to answer, from the message's last byte on.",
        example: "2m",
    },
    FieldSchema {
        name: "write_timeout",
        kind: Kind::Duration,
        required: Required::Default("30s"),
        doc: "Gives a connection up whose partner takes no bytes for so long.",
        example: "10s",
    },
    FieldSchema {
        name: "idle_timeout",
        kind: Kind::Duration,
        required: Required::No,
        doc: "Closes a connection that was not needed for so long; the next message opens another.",
        example: "5m",
    },
    KEEP_ALIVE,
    MESSAGE_BYTES_MAX,
    SEGMENT_END,
    FieldSchema {
        name: "sequence_numbers",
        kind: Kind::Boolean,
        required: Required::Default("false"),
        doc: "Sequence number protocol: writes each message's number into MSH-13, one more than that of the message before \
              it, and goes by the partner's MSA-4. Needs `order: strict`, one connection and a window of 1.",
        example: "true",
    },
    FieldSchema {
        name: "out_of_step",
        kind: Kind::Choice(&["stop", "resynchronize"]),
        required: Required::Default("stop"),
        doc: "With `sequence_numbers`, what is done when the partner expects another number than it can get. `stop`: nothing \
              more is sent until a person has looked at it. `resynchronize`: the partner is told (MSH-13 -1) to take our \
              next number as its first.",
        example: "resynchronize",
    },
];

/// How a source behaves.
#[derive(Debug)]
pub(super) struct SourceRules {
    pub(super) listen: Address,
    pub(super) tls: Option<ServerTls>,
    /// Empty: all.
    pub(super) allow: Vec<IpNet>,
    pub(super) connections_max: usize,
    pub(super) message_bytes_max: usize,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) frame_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) keep_alive: Option<Duration>,
    pub(super) commit_bytes: bool,
    pub(super) numbering: Numbering,
}

impl SourceRules {
    /// Whether a machine may connect. An IPv4 address that came in through an IPv6 socket is an IPv4 address.
    pub(super) fn allows(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.allow.is_empty() || self.allow.iter().any(|network| network.contains(&peer))
    }
}

/// Which answers a destination waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// The one whose MSA-2 is our MSH-10.
    Matching,
    /// The next one.
    Any,
    /// None.
    Nothing,
}

/// What is done when a partner expects another number than it can get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutOfStep {
    /// Nothing more is sent.
    Stop,
    /// It is told to begin to count with our next number.
    Resynchronize,
}

/// How a destination behaves.
#[derive(Debug)]
pub(super) struct DestinationRules {
    pub(super) connect: Address,
    pub(super) tls: Option<ClientTls>,
    pub(super) connections: usize,
    pub(super) window: usize,
    pub(super) expect: Expect,
    pub(super) await_application: bool,
    pub(super) application_timeout: Duration,
    pub(super) application_listen: Option<Address>,
    pub(super) commit_bytes: bool,
    pub(super) connect_timeout: Duration,
    pub(super) ack_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) keep_alive: Option<Duration>,
    pub(super) message_bytes_max: usize,
    pub(super) segment_end: SegmentEnd,
    pub(super) numbered: bool,
    pub(super) out_of_step: OutOfStep,
}

fn build_source(
    settings: &Settings,
    context: &BuildContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<dyn Source>> {
    Some(Arc::new(MllpSource::new(source_rules(settings, context, diagnostics)?)))
}

fn build_destination(
    settings: &Settings,
    context: &BuildContext<'_>,
    health: Arc<Health>,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<dyn Destination>> {
    let rules = destination_rules(settings, context, diagnostics)?;
    Some(Arc::new(MllpDestination::new(rules, health)))
}

fn claim_source(settings: &Settings) -> Option<String> {
    let listen = settings.address("listen")?;
    (listen.port() != 0).then(|| format!("tcp {listen}"))
}

/// Reads settings that fit [`SOURCE`].
pub(super) fn source_rules(
    settings: &Settings,
    context: &BuildContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<SourceRules> {
    let exposed = check_exposure(settings, "listen", Direction::Listen, diagnostics);
    let timed =
        are_possible(settings, &["frame_timeout", "write_timeout", "idle_timeout"], diagnostics);
    let allow = allow(settings, diagnostics);
    let tls = match settings.section("tls") {
        Some(section) => Some(ServerTls::read(section, context, diagnostics)?),
        None => None,
    };
    if !exposed || !timed {
        return None;
    }
    Some(SourceRules {
        listen: settings.address("listen")?.clone(),
        tls,
        allow: allow?,
        connections_max: count(settings, "connections_max")?,
        message_bytes_max: size(settings, "message_bytes_max")?,
        idle_timeout: settings.duration("idle_timeout"),
        frame_timeout: settings.duration("frame_timeout")?,
        write_timeout: settings.duration("write_timeout")?,
        keep_alive: settings.duration("keep_alive").filter(|time| !time.is_zero()),
        commit_bytes: settings.boolean("commit_bytes")?,
        numbering: match settings.boolean("sequence_numbers")? {
            true => Numbering::Followed,
            false => Numbering::Ignored,
        },
    })
}

/// Reads settings that fit [`DESTINATION`].
pub(super) fn destination_rules(
    settings: &Settings,
    context: &BuildContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<DestinationRules> {
    let connect = settings.address("connect")?.clone();
    let exposed = check_exposure(settings, "connect", Direction::Connect, diagnostics);
    let times =
        ["connect_timeout", "ack_timeout", "write_timeout", "idle_timeout", "application_timeout"];
    let hidden = check_plaintext_listener(settings, "application_listen", diagnostics);
    let timed = are_possible(settings, &times, diagnostics);
    let tls = match settings.section("tls") {
        Some(section) => Some(ClientTls::read(section, connect.host(), context, diagnostics)?),
        None => None,
    };
    let rules = DestinationRules {
        connect,
        tls,
        connections: count(settings, "connections")?,
        window: count(settings, "window")?,
        expect: match settings.choice("acknowledgment")? {
            "none" => Expect::Nothing,
            "any" => Expect::Any,
            _ => Expect::Matching,
        },
        await_application: settings.boolean("await_application")?,
        application_timeout: settings
            .duration("application_timeout")
            .or_else(|| settings.duration("ack_timeout"))?,
        application_listen: settings.address("application_listen").cloned(),
        commit_bytes: settings.boolean("commit_bytes")?,
        connect_timeout: settings.duration("connect_timeout")?,
        ack_timeout: settings.duration("ack_timeout")?,
        write_timeout: settings.duration("write_timeout")?,
        idle_timeout: settings.duration("idle_timeout"),
        keep_alive: settings.duration("keep_alive").filter(|time| !time.is_zero()),
        message_bytes_max: size(settings, "message_bytes_max")?,
        segment_end: match settings.choice("segment_end")? {
            "cr" => SegmentEnd::Cr,
            _ => SegmentEnd::Keep,
        },
        numbered: settings.boolean("sequence_numbers")?,
        out_of_step: match settings.choice("out_of_step")? {
            "resynchronize" => OutOfStep::Resynchronize,
            _ => OutOfStep::Stop,
        },
    };
    (no_clash(&rules, settings, diagnostics) && exposed && hidden && timed).then_some(rules)
}

/// Refuses times that nobody can keep, and messages that nobody can hold.
fn are_possible(settings: &Settings, times: &[&str], diagnostics: &mut Diagnostics) -> bool {
    let none = times.iter().copied().filter(|name| settings.duration(name) == Some(Duration::ZERO));
    let mut mistakes: Vec<(&str, String)> =
        none.map(|name| (name, "this time must be more than nothing".to_owned())).collect();
    let bytes = settings.bytes("message_bytes_max").unwrap_or_default();
    if !(1..=MESSAGE_BYTES_LIMIT).contains(&bytes) {
        mistakes.push(("message_bytes_max", "this must be between 1B and 1GiB".to_owned()));
    }
    for (name, message) in &mistakes {
        let span = settings.span_of(name).unwrap_or_else(|| settings.span());
        diagnostics.push(Diagnostic::error(codes::OUT_OF_RANGE, span, message));
    }
    mistakes.is_empty()
}

/// Refuses what can't work together: answers that nobody could tell apart, or that are and are not waited for.
fn no_clash(rules: &DestinationRules, settings: &Settings, diagnostics: &mut Diagnostics) -> bool {
    let clash = if rules.numbered && rules.window > 1 {
        Some((
            "window",
            "with `sequence_numbers` one message is under way, so the window must be 1",
        ))
    } else if rules.numbered && rules.connections > 1 {
        Some((
            "connections",
            "with `sequence_numbers` messages follow each other, so there is one connection",
        ))
    } else if rules.numbered && rules.expect == Expect::Nothing {
        Some((
            "sequence_numbers",
            "with `acknowledgment: none` nobody says which number is expected",
        ))
    } else if rules.out_of_step == OutOfStep::Resynchronize && !rules.numbered {
        Some(("out_of_step", "this goes with `sequence_numbers: true`"))
    } else if rules.window > 1 && rules.expect == Expect::Any {
        Some((
            "window",
            "with `acknowledgment: any` answers can't be told apart, so the window must be 1",
        ))
    } else if rules.window > 1 && rules.commit_bytes {
        Some(("window", "commit bytes don't say which message they mean, so the window must be 1"))
    } else if let Some(name) = ["application_timeout", "application_listen"]
        .into_iter()
        .find(|name| !rules.await_application && settings.contains(name))
    {
        Some((name, "this goes with `await_application: true`"))
    } else if rules.application_listen.is_some() && rules.expect == Expect::Any {
        Some((
            "application_listen",
            "with `acknowledgment: any` nobody could tell which message an answer is about",
        ))
    } else if rules.await_application && rules.expect == Expect::Nothing {
        Some((
            "await_application",
            "with `acknowledgment: none` no application acknowledgment is waited for",
        ))
    } else {
        None
    };
    let Some((name, message)) = clash else { return true };
    let span = settings.span_of(name).unwrap_or_else(|| settings.span());
    let help = "change one of the two settings";
    diagnostics.push(Diagnostic::error(codes::SETTINGS_CLASH, span, message).with_help(help));
    false
}

fn allow(settings: &Settings, diagnostics: &mut Diagnostics) -> Option<Vec<IpNet>> {
    let mut networks = Some(Vec::new());
    for entry in settings.list("allow").unwrap_or_default() {
        let text = entry.text().unwrap_or_default().trim();
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        match network {
            Ok(network) => networks.iter_mut().for_each(|networks| networks.push(network)),
            Err(_) => {
                networks = None;
                let message = "this is neither an IP address nor a network";
                diagnostics.push(
                    Diagnostic::error(codes::ALLOW_INVALID, entry.span(), message).with_help(
                        "write an address such as `10.1.2.3` or a network such as `10.0.0.0/8`",
                    ),
                );
            }
        }
    }
    networks
}

fn count(settings: &Settings, name: &str) -> Option<usize> {
    usize::try_from(settings.integer(name)?).ok()
}

fn size(settings: &Settings, name: &str) -> Option<usize> {
    Some(usize::try_from(settings.bytes(name)?).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::{Project, settings};

    fn source(yaml: &str) -> (Option<SourceRules>, String) {
        let mut diagnostics = Diagnostics::new();
        let project = Project::empty();
        let rules = source_rules(&settings(yaml, SOURCE), &project.context(), &mut diagnostics);
        (rules, diagnostics.to_string())
    }

    fn destination(yaml: &str) -> (Option<DestinationRules>, String) {
        let mut diagnostics = Diagnostics::new();
        let project = Project::empty();
        let settings = settings(yaml, DESTINATION);
        let rules = destination_rules(&settings, &project.context(), &mut diagnostics);
        (rules, diagnostics.to_string())
    }

    #[track_caller]
    fn refused<R>((rules, text): (Option<R>, String), expected: &str) {
        assert!(rules.is_none() && text.contains(expected), "{text}");
    }

    #[test]
    fn networks_and_addresses_may_connect() {
        let yaml = "{ listen: 127.0.0.1:1, allow: [10.0.0.0/8, 192.168.7.12, \"fd00::/8\"] }";
        let rules = source(yaml).0.expect("it is valid");
        let allows = |address: &str| rules.allows(address.parse().expect("an address"));
        assert!(allows("10.255.0.1") && allows("192.168.7.12") && allows("fd12::1"));
        assert!(allows("::ffff:10.0.0.1"), "through an IPv6 socket");
        assert!(!allows("11.0.0.1") && !allows("192.168.7.13") && !allows("::1"));
        assert!(source("{ listen: 127.0.0.1:1 }").0.is_some_and(|rules| rules.allow.is_empty()));
    }

    #[test]
    fn what_is_no_network_is_pointed_at() {
        let yaml = "{ listen: 127.0.0.1:1, allow: [10.0.0.0/8, lab.internal, 10.0.0.0/33] }";
        let (rules, text) = source(yaml);
        assert!(rules.is_none());
        assert_eq!(text.matches(codes::ALLOW_INVALID).count(), 2, "{text}");
        assert!(text.contains("test.yaml:1:44"), "{text}");
    }

    #[test]
    fn impossible_times_and_sizes_are_refused() {
        for times in ["frame_timeout: 0s", "write_timeout: 0s", "idle_timeout: 0ms"] {
            refused(source(&format!("{{ listen: 127.0.0.1:1, {times} }}")), codes::OUT_OF_RANGE);
        }
        for times in
            ["connect_timeout: 0s", "ack_timeout: 0s", "write_timeout: 0s", "idle_timeout: 0s"]
        {
            refused(
                destination(&format!("{{ connect: 127.0.0.1:1, {times} }}")),
                codes::OUT_OF_RANGE,
            );
        }
        refused(source("{ listen: 127.0.0.1:1, message_bytes_max: 0B }"), codes::OUT_OF_RANGE);
        refused(
            source("{ listen: 127.0.0.1:1, message_bytes_max: 1073741825B }"),
            codes::OUT_OF_RANGE,
        );
        let largest = source("{ listen: 127.0.0.1:1, message_bytes_max: 1GiB, keep_alive: 0s }").0;
        assert!(largest.is_some_and(|rules| rules.keep_alive.is_none()));
    }

    #[test]
    fn settings_that_exclude_each_other_are_refused() {
        refused(
            destination("{ connect: 127.0.0.1:1, window: 2, acknowledgment: any }"),
            codes::SETTINGS_CLASH,
        );
        refused(
            destination("{ connect: 127.0.0.1:1, window: 2, commit_bytes: true }"),
            codes::SETTINGS_CLASH,
        );
        let none = "{ connect: 127.0.0.1:1, acknowledgment: none, await_application: true }";
        refused(destination(none), codes::SETTINGS_CLASH);
        assert!(
            destination("{ connect: 127.0.0.1:1, window: 2, acknowledgment: none }").0.is_some()
        );
        for clash in [
            "sequence_numbers: true, window: 2",
            "sequence_numbers: true, connections: 2",
            "sequence_numbers: true, acknowledgment: none",
            "out_of_step: resynchronize",
            "application_timeout: 1m",
            "application_listen: 127.0.0.1:2",
            "await_application: true, application_listen: 127.0.0.1:2, acknowledgment: any",
        ] {
            let yaml = format!("{{ connect: 127.0.0.1:1, {clash} }}");
            refused(destination(&yaml), codes::SETTINGS_CLASH);
        }
    }

    #[test]
    fn plaintext_beyond_this_machine_is_judged() {
        refused(source("{ listen: 0.0.0.0:1 }"), "tls.plaintext-listener");
        let open = "await_application: true, application_listen: 0.0.0.0:2";
        let open = format!("{{ connect: 127.0.0.1:1, {open} }}");
        refused(destination(&open), "tls.plaintext-listener");
        let (rules, text) = destination("{ connect: lab.internal:1 }");
        assert!(rules.is_some() && text.contains("tls.plaintext-connection"), "{text}");
    }

    #[test]
    fn a_port_is_claimed_unless_the_system_chooses_it() {
        let claim = |yaml: &str| claim_source(&settings(yaml, SOURCE));
        assert_eq!(claim("{ listen: 127.0.0.1:2575 }"), Some("tcp 127.0.0.1:2575".to_owned()));
        assert_eq!(claim("{ listen: 127.0.0.1:0 }"), None);
    }
}
