//! The arguments of `pipehat send` and their help.

use std::path::PathBuf;
use std::time::Duration;

use super::exchange::{Messages, Plan, Wait};
use super::outgoing::{Treatment, load};
use super::rate::{Rate, rate};
use super::run;
use crate::duration::duration;
use crate::exit::{Exit, Failure};
use crate::peer_address::{PeerAddress, peer_address};
use crate::terminal::Terminal;
use crate::tls;

const EXAMPLES: &str = "\
Examples:
  pipehat send localhost:2575 admit.hl7
  pipehat send mllp://lab:2575 messages/ --ca lab-ca.pem
  cat admit.hl7 | pipehat send localhost:2575 -
  pipehat send localhost:2575 admit.hl7 -n 100000 --connections 8
  pipehat send localhost:2575 day.hl7 --repeat --rate 50/s --for 10m

Messages are sent with the bytes they have in the file; batches are cut into messages, directories are
read with all below them in the order of names. Each acknowledgment has a line when there are at most
100 messages, or with --each. No values of messages are shown, only control ids and codes; --show adds
the text of acknowledgments.

What was lost with a connection or a timeout is not sent again: this is a tester, not a queue.
The exit code is 1 if any message was not acknowledged positively, 3 if the peer cannot be reached.";

/// Above so many messages their acknowledgments are told one by one only on demand.
const TOLD_MAX: u64 = 100;
const WINDOW_MAX: u64 = 100_000;
const CONNECTIONS_MAX: u64 = 10_000;

/// Send messages from files to an MLLP peer; also a load generator
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The peer, like localhost:2575 or mllp://lab:2575
    #[arg(value_name = "HOST:PORT", value_parser = peer_address)]
    target: PeerAddress,

    /// Files or directories with messages; `-` for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// How many messages to send in all; after the last comes the first again
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Send the messages again and again, until --for or Ctrl-C
    #[arg(long, conflicts_with = "count")]
    repeat: bool,

    /// For how long to send, like 30s or 10m
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    duration: Option<Duration>,

    /// How fast to send, like 100/s or 30/m; as fast as the peer takes them if left out
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<Rate>,

    /// How many connections to send over; with more than one, order is not kept
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=CONNECTIONS_MAX))]
    connections: u64,

    /// How many messages may wait for their acknowledgment on one connection
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=WINDOW_MAX))]
    window: u64,

    /// How long to wait for an acknowledgment, and for a connection
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    timeout: Duration,

    /// Whether to wait for the acknowledgment of each message: ack or none
    #[arg(long, value_name = "WHAT", default_value = "ack", hide_possible_values = true)]
    wait: Wait,

    /// Give each message a control id (MSH-10) of its own
    #[arg(long)]
    fresh_control_ids: bool,

    /// End segments with CR where the file has LF or CRLF
    #[arg(long)]
    cr: bool,

    /// Print a line for each acknowledgment, however many there are
    #[arg(long)]
    each: bool,

    /// Print the text of acknowledgments (MSA-3), which may name patients
    #[arg(long)]
    show: bool,

    /// Print the results as one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    tls: tls::ClientOptions,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let fresh_control_ids = self.fresh_control_ids;
        let load = load(&self.files, Treatment { fresh_control_ids, to_cr: self.cr })?;
        if load.has_lf {
            terminal.warn("segments end with LF, which strict receivers refuse: --cr sends CR");
        }
        let endless = self.repeat || (self.duration.is_some() && self.count.is_none());
        let count = match self.count {
            Some(count) => count,
            None if endless => u64::MAX,
            None => load.messages.len() as u64,
        };
        let each = self.each || count <= TOLD_MAX;
        let tls = self.tls.client(&self.target.host)?;
        let plan = Plan {
            messages: Messages::Loaded(load.messages),
            count,
            rate: self.rate,
            duration: self.duration,
            window: usize::try_from(self.window).unwrap_or(usize::MAX),
            timeout: self.timeout,
            wait: self.wait,
            fresh_control_ids,
            show: self.show,
        };
        let connections = usize::try_from(self.connections.min(count)).unwrap_or(usize::MAX);
        let told = match (self.json, each && (self.json || !terminal.is_quiet())) {
            (false, false) => run::Told::Totals,
            (false, true) => run::Told::Each,
            (true, each) => run::Told::Json { each },
        };
        run::send(&self.target, tls.as_ref(), plan, connections, told, terminal)
    }
}
