//! `pipehat bot`: running bots and their cases without a server.

use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

mod asked;
mod case;
mod datastore;
mod host;
mod load;
mod run;
mod test;

/// Run a bot once, or its cases, without a server
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(run::Arguments),
    Test(test::Arguments),
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self.command {
            Command::Run(arguments) => arguments.run(terminal),
            Command::Test(arguments) => arguments.run(terminal),
        }
    }
}
