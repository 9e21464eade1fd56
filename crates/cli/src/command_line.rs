//! The command line as a whole: global options, the commands and their order in the help.
//!
//! A new command is one module under `commands` and one variant of [`Command`]; its `display_order` says under which
//! heading the help lists it.

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::commands::{
    bench, bot, check, client, completions, datastore, demo, dictionary, generate, journal, listen,
    mask, message, messages, new, profile, prove, retry, send, status, subscriptions, test, token,
    types, up,
};
use crate::exit::{Exit, Failure};
use crate::terminal::{ColorWhen, Terminal};

const EXAMPLES: &str = "\
Exit codes:
  0  done, and what was asked about is so
  1  done, and it is not so: a difference, a failed test, a negative answer
  2  the command line makes no sense
  3  it could not be done: a file, the network, input that is not HL7

With --json an error is a line of JSON on standard error, too: `error` with its
`message`, the `exit` code, and a `code` where the admin API gave one.

Environment:
  NO_COLOR          no colour, whatever the terminal
  PIPEHAT_LOG       what standard error tells: `info`, `pipehat_engine=debug`
  PIPEHAT_DATA      the data directory, where --data does not say it
  PIPEHAT_KEY_FILE  the key file, where --key-file does not say it
  PIPEHAT_HTTP      where `up` listens, where --http does not say it

`pipehat COMMAND --help` shows a command's options with examples.";

/// An open HL7 interface engine: one binary that receives, keeps, acknowledges, transforms and delivers
#[derive(Debug, Parser)]
#[command(
    name = "pipehat",
    version,
    after_help = EXAMPLES,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct CommandLine {
    /// Say nothing but results and errors
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,

    /// When to use colour
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true,
        help = "When to use colour: auto (on a terminal, unless NO_COLOR is set), always, never",
        hide_default_value = true,
        help_heading = "Global options"
    )]
    pub(crate) color: ColorWhen,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the help lists a command: hundreds are headings, the rest is the order below them.
mod order {
    pub(super) const BUILD: usize = 100;
    pub(super) const RUN: usize = 200;
    pub(super) const LOOK: usize = 300;
    pub(super) const MESSAGES: usize = 400;
    pub(super) const OTHER: usize = 900;

    pub(super) const HEADINGS: &[(usize, &str)] = &[
        (BUILD, "Build a project"),
        (RUN, "Run it"),
        (LOOK, "Look into it"),
        (MESSAGES, "Work with messages"),
        (OTHER, "Other"),
    ];
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(display_order = order::BUILD)]
    New(new::Arguments),
    #[command(display_order = order::BUILD + 1)]
    Check(check::Arguments),
    #[command(display_order = order::BUILD + 2)]
    Test(test::Arguments),
    #[command(display_order = order::BUILD + 3)]
    Profile(profile::Arguments),
    #[command(display_order = order::BUILD + 4)]
    Bot(bot::Arguments),
    #[command(display_order = order::BUILD + 5)]
    Types(types::Arguments),
    #[command(display_order = order::RUN)]
    Up(up::Arguments),
    #[command(display_order = order::RUN + 1)]
    Demo(demo::Arguments),
    #[command(display_order = order::RUN + 2)]
    Client(client::Arguments),
    #[command(display_order = order::LOOK)]
    Status(status::Arguments),
    #[command(display_order = order::LOOK + 1)]
    Messages(messages::Arguments),
    #[command(display_order = order::LOOK + 2)]
    Retry(retry::Arguments),
    #[command(display_order = order::LOOK + 3)]
    Prove(prove::Arguments),
    #[command(display_order = order::LOOK + 4)]
    Journal(journal::Arguments),
    #[command(display_order = order::LOOK + 5)]
    Token(token::Arguments),
    #[command(display_order = order::LOOK + 7)]
    Datastore(datastore::Arguments),
    #[command(display_order = order::LOOK + 8)]
    Subscriptions(subscriptions::Arguments),
    #[command(display_order = order::MESSAGES)]
    Message(message::Arguments),
    #[command(display_order = order::MESSAGES + 4)]
    Dictionary(dictionary::Arguments),
    #[command(display_order = order::MESSAGES + 6)]
    Mask(mask::Arguments),
    #[command(display_order = order::MESSAGES + 1)]
    Generate(generate::Arguments),
    #[command(display_order = order::MESSAGES + 2)]
    Send(send::Arguments),
    #[command(display_order = order::MESSAGES + 3)]
    Listen(listen::Arguments),
    #[command(display_order = order::OTHER)]
    Bench(bench::Arguments),
    #[command(display_order = order::OTHER + 1)]
    Completions(completions::Arguments),
}

