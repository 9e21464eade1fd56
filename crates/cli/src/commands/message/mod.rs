//! `pipehat message`: reading and changing messages in files.

use clap::Subcommand;

use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

mod acknowledge;
mod diff;
mod escape;
mod get;
mod names;
mod path;
mod set;
mod show;
mod split;
mod translate;
mod tree;
mod validate;

pub(crate) use acknowledge::{acknowledgment_code, now};
pub(crate) use validate::sources;

const EXAMPLES: &str = "\
Examples:
  pipehat message show admit.hl7
  pipehat message get admit.hl7 PID-3.1 'OBX(*)-5' --json
  pipehat message set admit.hl7 PID-8=F --in-place
  pipehat message diff before.hl7 after.hl7
  pipehat message validate inbox/ --level strict
  pipehat message translate admit.hl7 --to fhir --zone Europe/Berlin

Paths are HL7's own and count from 1: PID-3 (field), PID-3[2] (its second repetition), PID-3.4.1
(component, subcomponent), OBX(3)-5 (third OBX), OBX(*)-5 (every OBX), [last], (last); when writing
also [+1] and (+1) for a new one. Put paths with brackets into single quotes. A path can go through
segment groups: '/ORDER_OBSERVATION(2)/OBX(3)-5' is the third OBX of the second order.

These commands show what the file holds, so mind who looks at your screen.";

/// Show, read, change, acknowledge, compare, validate and translate messages in files
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(show::Arguments),
    Get(get::Arguments),
    Set(set::Arguments),
    Ack(acknowledge::Arguments),
    Diff(diff::Arguments),
    Validate(validate::Arguments),
    Translate(translate::Arguments),
    Split(split::Arguments),
    Escape(escape::EscapeArguments),
    Unescape(escape::UnescapeArguments),
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self.command {
            Command::Show(arguments) => arguments.run(terminal),
            Command::Get(arguments) => arguments.run(terminal),
            Command::Set(arguments) => arguments.run(terminal),
            Command::Ack(arguments) => arguments.run(terminal),
            Command::Diff(arguments) => arguments.run(terminal),
            Command::Validate(arguments) => arguments.run(terminal),
            Command::Translate(arguments) => arguments.run(terminal),
            Command::Split(arguments) => arguments.run(terminal),
            Command::Escape(arguments) => arguments.run(terminal),
            Command::Unescape(arguments) => arguments.run(terminal),
        }
    }
}
