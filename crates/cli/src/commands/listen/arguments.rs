//! The arguments of `pipehat listen` and their help.

use std::path::PathBuf;
use std::time::Duration;

use pipehat_message::{AcknowledgmentCode, Limits};

use super::run::{self, Behaviour};
use super::told::Told;
use crate::commands::message::acknowledgment_code;
use crate::duration::duration;
use crate::exit::{Exit, Failure};
use crate::peer_address::{PeerAddress, peer_address};
use crate::terminal::Terminal;
use crate::tls;

const EXAMPLES: &str = "\
Examples:
  pipehat listen localhost:2576
  pipehat listen localhost:2576 --save received/ --count 10
  pipehat listen localhost:2576 --code AE --text 'unknown ward'
  pipehat listen localhost:2576 --delay 2s --drop-every 5
  pipehat listen 0.0.0.0:2576 --cert lab.pem --key lab.key

Each message has a line: its number, when it came, from where, its type, control id, size, and the
answer. No other value of a message is shown without --show. With --json each line is one object, the
first names the address listened on (port 0 takes a free one), the last has the totals.

Messages are acknowledged and, except with --save, forgotten: this is a tester, not an engine.";

/// Be an MLLP peer that acknowledges what comes; also a fast sink
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Where to listen, like localhost:2576; port 0 takes a free one
    #[arg(value_name = "HOST:PORT", value_parser = peer_address)]
    address: PeerAddress,

    /// Keep each message in a file of its own below this directory
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,

    /// The acknowledgment code: AA, AE, AR, CA, CE or CR
    #[arg(long, value_name = "CODE", default_value = "AA", value_parser = acknowledgment_code)]
    code: AcknowledgmentCode,

    /// A sentence to put into acknowledgments
    #[arg(long, default_value = "", hide_default_value = true)]
    text: String,

    /// Answer so much later, like 250ms or 2s
    #[arg(long, value_name = "DURATION", default_value = "0ms", hide_default_value = true, value_parser = duration)]
    delay: Duration,

    /// Do not answer every Nth message
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    drop_every: Option<u64>,

    /// Stop after so many messages
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// The most bytes of one message; a larger one is answered with AR
    #[arg(long, value_name = "BYTES", default_value_t = Limits::MESSAGE_BYTES_MAX)]
    max_bytes: usize,

    /// Print whole messages, which name patients
    #[arg(long)]
    show: bool,

    /// Print a JSON object for each message, one a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    tls: tls::ServerOptions,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let acceptor = self.tls.acceptor()?;
        if acceptor.is_none() && !self.address.is_loopback() {
            terminal.warn("whoever reaches this address can send, and can read along: it is not encrypted (--cert, --key)");
        }
        let told = match (self.json, terminal.is_quiet()) {
            (true, quiet) => Told::Json { each: !quiet },
            (false, false) => Told::Lines,
            (false, true) => Told::Nothing,
        };
        let behaviour = Behaviour {
            code: self.code,
            text: self.text,
            delay: self.delay,
            drop_every: self.drop_every,
            count: self.count,
            bytes_max: self.max_bytes,
            save: self.save,
            show: self.show,
        };
        run::listen(&self.address, acceptor, behaviour, told, terminal)
    }
}
