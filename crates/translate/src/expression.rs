//! The expressions of the column `assign`: a constant, texts and fields put together, a named conversion.

use crate::condition::FieldRef;

/// What is assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression {
    /// `"active"`
    Constant(Box<str>),
    /// `OBX-5.1+"-"+OBX-5.2`: empty where no field has a value.
    Joined(Vec<Piece>),
    /// `@authority`
    Named(Conversion),
}

/// A piece of a joined text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(Box<str>),
    Field(FieldRef),
}

/// A named conversion; `tables/README.md` says what each makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Conversion {
    Authority,
    /// What the system of a number without an authority is: the sender's.
    Sender,
    CodeSystem,
    Base64,
    Plain,
    Minutes,
    Now,
    Event,
    /// The whole message, in base64.
    Message,
    /// A media type, of table 0191 and 0291.
    Media,
    /// All repetitions as lines of one text.
    Lines,
    /// The values of a numeric array as SampledData has them.
    Samples,
    /// The comparator of `<5`.
    Comparator,
    /// The number of `<5`.
    Compared,
    /// A period's end: the start and a duration beside it.
    Until,
    /// The year in the name of a coding system.
    Edition,
    /// One line of a street address that says its parts, too.
    Street,
    /// The text of a document that several segments carry, and what it is called.
    Document,
    /// A further given name where no first one is told.
    Further,
}

impl Conversion {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "authority" => Self::Authority,
            "sender" => Self::Sender,
            "codesystem" => Self::CodeSystem,
            "base64" => Self::Base64,
            "plain" => Self::Plain,
            "minutes" => Self::Minutes,
            "now" => Self::Now,
            "event" => Self::Event,
            "message" => Self::Message,
            "media" => Self::Media,
            "until" => Self::Until,
            "document" => Self::Document,
            "lines" => Self::Lines,
            "street" => Self::Street,
            "edition" => Self::Edition,
            "samples" => Self::Samples,
            "comparator" => Self::Comparator,
            "compared" => Self::Compared,
            "further" => Self::Further,
            _ => return None,
        })
    }
}

/// Reads an expression; nothing where it is told in words.
pub(crate) fn parse_expression(text: &str) -> Option<Expression> {
    let text = text.trim();
    if let Some(name) = text.strip_prefix('@') {
        return Conversion::named(name).map(Expression::Named);
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let piece;
        if let Some(inner) = rest.strip_prefix('"') {
            let end = inner.find('"')?;
            piece = Piece::Text(inner.get(..end)?.into());
            rest = inner.get(end + 1..)?;
        } else {
            let end = rest
                .find(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '-' || sign == '.'));
            let (field, after) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
            piece = Piece::Field(FieldRef::parse(field).filter(|field| field.numbers != [0; 3])?);
            rest = after;
        }
        pieces.push(piece);
        // Some plus signs are missing.
        rest = rest.trim_start();
        rest = rest.strip_prefix('+').unwrap_or(rest).trim_start();
    }
    match pieces.as_slice() {
        [] => None,
        [Piece::Text(text)] => Some(Expression::Constant(text.trim().into())),
        _ => Some(Expression::Joined(pieces)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_texts_and_conversions_are_read() {
        let constant = |text: &str| Some(Expression::Constant(text.into()));
        assert_eq!(parse_expression("\"active\""), constant("active"));
        assert_eq!(parse_expression("\" http://x\""), constant("http://x"));
        assert_eq!(parse_expression("@now"), Some(Expression::Named(Conversion::Now)));
        let Some(Expression::Joined(pieces)) = parse_expression("OBX-5.1+\"-\"+OBX-5.2") else {
            panic!("not joined")
        };
        assert_eq!(pieces.len(), 3);
        let Some(Expression::Joined(pieces)) = parse_expression("RP.3\"/\"RP.4") else {
            panic!("not joined")
        };
        assert_eq!(pieces.len(), 3);
    }

    #[test]
    fn words_are_refused() {
        for text in
            ["/time of transformation/", "@nothing", "enterer", "\"open", "#placer contact#"]
        {
            assert_eq!(parse_expression(text), None, "{text}");
        }
    }
}
