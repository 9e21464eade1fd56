//! Giving a value the form that a version's data type has.
//!
//! A composite is formed component by component through its definition, so that a component which a version does not
//! have, has withdrawn or has made another type comes out as that version wants it. Trailing separators are not
//! written, delimiters in texts are escaped, what is too long is cut, and nothing is allocated.

use crate::component::{component, fitted, last_component, natural};
use crate::identifier::Identifier;
use crate::moment::{Moment, write_zone};
use crate::people::{Contact, write_number};
use crate::plan::{Kind, Need, Part, Plan};
use crate::random::{below, mix};
use crate::value::Value;

/// What stands between components, and between subcomponents.
const SEPARATORS: [u8; 2] = [b'^', b'&'];

/// Writes values.
pub(crate) struct Form<'g> {
    pub(crate) plan: &'g Plan,
    pub(crate) out: &'g mut Vec<u8>,
    /// Decides what generic values say.
    pub(crate) seed: u64,
    pub(crate) now: Moment,
    pub(crate) zone_minutes: i16,
}

impl Form<'_> {
    /// Writes a repetition of a field; says whether there was anything to write.
    pub(crate) fn field(&mut self, part: &Part, value: &Value<'_>) -> bool {
        let start = self.out.len();
        self.write(part, &fitted(part, value), 0);
        if self.shorten(start, part) {
            // Better nothing than a value without what it must have.
            let kept = self.out.get(start..).unwrap_or_default();
            let count = 1 + kept.iter().filter(|byte| **byte == b'^').count();
            let components = self.plan.components(part);
            if components.iter().skip(count).any(|one| one.need == Need::Must) {
                self.out.truncate(start);
            }
        }
        self.out.len() > start
    }

    /// Writes a repetition of a field that has to say something.
    pub(crate) fn generic(&mut self, part: &Part) {
        let start = self.out.len();
        self.write_generic(part, 0);
        self.shorten(start, part);
    }

    fn write(&mut self, part: &Part, value: &Value<'_>, level: usize) {
        if part.need == Need::Never {
            return;
        }
        let start = self.out.len();
        // MSH-9 of 2.1 is defined as one code, and its examples have the trigger event too.
        if part.kind == Kind::Untyped
            || part.kind == Kind::Code && matches!(value, Value::MessageType(..))
        {
            self.untyped(part, value, level);
        } else if self.plan.components(part).is_empty() {
            self.primitive(part, value);
        } else {
            self.composite(part, value, level);
        }
        if self.out.len() - start > part.characters_max as usize && level > 0 {
            self.shorten(start, part);
        }
    }

    fn composite(&mut self, part: &Part, value: &Value<'_>, level: usize) {
        if matches!(value, Value::Nothing) {
            return;
        }
        let plan = self.plan;
        let components = plan.components(part);
        let Some(separator) = SEPARATORS.get(level).copied() else {
            // Nothing separates parts below subcomponents: the first part stands for the whole.
            if let Some(first) = components.first() {
                self.write(&with_table(first, part, 1), &component(part.kind, 1, value), level);
            }
            return;
        };
        let start = self.out.len();
        // A code is looked up once. Components behind those that a value can fill matter only where they must be there.
        let listed = match *value {
            Value::Code(code) if part.kind == Kind::Coded => Some(self.listed(part, code)),
            Value::Codes(codes) if part.kind == Kind::Coded => {
                Some(codes.iter().find_map(|code| self.listed(part, code)))
            }
            _ => None,
        };
        let listed = match listed {
            Some(None) => return,
            Some(found) => found,
            None => None,
        };
        let last = last_component(part.kind);
        let mut written = 0;
        for one in components {
            let position = usize::from(one.position);
            if position > last && one.need != Need::Must {
                continue;
            }
            let inner = match listed {
                None => component(part.kind, position, value),
                Some((code, text)) => self.coded_component(part, position, code, text),
            };
            let must = one.need == Need::Must && self.out.len() > start;
            if one.need == Need::Never || (matches!(inner, Value::Nothing) && !must) {
                continue;
            }
            let before = self.out.len();
            for _ in written.max(1)..usize::from(one.position) {
                self.out.push(separator);
            }
            let content = self.out.len();
            if one.position == 1 {
                self.write(&with_table(one, part, 1), &inner, level + 1);
            } else {
                self.write(one, &inner, level + 1);
            }
            if self.out.len() == content && must {
                self.write_generic(one, level + 1);
            }
            if self.out.len() == content {
                self.out.truncate(before);
            } else {
                written = usize::from(one.position);
            }
        }
    }

    /// A CM whose components a version does not say: they are those of the type that came after it.
    fn untyped(&mut self, part: &Part, value: &Value<'_>, level: usize) {
        let (kind, count) = natural(value);
        let plain = Part { kind: Kind::Text, table: None, characters_max: u32::MAX, ..*part };
        let separator = SEPARATORS.get(level).copied();
        let Some(separator) = separator.filter(|_| count > 1) else {
            return self.primitive(&plain, value);
        };
        let mut written = 0;
        for position in 1..=count {
            let inner = component(kind, position, value);
            if matches!(inner, Value::Nothing) {
                continue;
            }
            for _ in written.max(1)..position {
                self.out.push(separator);
            }
            self.primitive(&plain, &inner);
            written = position;
        }
    }

    /// What a component says of a code: the code, what it means, and the table's name.
    fn coded_component(
        &self,
        part: &Part,
        position: usize,
        code: &'static str,
        text: &'static str,
    ) -> Value<'static> {
        match position {
            1 => Value::Raw(code),
            2 if !text.is_empty() && text.len() <= 40 => Value::Text(text),
            // A code that the table does not list is one of our own.
            3 if !text.is_empty() => match self.plan.codes(part) {
                Some(table) => Value::Serial("HL7", u64::from(table.number)),
                None => Value::Raw("L"),
            },
            _ => Value::Nothing,
        }
    }

    /// A code as the field's table has it, if there is room for it.
    fn listed(&self, part: &Part, code: &'static str) -> Option<(&'static str, &'static str)> {
        if code.len() > part.characters_max as usize {
            return None;
        }
        match self.plan.codes(part) {
            Some(table) => table.find(code).or(table.is_open.then_some((code, ""))),
            None => Some((code, "")),
        }
    }

    fn primitive(&mut self, part: &Part, value: &Value<'_>) {
        match *value {
            Value::Nothing => {}
            Value::Raw(text) => self.out.extend_from_slice(text.as_bytes()),
            Value::Text(text) => self.text(text),
            Value::Lines(lines) => self.lines(part.kind, lines),
            Value::Code(code) => {
                if let Some((code, _)) = self.listed(part, code) {
                    self.text(code);
                }
            }
            Value::Codes(codes) => {
                if let Some((code, _)) = codes.iter().find_map(|code| self.listed(part, code)) {
                    self.text(code);
                }
            }
            Value::Coded(coded) if part.kind == Kind::Code => {
                if self.listed(part, coded.code).is_some() {
                    self.text(coded.code);
                }
            }
            Value::Coded(coded) if part.kind == Kind::Number => self.number(coded.code),
            Value::Coded(coded) if part.kind == Kind::Formatted => self.text(coded.text),
            Value::Coded(coded) => self.text(coded.code),
            Value::Number(number) => write_number(number, 1, self.out),
            Value::Decimal(number, places) => write_decimal(number, places, self.out),
            Value::Serial("HL7", number) => {
                self.out.extend_from_slice(b"HL7");
                write_number(number, 4, self.out);
            }
            Value::Serial(prefix, number) => {
                if part.kind != Kind::Number {
                    self.out.extend_from_slice(prefix.as_bytes());
                }
                write_number(number, 1, self.out);
            }
            Value::Moment(moment) | Value::Period(moment, _) => self.moment(part, moment, false),
            Value::Zoned(moment) => self.moment(part, moment, true),
            Value::Day(moment) => match part.kind {
                Kind::Time => moment.write_time(true, self.out),
                _ => moment.write_date(self.out),
            },
            Value::Identifier(Identifier { prefix, number, .. }) => {
                self.primitive(part, &Value::Serial(prefix, number));
            }
            Value::Entity(entity) | Value::Entities(entity, _) => {
                self.primitive(part, &Value::Serial(entity.prefix, entity.number));
            }
            Value::Name(name) => {
                self.primitive(part, &Value::Family(name));
                self.out.extend_from_slice(b", ");
                self.text(name.given);
            }
            Value::Family(name) => {
                self.text(name.family);
                if !name.second.is_empty() {
                    self.out.push(if name.hyphen { b'-' } else { b' ' });
                    self.text(name.second);
                }
            }
            Value::Practitioner(one) => self.primitive(part, &Value::Serial("", one.number)),
            Value::Bed(bed) => self.text(bed.ward),
            Value::Address(address) | Value::Street(address) => self.street(address),
            Value::PostalCode(address) => address.write_postal_code(self.out),
            Value::Contact(Contact::Phone(phone, _)) => phone.write(self.out),
            Value::Contact(Contact::Email(_)) if part.kind == Kind::Telephone => {}
            Value::Contact(Contact::Email(number)) | Value::Email(number) => {
                self.out.extend_from_slice(b"patient");
                write_number(number, 1, self.out);
                self.out.extend_from_slice(b"@mail.example");
            }
            Value::Local(phone) => phone.write_local(self.out),
            Value::Designator(name) | Value::Organization(name) => self.text(name),
            Value::Quantity(amount, places, _) => write_decimal(amount, places, self.out),
            Value::Cents(cents) => write_decimal(cents, 2, self.out),
            Value::Range(low, high, places) => {
                write_decimal(low, places, self.out);
                self.out.push(b'-');
                write_decimal(high, places, self.out);
            }
            Value::Less(limit, places) => {
                if part.kind != Kind::Number {
                    self.out.push(b'<');
                }
                write_decimal(limit, places, self.out);
            }
            Value::Timing(often, ..) => self.text(often),
            Value::MessageType(code, ..) => self.text(code),
            Value::Document(data) => self.text(data),
            Value::Location(segment, ..) => self.text(segment),
        }
    }

    fn number(&mut self, text: &str) {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            self.text(text);
        }
    }

    fn moment(&mut self, part: &Part, moment: Moment, zoned: bool) {
        match part.kind {
            Kind::Date => moment.write_date(self.out),
            Kind::Time => moment.write_time(true, self.out),
            _ => {
                moment.write_date(self.out);
                moment.write_time(true, self.out);
                if zoned && part.characters_max >= 19 {
                    write_zone(self.zone_minutes, self.out);
                }
            }
        }
    }

    /// `12 Rose Lane`, `Lindenweg 12`.
    fn street(&mut self, address: crate::people::Address) {
        if address.country.number_first() {
            write_number(address.house(), 1, self.out);
            self.out.push(b' ');
            self.text(address.street());
        } else {
            self.text(address.street());
            self.out.push(b' ');
            write_number(address.house(), 1, self.out);
        }
    }

    fn lines(&mut self, kind: Kind, lines: &[&str]) {
        for (at, line) in lines.iter().enumerate() {
            if at > 0 {
                self.out.extend_from_slice(if kind == Kind::Formatted { b"\\.br\\" } else { b" " });
            }
            self.text(line);
        }
    }

    /// Text with its delimiters escaped (HL7 v2.5.1 §2.7.1).
    fn text(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        while let Some(at) =
            rest.iter().position(|byte| matches!(byte, b'|' | b'^' | b'~' | b'\\' | b'&'))
        {
            let (before, from) = rest.split_at(at);
            self.out.extend_from_slice(before);
            let sequence: &[u8] = match from.first() {
                Some(b'|') => b"\\F\\",
                Some(b'^') => b"\\S\\",
                Some(b'~') => b"\\R\\",
                Some(b'&') => b"\\T\\",
                _ => b"\\E\\",
            };
            self.out.extend_from_slice(sequence);
            rest = from.get(1..).unwrap_or_default();
        }
        self.out.extend_from_slice(rest);
    }

    /// Cuts what is longer than the definition allows: whole components where there are some, else characters, and no
    /// character or escape sequence in the middle.
    /// Says whether something was cut.
    fn shorten(&mut self, start: usize, part: &Part) -> bool {
        let most = part.characters_max as usize;
        let written = self.out.get(start..).unwrap_or_default();
        if written.len() <= most || most == 0 {
            return false;
        }
        let characters = |bytes: &[u8]| bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        if characters(written) <= most {
            return false;
        }
        let mut end = written.len();
        while characters(&written[..end]) > most {
            match written[..end].iter().rposition(|byte| matches!(byte, b'^' | b'&')) {
                Some(at) => end = at,
                None => break,
            }
        }
        while end > 0 && characters(&written[..end]) > most {
            end -= 1;
        }
        while end > 0 && end < written.len() && written[end] & 0xC0 == 0x80 {
            end -= 1;
        }
        // An odd number of escape characters: the last begins a sequence that was cut.
        let escapes = written[..end].iter().filter(|byte| **byte == b'\\').count();
        if escapes % 2 == 1 {
            end = written[..end].iter().rposition(|byte| *byte == b'\\').unwrap_or(end);
        }
        while end > 0 && matches!(written[end - 1], b'^' | b'&' | b' ') {
            end -= 1;
        }
        self.out.truncate(start + end);
        true
    }

    /// Something valid where nobody knows better.
    fn write_generic(&mut self, part: &Part, level: usize) {
        let seed = mix(self.seed, u64::from(part.position) * 64 + level as u64);
        let plan = self.plan;
        let table = plan.codes(part).filter(|table| !table.codes.is_empty());
        let components = plan.components(part);
        if components.is_empty() {
            match (part.kind, table) {
                (Kind::Code | Kind::Text | Kind::Formatted, Some(table)) => {
                    let at = below(seed, table.codes.len() as u64) as usize;
                    let codes = table.codes.iter().cycle().skip(at).take(table.codes.len());
                    let fitting = codes
                        .map(|(code, _)| *code)
                        .find(|code| code.len() <= part.characters_max as usize);
                    self.text(fitting.unwrap_or("1"));
                }
                (Kind::Number | Kind::Sequence, _) => write_number(1 + below(seed, 9), 1, self.out),
                (Kind::Date, _) => self.now.write_date(self.out),
                (Kind::Time, _) => self.now.write_time(false, self.out),
                (Kind::DateTime, _) => {
                    self.now.write_date(self.out);
                    self.now.write_time(true, self.out);
                }
                _ if part.is_time => {
                    self.now.write_date(self.out);
                    self.now.write_time(true, self.out);
                }
                (Kind::Code, None) => self.out.extend_from_slice(b"A"),
                (Kind::Telephone, None) => self.out.extend_from_slice(b"(614)555-0137"),
                _ if part.characters_max < 6 => write_number(1 + below(seed, 9), 1, self.out),
                _ => self.named(part, seed),
            }
            return;
        }
        if part.kind == Kind::Coded {
            if let Some(table) = table {
                let at = below(seed, table.codes.len() as u64) as usize;
                if let Some((code, _)) = table.codes.get(at).copied() {
                    self.composite(part, &Value::Code(code), level);
                    return;
                }
            }
            let number = 100 + below(seed, 900);
            if level >= SEPARATORS.len() {
                self.out.push(b'C');
                write_number(number, 1, self.out);
                return;
            }
            let separator = SEPARATORS.get(level).copied().unwrap_or(b'&');
            self.out.push(b'C');
            write_number(number, 1, self.out);
            self.out.push(separator);
            self.named(part, seed);
            self.out.push(separator);
            self.out.push(b'L');
            return;
        }
        let Some(separator) = SEPARATORS.get(level).copied() else {
            if let Some(first) = components.first() {
                self.write_generic(&with_table(first, part, 1), level);
            }
            return;
        };
        let required = components.iter().any(|one| one.need == Need::Must);
        let mut written = 0;
        for one in components {
            let wanted = if required {
                one.need == Need::Must
            } else {
                one.need == Need::May && written == 0
            };
            if !wanted {
                continue;
            }
            let before = self.out.len();
            for _ in written.max(1)..usize::from(one.position) {
                self.out.push(separator);
            }
            let content = self.out.len();
            self.write_generic(&with_table(one, part, one.position), level + 1);
            if self.out.len() == content {
                self.out.truncate(before);
            } else {
                written = usize::from(one.position);
            }
        }
    }

    /// A few plain words of the element's name.
    fn named(&mut self, part: &Part, seed: u64) {
        let start = self.out.len();
        let most = (part.comfortable as usize).saturating_sub(3).min(18);
        for word in part.name.split(|character: char| !character.is_ascii_alphanumeric()) {
            if word.is_empty() || self.out.len() - start + word.len() > most {
                continue;
            }
            if self.out.len() > start {
                self.out.push(b' ');
            }
            self.out.extend_from_slice(word.as_bytes());
        }
        if self.out.len() > start {
            self.out.push(b' ');
        }
        write_number(1 + below(seed, 99), 1, self.out);
    }
}

/// The first component of a coded value takes its codes from the field's table.
fn with_table(component: &Part, whole: &Part, position: u16) -> Part {
    let mut part = *component;
    if position == 1
        && part.table.is_none()
        && !matches!(whole.kind, Kind::Practitioner | Kind::OldPractitioner)
    {
        part.table = whole.table;
    }
    part
}

/// A number with so many decimals.
pub(crate) fn write_decimal(number: i64, places: u8, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    let scale = 10u64.pow(u32::from(places));
    let number = number.unsigned_abs();
    write_number(number / scale, 1, out);
    if places > 0 {
        out.push(b'.');
        write_number(number % scale, usize::from(places), out);
    }
}
