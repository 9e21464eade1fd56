//! Which character set a stream is in, and how MSH-18 says so (HL7 v2.5.1 §2.15.9.18).

use pipehat_dictionary::TableNumber;
use pipehat_message::{Charset, CharsetSpec};

use crate::generator::{Settings, SettingsError};

/// What MSH-18 says, and how text becomes bytes.
pub(crate) fn charset(
    settings: &Settings,
) -> Result<(&'static str, Option<Charset>), SettingsError> {
    let version = settings.version;
    let table = version.segment("MSH".parse().expect("a segment's name")).and_then(|msh| {
        let field = msh.field(18)?;
        let table = TableNumber::new(211).and_then(|number| version.table(number));
        Some((field.length_max().unwrap_or(u32::MAX), table))
    });
    let find = |code: &str| {
        let (most, table) = table?;
        if most < u32::try_from(code.len()).unwrap_or(u32::MAX) {
            return None;
        }
        table?.code(code.as_bytes()).map(|code| code.code())
    };
    let named = |name: &str| {
        CharsetSpec::from_msh18(name.as_bytes()).ok().map(|spec| spec.default_charset())
    };
    let Some(wanted) = &settings.charset else {
        return Ok(["UNICODE UTF-8", "8859/1"]
            .into_iter()
            .find_map(|name| Some((find(name)?, named(name))))
            .unwrap_or(("", None)));
    };
    if wanted.is_empty() || wanted.eq_ignore_ascii_case("ascii") {
        return Ok(("", None));
    }
    let alias = match wanted.to_ascii_uppercase().as_str() {
        "UTF-8" | "UTF8" | "UNICODE UTF-8" => "UNICODE UTF-8".to_owned(),
        "LATIN1" | "ISO-8859-1" => "8859/1".to_owned(),
        other => other
            .strip_prefix("ISO-8859-")
            .map_or_else(|| other.to_owned(), |part| format!("8859/{part}")),
    };
    if table.is_none() {
        return Err(SettingsError::NoCharsetField(version));
    }
    let unknown = || SettingsError::UnknownCharset(wanted.clone(), version);
    let charset = named(&alias).ok_or_else(unknown)?;
    let declared = find(&alias).ok_or_else(unknown)?;
    Ok((declared, Some(charset)))
}
