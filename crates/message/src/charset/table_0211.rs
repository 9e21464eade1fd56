//! The names of character sets: HL7 table 0211 and what senders write instead.

use encoding_rs as sets;
use thiserror::Error;

use super::character_set::Charset;
use super::japanese::Japanese;

/// How many alternate character sets a message may declare.
const ALTERNATES_MAX: usize = 8;

const ROMAN: Charset = Charset::japanese(
    "ISO IR14",
    Japanese { katakana_high: true, kanji: false, supplementary: false },
);
const KANJI: Charset = Charset::japanese(
    "ISO IR87",
    Japanese { katakana_high: false, kanji: true, supplementary: false },
);
const SUPPLEMENTARY: Charset = Charset::japanese(
    "ISO IR159",
    Japanese { katakana_high: false, kanji: true, supplementary: true },
);
const ROMAN_AND_KANJI: Charset = Charset::japanese(
    "ISO IR87",
    Japanese { katakana_high: true, kanji: true, supplementary: false },
);
const ROMAN_AND_SUPPLEMENTARY: Charset = Charset::japanese(
    "ISO IR159",
    Japanese { katakana_high: true, kanji: true, supplementary: true },
);

const LATIN_2: Charset = Charset::single_byte("8859/2", sets::ISO_8859_2);
const LATIN_3: Charset = Charset::single_byte("8859/3", sets::ISO_8859_3);
const LATIN_4: Charset = Charset::single_byte("8859/4", sets::ISO_8859_4);
const CYRILLIC: Charset = Charset::single_byte("8859/5", sets::ISO_8859_5);
const ARABIC: Charset = Charset::single_byte("8859/6", sets::ISO_8859_6);
const GREEK: Charset = Charset::single_byte("8859/7", sets::ISO_8859_7);
const HEBREW: Charset = Charset::single_byte("8859/8", sets::ISO_8859_8);
const LATIN_5: Charset = Charset::single_byte("8859/9", sets::WINDOWS_1254);
const LATIN_6: Charset = Charset::single_byte("8859/10", sets::ISO_8859_10);
const THAI: Charset = Charset::single_byte("8859/11", sets::WINDOWS_874);
const LATIN_7: Charset = Charset::single_byte("8859/13", sets::ISO_8859_13);
const LATIN_8: Charset = Charset::single_byte("8859/14", sets::ISO_8859_14);
const LATIN_9: Charset = Charset::single_byte("8859/15", sets::ISO_8859_15);
const LATIN_10: Charset = Charset::single_byte("8859/16", sets::ISO_8859_16);

const GB_18030: Charset = Charset::code_page("GB 18030-2000", sets::GB18030);
const GBK: Charset = Charset::code_page("GBK", sets::GBK);
const KS_X_1001: Charset = Charset::code_page("KS X 1001", sets::EUC_KR);
const BIG_5: Charset = Charset::code_page("BIG-5", sets::BIG5);
const SHIFT_JIS: Charset = Charset::code_page("SHIFT_JIS", sets::SHIFT_JIS);
const EUC_JP: Charset = Charset::code_page("EUC-JP", sets::EUC_JP);

/// Names in capitals without spaces and punctuation. `UNICODE` meant UCS-2 once; a header that could be read byte by
/// byte is not in it, and senders mean UTF-8.
const NAMES: &[(&str, Charset)] = &[
    ("ASCII", Charset::ASCII),
    ("USASCII", Charset::ASCII),
    ("ISOIR6", Charset::ASCII),
    ("ISO646", Charset::ASCII),
    ("88591", Charset::LATIN_1),
    ("LATIN1", Charset::LATIN_1),
    ("ISOIR100", Charset::LATIN_1),
    ("88592", LATIN_2),
    ("LATIN2", LATIN_2),
    ("ISOIR101", LATIN_2),
    ("88593", LATIN_3),
    ("ISOIR109", LATIN_3),
    ("88594", LATIN_4),
    ("ISOIR110", LATIN_4),
    ("88595", CYRILLIC),
    ("ISOIR144", CYRILLIC),
    ("88596", ARABIC),
    ("ISOIR127", ARABIC),
    ("88597", GREEK),
    ("ISOIR126", GREEK),
    ("88598", HEBREW),
    ("ISOIR138", HEBREW),
    ("88599", LATIN_5),
    ("ISOIR148", LATIN_5),
    ("885910", LATIN_6),
    ("885911", THAI),
    ("ISOIR166", THAI),
    ("885913", LATIN_7),
    ("885914", LATIN_8),
    ("885915", LATIN_9),
    ("LATIN9", LATIN_9),
    ("885916", LATIN_10),
    ("ISOIR14", ROMAN),
    ("JISX0201", ROMAN),
    ("ISOIR13", ROMAN),
    ("ISOIR87", KANJI),
    ("JISX0208", KANJI),
    ("JISX0202", KANJI),
    ("ISO2022JP", KANJI),
    ("ISOIR159", SUPPLEMENTARY),
    ("JISX0212", SUPPLEMENTARY),
    ("JAS2020", KANJI),
    ("GB180302000", GB_18030),
    ("GB18030", GB_18030),
    ("GBK", GBK),
    ("GB2312", GBK),
    ("KSX1001", KS_X_1001),
    ("KSC5601", KS_X_1001),
    ("EUCKR", KS_X_1001),
    ("CNS116431992", Charset::CNS_11643),
    ("CNS11643", Charset::CNS_11643),
    ("BIG5", BIG_5),
    ("SHIFTJIS", SHIFT_JIS),
    ("SJIS", SHIFT_JIS),
    ("EUCJP", EUC_JP),
    ("UNICODE", Charset::UTF_8),
    ("UNICODEUTF8", Charset::UTF_8),
    ("UTF8", Charset::UTF_8),
    ("UNICODEUTF16", Charset::UTF_16BE),
    ("UTF16", Charset::UTF_16BE),
    ("UTF16BE", Charset::UTF_16BE),
    ("UTF16LE", Charset::UTF_16LE),
    ("UNICODEUTF32", Charset::UTF_32BE),
    ("UTF32", Charset::UTF_32BE),
    ("UTF32BE", Charset::UTF_32BE),
    ("UTF32LE", Charset::UTF_32LE),
    ("WINDOWS874", Charset::code_page("WINDOWS-874", sets::WINDOWS_874)),
    ("WINDOWS1250", Charset::code_page("WINDOWS-1250", sets::WINDOWS_1250)),
    ("WINDOWS1251", Charset::code_page("WINDOWS-1251", sets::WINDOWS_1251)),
    ("WINDOWS1252", Charset::WINDOWS_1252),
    ("WINDOWS1253", Charset::code_page("WINDOWS-1253", sets::WINDOWS_1253)),
    ("WINDOWS1254", Charset::code_page("WINDOWS-1254", sets::WINDOWS_1254)),
    ("WINDOWS1255", Charset::code_page("WINDOWS-1255", sets::WINDOWS_1255)),
    ("WINDOWS1256", Charset::code_page("WINDOWS-1256", sets::WINDOWS_1256)),
    ("WINDOWS1257", Charset::code_page("WINDOWS-1257", sets::WINDOWS_1257)),
    ("WINDOWS1258", Charset::code_page("WINDOWS-1258", sets::WINDOWS_1258)),
    ("KOI8R", Charset::code_page("KOI8-R", sets::KOI8_R)),
];

