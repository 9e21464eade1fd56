//! What the user sees and where: standard output and error, colour, width, and how quiet to be.
//!
//! Commands write through [`Terminal`] only. Colour and cutting to the width happen where a person looks; what goes
//! into a file or pipe is plain and whole.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write};

use pipehat_message::CharsetRule;
use unicode_width::UnicodeWidthChar as _;

use crate::exit::OutputError;

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Also into files and pipes
    Always,
    /// Nowhere
    Never,
}

/// What a piece of text is, for colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Headings and names of places.
    Strong,
    /// What stands around the content.
    Faint,
    /// Good news, what was added.
    Good,
    /// Bad news, what was removed.
    Bad,
    /// Worth a look.
    Warning,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Strong => "\x1b[1m",
            Self::Faint => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[31m",
            Self::Warning => "\x1b[33m",
        }
    }
}

/// Standard output and standard error with what is known about them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    output_is_terminal: bool,
    output_colour: bool,
    error_colour: bool,
    error_is_terminal: bool,
    quiet: bool,
    json: bool,
}

impl Terminal {
    /// Looks at the environment once. With `json`, a program reads what the command says, errors too.
    pub(crate) fn new(color: ColorWhen, quiet: bool, json: bool) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let colour = |is_terminal: bool| match color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => is_terminal && !no_color && !dumb,
        };
        let (output, error) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            output_is_terminal: output,
            output_colour: colour(output),
            error_colour: colour(error),
            error_is_terminal: error,
            quiet,
            json,
        }
    }

    /// Whether a program reads what the command says.
    pub(crate) fn wants_json(&self) -> bool {
        self.json
    }

    /// Whether a person looks at standard output.
    pub(crate) fn output_is_terminal(&self) -> bool {
        self.output_is_terminal
    }

    /// Whether standard error is coloured.
    pub(crate) fn error_has_colour(&self) -> bool {
        self.error_colour
    }

    /// Whether to show how long work goes on.
    pub(crate) fn shows_progress(&self) -> bool {
        self.error_is_terminal && !self.quiet
    }

    /// Whether only results and errors are wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// How many columns standard output has; `None` where nobody looks, so that nothing is cut.
    pub(crate) fn width(&self) -> Option<usize> {
        if !self.output_is_terminal {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        Some(usize::from(size.ws_col)).filter(|&columns| columns > 0)
    }

    /// Text for standard output, coloured if that is wanted.
    pub(crate) fn paint(&self, tone: Tone, text: impl Display) -> String {
        paint(self.output_colour, tone, text)
    }

    /// Something that the user should know and that stops nothing.
    pub(crate) fn warn(&self, text: impl Display) {
        if !self.quiet {
            let _ = writeln!(
                io::stderr(),
                "{} {text}",
                paint(self.error_colour, Tone::Warning, "warning:")
            );
        }
    }

    /// How it goes on; for a person, not for a script.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Why the command stopped.
    pub(crate) fn error(&self, text: impl Display) {
        let _ = writeln!(io::stderr(), "{} {text}", paint(self.error_colour, Tone::Bad, "error:"));
    }

    /// Why the command stopped, for a program: a line of JSON on standard error.
    pub(crate) fn error_object(&self, error: serde_json::Value) {
        let _ = writeln!(io::stderr(), "{}", serde_json::json!({ "error": error }));
    }

    /// Writes results to standard output, buffered, flushed at the end.
    pub(crate) fn write(
        &self,
        results: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), OutputError> {
        let mut output = io::BufWriter::with_capacity(64 * 1024, io::stdout().lock());
        results(&mut output).and_then(|()| output.flush()).map_err(OutputError)
    }

    /// Writes messages to standard output: byte for byte into files and pipes, a line for each segment on a terminal.
    pub(crate) fn write_message(&self, message: &[u8]) -> Result<(), OutputError> {
        if !self.output_is_terminal {
            return self.write(|output| output.write_all(message));
        }
        self.write(|output| {
            let charset = CharsetRule::Declared.of_message(message);
            let text = charset.decode(message).text;
            let lines = text.split(['\r', '\n']).filter(|line| !line.is_empty());
            for line in lines {
                writeln!(output, "{}", visible(line))?;
            }
            Ok(())
        })
    }
}

fn paint(colour: bool, tone: Tone, text: impl Display) -> String {
    if colour { format!("{}{text}\x1b[0m", tone.code()) } else { text.to_string() }
}

/// The text with control characters, and bytes that were not characters, shown as `\xNN`: one line, and harmless to a
/// terminal.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        let undecodable = pipehat_message::undecodable_byte(character).map(u32::from);
        let reorders = matches!(character, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        match undecodable.or_else(|| character.is_control().then_some(u32::from(character))) {
            Some(byte) => shown.push_str(&format!("\\x{byte:02x}")),
            None if reorders || matches!(character, '\u{2028}' | '\u{2029}') => {
                shown.push_str(&format!("\\u{{{:x}}}", u32::from(character)));
            }
            None => shown.push(character),
        }
    }
    shown
}

/// The text, or as much of it as fits into so many columns, with `…` where it was cut.
pub(crate) fn fit(text: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns else { return text.to_owned() };
    let mut used: usize = 0;
    // What stands before this position leaves a column for the `…`.
    let mut cut = 0;
    for (at, character) in text.char_indices() {
        if used < columns {
            cut = at;
        }
        used = used.saturating_add(character.width().unwrap_or(0));
        if used > columns {
            return format!("{}…", text.get(..cut).unwrap_or_default());
        }
    }
    text.to_owned()
}

/// How many columns a text takes.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_undecodable_bytes_are_shown() {
        assert_eq!(visible("a\r\n\t\u{7f}b\u{1b}[2J"), "a\\x0d\\x0a\\x09\\x7fb\\x1b[2J");
        assert_eq!(visible("Müller \u{10FEE4}"), "Müller \\xe4");
        assert_eq!(visible("a\u{202E}b\u{2028}"), "a\\u{202e}b\\u{2028}");
    }

    #[test]
    fn text_is_cut_to_the_columns_it_has() {
        assert_eq!(fit("abcdef", None), "abcdef");
        assert_eq!(fit("abcdef", Some(6)), "abcdef");
        assert_eq!(fit("abcdef", Some(5)), "abcd…");
        assert_eq!(fit("山田太郎", Some(8)), "山田太郎");
        assert_eq!(fit("山田太郎", Some(7)), "山田太…");
        assert_eq!(fit("山田太郎", Some(6)), "山田…");
        assert_eq!(fit("ab", Some(1)), "…");
        assert_eq!(fit("", Some(1)), "");
    }

    #[test]
    fn colour_is_used_only_when_wanted() {
        assert_eq!(paint(true, Tone::Bad, "no"), "\x1b[31mno\x1b[0m");
        assert_eq!(paint(false, Tone::Bad, "no"), "no");
    }
}
