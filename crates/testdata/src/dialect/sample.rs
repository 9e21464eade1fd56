//! Values that a profile's constraint takes.

use pipehat_dictionary::profile::{ElementConstraint, ValueSource};
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::moment::Moment;
use crate::random::{below, mix};

/// So long a value of a pattern gets at most.
const PATTERN_CHARACTERS_MAX: usize = 200;

/// Makes values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) now: Moment,
    pub(super) seed: u64,
}

impl Sample {
    /// A value that the constraint takes, as it stands in a message.
    pub(super) fn value(
        &self,
        constraint: &ElementConstraint,
        data_type: &str,
        position: u16,
    ) -> Vec<u8> {
        if let Some(constant) = &constraint.constant {
            return escaped(constant);
        }
        if let Some(code) = self.code(constraint, position) {
            return code;
        }
        if !constraint.parts.is_empty() && constraint.parts.iter().any(Option::is_some) {
            let part = |(at, part): (u16, &Option<Box<ElementConstraint>>)| match part {
                Some(part) => self.value(part, "ST", at),
                None if at == 1 => self.plain("ST", constraint, position),
                None => Vec::new(),
            };
            let parts: Vec<Vec<u8>> = (1..).zip(&constraint.parts).map(part).collect();
            return parts.join(&b'^');
        }
        self.mended(constraint, data_type, &self.plain(data_type, constraint, position), position)
    }

    /// One of the codes.
    fn code(&self, constraint: &ElementConstraint, position: u16) -> Option<Vec<u8>> {
        let values = constraint.values.as_deref()?;
        let number = mix(self.seed, u64::from(position));
        if let ValueSource::Standard(number_of_table) = values.source() {
            let tables = pipehat_dictionary::Version::ALL.iter().rev();
            let table = tables.filter_map(|version| version.table(*number_of_table));
            let mut codes = table.flat_map(|table| table.codes().map(|code| code.code()));
            let listed = codes.find(|code| values.contains(code.as_bytes()));
            let with = values.with().iter().next().map(AsRef::as_ref);
            return listed.or(with).map(escaped);
        }
        let count = values.with().len() as u64;
        let code = values.with().iter().nth(below(number, count) as usize)?;
        Some(escaped(code))
    }

    /// A value of a data type.
    fn plain(&self, data_type: &str, constraint: &ElementConstraint, position: u16) -> Vec<u8> {
        let number = mix(self.seed, 64 + u64::from(position));
        let mut out = Vec::new();
        match data_type {
            "SI" => out.push(b'1'),
            "NM" => out.extend_from_slice((1 + below(number, 9)).to_string().as_bytes()),
            "DT" => self.now.write_date(&mut out),
            "TM" => self.now.write_time(true, &mut out),
            "TS" | "DTM" => {
                self.now.write_date(&mut out);
                self.now.write_time(true, &mut out);
            }
            "ID" | "IS" => out.push(b'Y'),
            "CX" => out.extend_from_slice(
                format!("{}^^^GENHOSP^PI", 10_000 + below(number, 89_999)).as_bytes(),
            ),
            "EI" => out.extend_from_slice(
                format!("{}^GENHOSP", 10_000 + below(number, 89_999)).as_bytes(),
            ),
            "HD" => out.extend_from_slice(b"GENHOSP"),
            "CE" | "CWE" | "CNE" => out.extend_from_slice(b"A1^Local code^L"),
            "XPN" => out.extend_from_slice(b"Smith^Ruth^^^^^L"),
            "XCN" => out.extend_from_slice(b"10207^Smith^Ruth^^^Dr^^^GENHOSP^L"),
            "XON" => out.extend_from_slice(b"General Hospital^L"),
            "PL" => out.extend_from_slice(b"3WEST^101^1^GENHOSP"),
            "XTN" | "TN" => out.extend_from_slice(b"(614)555-0137"),
            "XAD" => out.extend_from_slice(b"12 Rose Lane^^Ashcombe^^ZZ1 1AA^GBR^H"),
            _ => match constraint.name.as_deref() {
                Some(name) => out = escaped(name),
                None => out.extend_from_slice(format!("{}", 1000 + below(number, 9000)).as_bytes()),
            },
        }
        out
    }

