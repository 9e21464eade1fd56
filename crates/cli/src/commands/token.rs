//! `pipehat token`: what `curl` needs to use the admin API of a running Pipehat.

use super::project::DataArguments;
use crate::admin::Admin;
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  pipehat token
  pipehat token --url
  curl -H \"Authorization: Bearer $(pipehat token)\" \\
       \"$(pipehat token --url)/api/v1/status\"

The token is new at each start of Pipehat and holds until it stops. Whoever has it may read every
message and decide about it: keep it out of files, tickets and chats.";

/// Print the admin API's token, for curl and scripts
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    data: DataArguments,

    /// Print where the admin API is instead
    #[arg(long)]
    url: bool,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let admin = Admin::find(&self.data.find()?)?;
        admin.must_answer()?;
        let access = admin.access();
        let text = if self.url { &access.url } else { &access.token };
        terminal.write(|output| writeln!(output, "{text}"))?;
        Ok(Exit::Ok)
    }
}
