//! `pipehat bot`: running bots and their cases without a server; the bots of a running Pipehat, their runs, and what
//! was given up.

mod asked;
mod case;
mod datastore;
mod facts;
mod host;
mod load;
mod run;
mod runs;
mod test;
mod translation;

use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  pipehat bot run bots/identity.ts --input admit.hl7
  pipehat bot test
  pipehat bot list
  pipehat bot runs --bot identity --state failed
  pipehat bot show 4711 --contents
  pipehat bot dead
  pipehat bot replay --bot identity
  pipehat bot discard 4711 --reason 'told the ward by telephone'

`run` and `test` need no server. The others ask the Pipehat that runs on this data; `list` exits
with 1 when a bot fails, was given up, or hears of no change.";

/// Run and test bots; see a running Pipehat's bots and their runs, and run again what was given up, or leave it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(run::Arguments),
    Test(test::Arguments),
    /// Show the bots, what triggers them, what waits, fails and was given up
    List(runs::List),
    /// Show runs, the latest first
    Runs(runs::Runs),
    /// Show one run; with --contents its input, result, log and what it asked
    Show(runs::Show),
    /// Show runs that were given up
    Dead(runs::Dead),
    /// Have runs that were given up, or failed, run again
    Replay(runs::Replay),
    /// Leave runs that were given up: they stand as failed, with the reason
    Discard(runs::Discard),
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self.command {
            Command::Run(arguments) => arguments.run(terminal),
            Command::Test(arguments) => arguments.run(terminal),
            Command::List(command) => command.run(terminal),
            Command::Runs(command) => command.run(terminal),
            Command::Show(command) => command.run(terminal),
            Command::Dead(command) => command.run(terminal),
            Command::Replay(command) => command.run(terminal),
            Command::Discard(command) => command.run(terminal),
        }
    }
}
