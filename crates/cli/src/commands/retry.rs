//! `pipehat retry`: after an outage, tries again at once what waits for its next attempt.

use super::project::DataArguments;
use crate::admin::Admin;
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  pipehat retry adt-in              the lab is back: do not wait any longer
  pipehat retry adt-in results-out

Deliveries that wait for a partner that was down are tried again by
themselves, at growing intervals (`retry:` in the channel). This tries now, in
the same order, and changes nothing else. What is parked stays parked: see
`pipehat messages release`.";

/// Try again at once what waits for a partner that was down
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The channels whose destinations are tried
    #[arg(required = true, value_name = "CHANNEL")]
    channels: Vec<String>,

    #[command(flatten)]
    data: DataArguments,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let admin = Admin::find(&self.data.find()?)?;
        for channel in &self.channels {
            admin.post_for_nothing(&format!("/api/v1/channels/{}/retry", in_path(channel)))?;
            terminal.note(format_args!("{channel}: tries now what waits"));
        }
        Ok(Exit::Ok)
    }
}

/// A name as a part of a path: what no channel can be called is escaped, so that it can't name anything else.
fn in_path(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