impl Command {
    /// Whether it needs the terminal for itself, and logs elsewhere.
    pub(crate) fn keeps_its_own_log(&self) -> bool {
        matches!(self, Self::Demo(_))
    }

    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self {
            Self::New(arguments) => arguments.run(terminal),
            Self::Check(arguments) => arguments.run(terminal),
            Self::Client(arguments) => arguments.run(terminal),
            Self::Profile(arguments) => arguments.run(terminal),
            Self::Test(arguments) => arguments.run(terminal),
            Self::Types(arguments) => arguments.run(terminal),
            Self::Up(arguments) => arguments.run(terminal),
            Self::Demo(arguments) => arguments.run(terminal),
            Self::Status(arguments) => arguments.run(terminal),
            Self::Messages(arguments) => arguments.run(terminal),
            Self::Retry(arguments) => arguments.run(terminal),
            Self::Prove(arguments) => arguments.run(terminal),
            Self::Journal(arguments) => arguments.run(terminal),
            Self::Token(arguments) => arguments.run(terminal),
            Self::Datastore(arguments) => arguments.run(terminal),
            Self::Subscriptions(arguments) => arguments.run(terminal),
            Self::Bot(arguments) => arguments.run(terminal),
            Self::Message(arguments) => arguments.run(terminal),
            Self::Dictionary(arguments) => arguments.run(terminal),
            Self::Mask(arguments) => arguments.run(terminal),
            Self::Generate(arguments) => arguments.run(terminal),
            Self::Send(arguments) => arguments.run(terminal),
            Self::Listen(arguments) => arguments.run(terminal),
            Self::Bench(arguments) => arguments.run(terminal),
            Self::Completions(arguments) => arguments.run(terminal),
        }
    }
}

impl CommandLine {
    /// Reads the process's arguments; and whether JSON is asked for.
    pub(crate) fn try_parse_grouped() -> Result<(Self, bool), clap::Error> {
        let matches = Self::grouped().try_get_matches()?;
        let json = has_json(&matches);
        Ok((Self::from_arg_matches(&matches)?, json))
    }

    /// The command with its help in groups.
    pub(crate) fn grouped() -> clap::Command {
        let command = with_paragraphs(Self::command());
        let template = help_template(&command);
        command.help_template(template)
    }
}

/// Whether the command has an option `--json`, and it is set.
fn has_json(matches: &clap::ArgMatches) -> bool {
    let own = matches.try_get_one::<bool>("json").ok().flatten().copied().unwrap_or_default();
    own || matches.subcommand().is_some_and(|(_, matches)| has_json(matches))
}

/// Whether JSON is asked for on a command line that can't be read.
pub(crate) fn asks_for_json() -> bool {
    std::env::args_os()
        .skip(1)
        .take_while(|argument| argument != "--")
        .any(|argument| argument == "--json")
}

/// What is wrong with a command line, without `error:` before it, usage and hints.
pub(crate) fn what_is_wrong(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let text = text.split("\n\nUsage:").next().unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}

/// The command with the paragraphs of its help, and of its subcommands', wrapped to the terminal.
fn with_paragraphs(command: clap::Command) -> clap::Command {
    let help = command.get_after_help().map(|help| paragraphs(&help.to_string()));
    let command = command.mut_subcommands(with_paragraphs);
    match help {
        Some(help) => command.after_help(help),
        None => command,
    }
}

/// Help as it is written in the source, its paragraphs in one line each so that they are wrapped to the terminal.
/// Lines that begin with a blank stay as they are.
fn paragraphs(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut before = "";
    for line in text.lines() {
        let goes_on = |line: &str| !line.is_empty() && !line.starts_with(' ');
        if goes_on(before) && goes_on(line) && !before.ends_with(':') {
            joined.push(' ');
        } else if !joined.is_empty() {
            joined.push('\n');
        }
        joined.push_str(line);
        before = line;
    }
    joined
}

/// The commands under their headings; clap itself knows only one heading for all.
fn help_template(command: &clap::Command) -> String {
    let mut commands: Vec<_> =
        command.get_subcommands().filter(|command| !command.is_hide_set()).collect();
    commands.sort_by_key(|command| command.get_display_order());
    let width = commands.iter().map(|command| command.get_name().len()).max().unwrap_or(0);
    let mut template = String::from("{about}\n\n{usage-heading} {usage}\n\n");
    for &(first, heading) in order::HEADINGS {
        let group: Vec<_> = commands
            .iter()
            .filter(|command| (first..first + 100).contains(&command.get_display_order()))
            .collect();
        if group.is_empty() {
            continue;
        }
        template.push_str(heading);
        template.push_str(":\n");
        for command in group {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            template.push_str(&format!("  {:width$}  {about}\n", command.get_name()));
        }
        template.push('\n');
    }
    template.push_str("Options:\n{options}{after-help}");
    template
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::grouped().debug_assert();
    }

    #[test]
    fn paragraphs_are_joined_and_lists_are_not() {
        assert_eq!(
            paragraphs("Examples:\n  a\n  b\n\nOne\nparagraph.\n\nAnother:\n  c"),
            "Examples:\n  a\n  b\n\nOne paragraph.\n\nAnother:\n  c"
        );
    }

    /// Lines that are not wrapped must fit a terminal of 80 columns.
    #[track_caller]
    fn check_width(command: &clap::Command) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in help.lines().filter(|line| line.starts_with(' ')) {
            assert!(line.chars().count() < 80, "{}: {line}", command.get_name());
        }
        command.get_subcommands().for_each(check_width);
    }

    #[test]
    fn examples_fit_a_terminal() {
        check_width(&CommandLine::grouped());
    }

    #[test]
    fn the_help_lists_every_command_under_a_heading() {
        let command = CommandLine::command();
        let template = help_template(&command);
        for command in command.get_subcommands() {
            let line = format!("\n  {} ", command.get_name());
            assert!(template.contains(&line), "{} is missing", command.get_name());
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
        }
    }
}
