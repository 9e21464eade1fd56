//! The `pipehat` binary: reads the command line, runs the command, and says how it ended.

use std::process::ExitCode;

use serde_json::json;

mod admin;
mod command_line;
mod commands;
mod control_id;
mod demo;
mod duration;
mod exit;
mod input;
mod latency;
mod local_time;
mod log;
mod losses;
mod memory;
mod message_file;
mod message_source;
mod number;
mod output_file;
mod peer_address;
mod resource_store;
mod signals;
mod terminal;
mod tls;
mod version_name;

use command_line::CommandLine;
use exit::Exit;
use terminal::{ColorWhen, Terminal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        // What a panic says may hold a value of a message; where it was can't.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if tracing::dispatcher::has_been_set() {
            tracing::error!(place, "a defect of Pipehat: please report this place");
        } else {
            eprintln!("a defect of Pipehat: please report this place: {place}");
        }
    }));
    let (command_line, json) = match CommandLine::try_parse_grouped() {
        Ok(read) => read,
        Err(error) if error.use_stderr() && command_line::asks_for_json() => {
            let terminal = Terminal::new(ColorWhen::Never, false, true);
            let message = command_line::what_is_wrong(&error);
            terminal.error_object(json!({ "message": message, "exit": Exit::Usage as u8 }));
            return Exit::Usage.into();
        }
        Err(error) => {
            // Help and version are errors to clap; writing them fails only where nobody reads them.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    let terminal = Terminal::new(command_line.color, command_line.quiet, json);
    if !command_line.command.keeps_its_own_log()
        && let Err(error) = log::to_standard_error(&terminal)
    {
        terminal.error(format_args!("{error:#}"));
        return Exit::Usage.into();
    }
    match command_line.command.run(&terminal) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            match failure.message() {
                Some(message) if json => {
                    let exit = failure.exit() as u8;
                    terminal.error_object(match admin::code(&failure) {
                        Some(code) => json!({ "message": message, "code": code, "exit": exit }),
                        None => json!({ "message": message, "exit": exit }),
                    });
                }
                Some(message) => terminal.error(message),
                None => {}
            }
            failure.exit().into()
        }
    }
}
