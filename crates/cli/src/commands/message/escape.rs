//! `pipehat message escape` and `unescape`: the escape sequences of one value, from standard input to standard output.

use pipehat_message::{Delimiters, Message, ParseError, is_representable};

use crate::exit::{Exit, Failure};
use crate::input::Source;
use crate::terminal::Terminal;

const ESCAPE_EXAMPLES: &str = r"Examples:
  printf 'AT&T ^ 5|6' | pipehat message escape         prints AT\T\T \S\ 5\F\6
  printf '5#6' | pipehat message escape --delimiters '#*+!-'

Bytes in, bytes out: the character set does not matter, and no line end is added or taken away, so
mind that `echo` adds one. Delimiters become \F\ \S\ \T\ \R\ \E\ \P\; CR, LF, VT and FS become \X0D\ and so on.";

const UNESCAPE_EXAMPLES: &str = r"Examples:
  printf 'AT\\T\\T' | pipehat message unescape           prints AT&T
  pipehat message get lab.hl7 OBX-5 --raw | pipehat message unescape

Bytes in, bytes out: the character set does not matter, and no line end is added or taken away.
Sequences that stand for no text (\H\, \.br\, \C..\, unknown or malformed ones) stay as they are.";

/// Escape the text on standard input for use in a field
#[derive(Debug, clap::Args)]
#[command(after_help = ESCAPE_EXAMPLES)]
pub(crate) struct EscapeArguments {
    #[command(flatten)]
    declared: Declared,
}

/// Decode the escape sequences of the field value on standard input
#[derive(Debug, clap::Args)]
#[command(after_help = UNESCAPE_EXAMPLES)]
pub(crate) struct UnescapeArguments {
    #[command(flatten)]
    declared: Declared,
}

#[derive(Debug, clap::Args)]
struct Declared {
    /// MSH-1 and MSH-2: the field separator and two to five encoding characters
    #[arg(long, value_name = "CHARACTERS", default_value = r"|^~\&", value_parser = delimiters)]
    #[arg(allow_hyphen_values = true)]
    delimiters: Delimiters,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the text needs escaping and these delimiters have no escape character: add one, like the \\ in '|^~\\&'"
)]
struct NoEscapeCharacter;

/// Reads delimiters as a header declares them.
fn delimiters(text: &str) -> Result<Delimiters, String> {
    let header = format!("MSH{text}");
    match Message::parse(header.as_bytes()) {
        Ok(message) if message.as_bytes().len() == header.len() => {
            let declared = message.delimiters();
            let field = char::from(declared.field);
            if text.contains(char::is_control) {
                Err("a control character cannot separate anything".to_owned())
            } else if text.chars().skip(1).any(|character| character == field) {
                Err("the field separator stands among the encoding characters".to_owned())
            } else {
                Ok(declared)
            }
        }
        Ok(_) | Err(ParseError::HeaderTooShort { .. }) => {
            Err(r"too few: write the field separator and two to five encoding characters, like '|^~\&'".to_owned())
        }
        Err(ParseError::TooManyEncodingCharacters { .. }) => {
            Err(r"too many: write the field separator and two to five encoding characters, like '|^~\&'".to_owned())
        }
        Err(ParseError::DelimitersNotDistinct { .. }) => {
            Err("one character stands for two purposes".to_owned())
        }
        Err(_) => Err(r"letters, digits, blanks and quotation marks cannot separate anything: write them like '|^~\&'".to_owned()),
    }
}

impl EscapeArguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let Declared { delimiters } = self.declared;
        let text = Source::StandardInput.read()?;
        if !is_representable(&text, &delimiters) {
            return Err(Failure::could_not(NoEscapeCharacter));
        }
        let escaped = pipehat_message::escape(&text, &delimiters);
        terminal.write(|output| output.write_all(&escaped))?;
        Ok(Exit::Ok)
    }
}

impl UnescapeArguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let raw = Source::StandardInput.read()?;
        let text = pipehat_message::unescape(&raw, &self.declared.delimiters);
        terminal.write(|output| output.write_all(&text))?;
        Ok(Exit::Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_read_as_a_header_declares_them() {
        assert_eq!(delimiters(r"|^~\&"), Ok(Delimiters::STANDARD));
        assert_eq!(delimiters("#*+").map(|it| (it.field, it.escape)), Ok((b'#', None)));
        assert_eq!(delimiters(r"|^~\&#").map(|it| it.truncation), Ok(Some(b'#')));
        for wrong in ["", "|", "|^", r"|^~\&#!", "|^^", "|^~|", "a^~", "|^ ", "|^~\r", "|^é"] {
            assert!(delimiters(wrong).is_err(), "{wrong:?}");
        }
    }
}