/// A name in MSH-18 that no character set is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("repetition {repetition} of MSH-18 names no known character set")]
pub struct UnknownCharset {
    /// Which repetition, from 1.
    pub repetition: usize,
}

/// What MSH-18 declares: the default set in its first repetition, alternate sets in the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CharsetSpec {
    default: Charset,
    alternates: [Option<Charset>; ALTERNATES_MAX],
}

impl CharsetSpec {
    /// Reads raw MSH-18; nothing at all is ASCII (HL7 v2.5.1 §2.15.9.18).
    ///
    /// # Errors
    /// A repetition that names no known set, or one more than eight alternates.
    pub fn from_msh18(msh18: &[u8]) -> Result<Self, UnknownCharset> {
        let mut repetitions = msh18.split(|&byte| !may_be_in_name(byte));
        let first = repetitions.next().unwrap_or_default();
        let default = find(first).ok_or(UnknownCharset { repetition: 1 })?;
        let mut alternates = [None; ALTERNATES_MAX];
        for (index, name) in repetitions.enumerate() {
            let unknown = UnknownCharset { repetition: index + 2 };
            let charset = find(name).ok_or(unknown)?;
            *alternates.get_mut(index).ok_or(unknown)? = Some(charset);
        }
        Ok(Self { default, alternates })
    }

    /// The default set, as declared.
    #[must_use]
    pub fn default_charset(&self) -> Charset {
        self.default
    }

    /// The alternate sets, as declared.
    pub fn alternates(&self) -> impl Iterator<Item = Charset> + '_ {
        self.alternates.iter().flatten().copied()
    }

    /// The set to decode with: the default one, extended by the Japanese sets that escapes switch to.
    #[must_use]
    pub fn charset(&self) -> Charset {
        let declares =
            |charset| self.default == charset || self.alternates().any(|other| other == charset);
        let ascii = self.default == Charset::ASCII;
        let roman = self.default == ROMAN || (ascii && declares(ROMAN) && !declares(KANJI));
        let japanese = ascii || [ROMAN, KANJI, SUPPLEMENTARY].contains(&self.default);
        match (japanese, roman, declares(SUPPLEMENTARY), declares(KANJI)) {
            (false, ..) => self.default,
            (true, true, true, _) => ROMAN_AND_SUPPLEMENTARY,
            (true, true, false, true) => ROMAN_AND_KANJI,
            (true, true, false, false) => ROMAN,
            (true, false, true, _) => SUPPLEMENTARY,
            (true, false, false, true) => KANJI,
            (true, false, false, false) => self.default,
        }
    }
}

/// A repetition separator is none of these, whatever a message declares.
fn may_be_in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-' | b'/' | b'_' | b'.' | b':')
}

/// The set with this name; an empty one and `""` are ASCII.
pub(super) fn find(name: &[u8]) -> Option<Charset> {
    let letters = || name.iter().filter(|byte| byte.is_ascii_alphanumeric());
    if name.trim_ascii().is_empty() {
        return Some(Charset::ASCII);
    }
    let is = |prefix: &str, known: &str| {
        letters().map(u8::to_ascii_uppercase).eq(prefix.bytes().chain(known.bytes()))
    };
    NAMES
        .iter()
        .find(|(known, _)| {
            is("", known)
                || (known.starts_with("8859") && (is("ISO", known) || is("ISOIEC", known)))
                || (known.strip_prefix("WINDOWS").is_some_and(|page| is("CP", page)))
        })
        .map(|&(_, charset)| charset)
}
