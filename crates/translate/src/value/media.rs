//! Media types (RFC 6838) of the types of referenced data (tables 0191 and 0291).

/// The media type of a type and a subtype as ED and RP give them; `AP`, `application` and `pdf`, `PDF`.
pub(crate) fn media_type(kind: &str, subtype: &str) -> Option<String> {
    let (kind, subtype) = (kind.trim().to_ascii_lowercase(), subtype.trim().to_ascii_lowercase());
    if is_media_type(&subtype) {
        return Some(subtype);
    }
    if is_media_type(&kind) {
        return Some(kind);
    }
    let subtype = match subtype.as_str() {
        "jpg" => "jpeg",
        "tif" => "tiff",
        "txt" | "text" => "plain",
        own => own,
    };
    let kind = match (kind.as_str(), subtype) {
        ("application" | "ap", "html" | "plain") => "text",
        ("ap" | "application", _) => "application",
        ("au" | "audio", _) => "audio",
        ("im" | "image", _) => "image",
        ("ft" | "tx" | "text", "") => return Some("text/plain".into()),
        ("ft" | "tx" | "text", "pdf" | "rtf") => "application",
        ("ft" | "tx" | "text", _) => "text",
        ("video" | "multipart" | "model" | "message", _) => kind.as_str(),
        ("", _) | ("sd" | "si" | "ns", _) => match subtype {
            "pdf" | "rtf" | "json" | "dicom" | "octet-stream" | "postscript" => "application",
            "html" | "plain" | "xml" | "sgml" | "richtext" => "text",
            "jpeg" | "png" | "gif" | "tiff" | "pict" => "image",
            "basic" => "audio",
            _ => return None,
        },
        _ => return None,
    };
    let whole = format!("{kind}/{subtype}");
    is_media_type(&whole).then_some(whole)
}

/// Whether a text has the form of a media type.
pub(crate) fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    text.split_once('/').is_some_and(|(kind, subtype)| is_name(kind) && is_name(subtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &str, subtype: &str, expected: Option<&str>) {
        assert_eq!(media_type(kind, subtype).as_deref(), expected, "{kind} {subtype}");
    }

    #[test]
    fn types_of_v2_become_media_types() {
        check("application", "pdf", Some("application/pdf"));
        check("AP", "PDF", Some("application/pdf"));
        check("", "pdf", Some("application/pdf"));
        check("TX", "", Some("text/plain"));
        check("IM", "JPG", Some("image/jpeg"));
        check("", "application/pdf", Some("application/pdf"));
        check("AP", "", None);
        check("", "what", None);
    }
}