    /// A value made to fit the constraint's pattern, format and length.
    pub(super) fn mended(
        &self,
        constraint: &ElementConstraint,
        data_type: &str,
        old: &[u8],
        position: u16,
    ) -> Vec<u8> {
        let mut value = old.to_vec();
        if let Some(format) = &constraint.format
            && !format.fits(&value)
        {
            let mut full = Vec::new();
            self.now.write_date(&mut full);
            self.now.write_time(true, &mut full);
            let digits: Vec<u8> = value.iter().copied().take_while(u8::is_ascii_digit).collect();
            if digits.len() >= 8 || data_type == "TM" {
                full.splice(..digits.len().min(14), digits.iter().copied().take(14));
            }
            let time = full.get(8..).unwrap_or_default().to_vec();
            let whole = [14, 12, 10, 8, 6, 4].into_iter().filter_map(|length| full.get(..length));
            let times = [6, 4, 2].into_iter().filter_map(|length| time.get(..length));
            let candidates = whole.chain(times).flat_map(|part| {
                ["", "+0000", ".0", ".000", ".0000", ".0+0000", ".000+0000"]
                    .map(|end| [part, end.as_bytes()].concat())
            });
            if let Some(fitting) = candidates.into_iter().find(|one| format.fits(one)) {
                return fitting;
            }
        }
        if let Some(pattern) = &constraint.pattern
            && !pattern.is_match(&value)
            && let Ok(hir) = regex_syntax::parse(pattern.as_str())
        {
            let mut text = String::new();
            write_pattern(&hir, &mut text);
            return escaped(&text);
        }
        if let Some(length) = constraint.length {
            let characters =
                |value: &[u8]| value.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
            if let Some(most) = length.most {
                while characters(&value) > most as usize && value.pop().is_some() {}
                while value.last().is_some_and(|last| *last & 0xC0 == 0x80)
                    || std::str::from_utf8(&value).is_err()
                        && value.last().is_some_and(|last| *last >= 0x80)
                {
                    value.pop();
                }
            }
            let filler = if value.iter().all(u8::is_ascii_digit) { b'0' } else { b'x' };
            let first = position as u8 % 9 + b'1';
            while characters(&value) < length.least as usize && value.len() < 65_536 {
                value.insert(0, if value.is_empty() { first } else { filler });
            }
        }
        value
    }
}

/// A text with its delimiters escaped, for the usual delimiters: those that are generated.
fn escaped(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'|' => out.extend_from_slice(b"\\F\\"),
            b'^' => out.extend_from_slice(b"\\S\\"),
            b'~' => out.extend_from_slice(b"\\R\\"),
            b'&' => out.extend_from_slice(b"\\T\\"),
            b'\\' => out.extend_from_slice(b"\\E\\"),
            byte => out.push(byte),
        }
    }
    out
}

/// The shortest text of a pattern, with letters and digits where a class has them.
fn write_pattern(hir: &Hir, out: &mut String) {
    if out.len() >= PATTERN_CHARACTERS_MAX {
        return;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(Class::Unicode(class)) => {
            let ranges = || class.iter().map(|range| (range.start(), range.end()));
            let within =
                |wanted: char| ranges().any(|(start, end)| (start..=end).contains(&wanted));
            let chosen = ['7', '1', 'A', 'a', ' '].into_iter().find(|wanted| within(*wanted));
            out.extend(chosen.or_else(|| ranges().next().map(|(start, _)| start)));
        }
        HirKind::Class(Class::Bytes(class)) => {
            let first = class.iter().next().map(|range| char::from(range.start()));
            out.extend(first);
        }
        HirKind::Repetition(repetition) => {
            let times = repetition.min.max(u32::from(out.is_empty() && repetition.max != Some(0)));
            for _ in 0..times {
                write_pattern(&repetition.sub, out);
            }
        }
        HirKind::Capture(capture) => write_pattern(&capture.sub, out),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write_pattern(part, out)),
        HirKind::Alternation(parts) => {
            if let Some(first) = parts.first() {
                write_pattern(first, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_pattern_fits_it() {
        for pattern in [
            "^[0-9]+$",
            "^[A-Z]{2}[0-9]{6}$",
            "^(AB|CD)-?[0-9]{3,5}$",
            "^.*$",
            "^[a-z ]{4}$",
            "^[^0-9]{3}$",
            "^LAB[0-9]{2}(\\.[0-9])?$",
        ] {
            let mut text = String::new();
            write_pattern(&regex_syntax::parse(pattern).expect("a pattern"), &mut text);
            let compiled = matcher(pattern);
            assert!(compiled(&text), "{pattern}: {text}");
        }
    }

    fn matcher(pattern: &str) -> impl Fn(&str) -> bool {
        let pattern = regex::Regex::new(pattern).expect("a pattern");
        move |text| pattern.is_match(text)
    }
}
