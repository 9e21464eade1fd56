//! Which form a request has and which its answer shall have: `Content-Type`, `Accept`, `_format` (FHIR R4 §2.1.0.6).
//!
//! JSON is the one form of resources; XML and RDF are refused with 406 and 415.

use http::{HeaderMap, StatusCode, header};
use pipehat_resource::outcome::IssueCode;

use super::problem::Problem;
use super::query_string::Query;

/// A form of JSON, by the name it was asked for: R4 wants a generic name repeated in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonName {
    /// `application/fhir+json`.
    Fhir,
    /// `application/json`.
    Plain,
}

impl JsonName {
    /// The value of `Content-Type`.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Fhir => "application/fhir+json; charset=utf-8",
            Self::Plain => "application/json; charset=utf-8",
        }
    }
}

/// What a body is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ContentKind {
    /// There is none.
    None,
    /// A resource in JSON.
    Resource,
    /// A JSON Patch (RFC 6902).
    JsonPatch,
    /// A JSON Merge Patch (RFC 7396).
    MergePatch,
    /// A form.
    Form,
    /// Something else: only a Binary may be that.
    Other(String),
}

/// What kind of body a `Content-Type` names.
pub(crate) fn content_kind(headers: &HeaderMap) -> Result<ContentKind, Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(ContentKind::None) };
    let text = value.to_str().ok().map(str::trim).filter(|text| !text.is_empty());
    let Some(text) = text else {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            IssueCode::NotSupported,
            "the header Content-Type names no media type",
        )
        .at_location("Content-Type"));
    };
    let media = MediaType::parse(text);
    let kind = match media.essence.as_str() {
        "application/fhir+json" | "application/json" | "text/json" | "application/json+fhir" => {
            ContentKind::Resource
        }
        "application/json-patch+json" => ContentKind::JsonPatch,
        "application/merge-patch+json" => ContentKind::MergePatch,
        "application/x-www-form-urlencoded" => ContentKind::Form,
        _ => return Ok(ContentKind::Other(text.to_owned())),
    };
    let utf8 = media
        .charset
        .as_deref()
        .is_none_or(|charset| matches!(charset, "utf-8" | "utf8" | "us-ascii"));
    if !utf8 {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            IssueCode::NotSupported,
            "FHIR's JSON is UTF-8; the header Content-Type names another charset",
        )
        .at_location("Content-Type"));
    }
    if !media.is_r4() {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            IssueCode::NotSupported,
            "this server takes FHIR R4 (fhirVersion=4.0)",
        )
        .at_location("Content-Type"));
    }
    Ok(kind)
}

/// What an answer may look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// How JSON is to be called.
    pub(crate) json: JsonName,
    /// The media ranges of `Accept` that are not JSON, with those of JSON's rank: a Binary goes out raw where its
    /// own type ranks above.
    ranges: Vec<(MediaType, Rank)>,
    /// Whether JSON is welcome at all.
    json_rank: Rank,
    /// Whether `_format` decided.
    by_parameter: bool,
}

type Rank = u16;

impl Wanted {
    /// Reads `_format`, which goes above `Accept`, or `Accept`.
    pub(crate) fn of(headers: &HeaderMap, query: &Query) -> Result<Self, Problem> {
        let wanted = match query.first("_format").filter(|format| !format.is_empty()) {
            Some(format) => Self::of_format(format),
            None => Self::of_accept(headers),
        };
        wanted.ok_or_else(|| {
            not_acceptable(if query.first("_format").is_some() { "_format" } else { "Accept" })
        })
    }

    /// JSON by its proper name.
    pub(crate) fn json() -> Self {
        Self { json: JsonName::Fhir, ranges: Vec::new(), json_rank: 1000, by_parameter: true }
    }

    fn of_format(format: &str) -> Option<Self> {
        // `+` of a media type, where it was not encoded, has become a space.
        let media = MediaType::parse(&format.replace(' ', "+"));
        let json = match media.essence.as_str() {
            "json" | "application/fhir+json" | "application/json+fhir" => JsonName::Fhir,
            "application/json" | "text/json" => JsonName::Plain,
            _ => return None,
        };
        media.is_r4().then(|| Self { json, ..Self::json() })
    }

    fn of_accept(headers: &HeaderMap) -> Option<Self> {
        let mut ranges = Vec::new();
        let mut said = false;
        for value in headers.get_all(header::ACCEPT) {
            let Ok(text) = value.to_str() else { continue };
            for range in text.split(',').map(str::trim).filter(|range| !range.is_empty()) {
                said = true;
                let media = MediaType::parse(range);
                let rank = media.quality;
                ranges.push((media, rank));
            }
        }
        if !said {
            return Some(Self {
                json: JsonName::Fhir,
                ranges: vec![(MediaType::parse("*/*"), 1000)],
                json_rank: 1,
                by_parameter: false,
            });
        }
        let rank = |wanted: &[&str]| {
            let found = ranges.iter().filter(|(media, _)| media.is_r4());
            let found = found.filter(|(media, _)| wanted.contains(&media.essence.as_str()));
            found.map(|(_, rank)| *rank).max()
        };
        let fhir = rank(&["application/fhir+json", "application/json+fhir"]);
        let plain = rank(&["application/json", "text/json"]);
        let any = rank(&["application/*", "*/*"]);
        let (json, json_rank) = match (fhir, plain, any) {
            (Some(fhir), plain, _) if fhir > 0 && plain.is_none_or(|plain| plain <= fhir) => {
                (JsonName::Fhir, fhir)
            }
            (_, Some(plain), _) if plain > 0 => (JsonName::Plain, plain),
            (None, _, Some(any)) if any > 0 => (JsonName::Fhir, any),
            _ => (JsonName::Fhir, 0),
        };
        Some(Self { json, ranges, json_rank, by_parameter: false })
    }

    /// JSON's name, for an answer that is a resource.
    pub(crate) fn resource(&self) -> Result<JsonName, Problem> {
        if self.json_rank > 0 { Ok(self.json) } else { Err(not_acceptable("Accept")) }
    }

    /// Whether a Binary of this type goes out as its bytes (FHIR R4 §2.38.1): where its type is named, or where
    /// nothing of JSON is.
    pub(crate) fn takes_raw(&self, content_type: &str) -> bool {
        if self.by_parameter {
            return false;
        }
        let own = MediaType::parse(content_type).essence;
        let group = own.split_once('/').map(|(group, _)| format!("{group}/*")).unwrap_or_default();
        let named_json = self.ranges.iter().any(|(media, rank)| {
            *rank > 0
                && matches!(
                    media.essence.as_str(),
                    "application/fhir+json" | "application/json+fhir"
                )
        });
        let rank = |name: &str| {
            self.ranges
                .iter()
                .filter(|(media, _)| media.essence == name)
                .map(|(_, rank)| *rank)
                .max()
        };
        let specific = rank(&own).or_else(|| rank(&group));
        match specific.or_else(|| rank("*/*")) {
            None | Some(0) => false,
            Some(own_rank) if specific.is_some() => !named_json || own_rank > self.json_rank,
            Some(_) => !named_json,
        }
    }
}

fn not_acceptable(place: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_ACCEPTABLE,
        IssueCode::NotSupported,
        "this server answers in JSON: ask for application/fhir+json",
    )
    .at_location(place)
}

/// A media type or range with what counts of its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
struct MediaType {
    /// Type and subtype, in lower case.
    essence: String,
    charset: Option<String>,
    fhir_version: Option<String>,
    /// Thousandths.
    quality: Rank,
}

impl MediaType {
    fn parse(text: &str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut media = Self { essence, charset: None, fhir_version: None, quality: 1000 };
        for parameter in parts {
            let Some((name, value)) = parameter.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "charset" => media.charset = Some(value.to_ascii_lowercase()),
                "fhirversion" => media.fhir_version = Some(value.to_owned()),
                "q" => media.quality = quality(value),
                _ => {}
            }
        }
        media
    }

    fn is_r4(&self) -> bool {
        self.fhir_version
            .as_deref()
            .is_none_or(|version| matches!(version, "4.0" | "4.0.0" | "4.0.1"))
    }
}

/// A weight in thousandths (RFC 9110 §12.4.2); one that is none counts as 1.
fn quality(text: &str) -> Rank {
    let weight: f64 = text.parse().unwrap_or(1.0);
    // Between 0 and 1000 after `clamp`; NaN becomes 0.
    (weight.clamp(0.0, 1.0) * 1000.0) as Rank
}

/// The best of these content codings that `Accept-Encoding` takes, by its weight, then by our order.
pub(crate) fn content_coding<'c>(headers: &HeaderMap, offered: &[&'c str]) -> Option<&'c str> {
    let mut weights: Vec<(String, Rank)> = Vec::new();
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        let Ok(text) = value.to_str() else { continue };
        for coding in text.split(',') {
            let media = MediaType::parse(coding.trim());
            weights.push((media.essence, media.quality));
        }
    }
    let weight = |coding: &str| {
        let of =
            |name: &str| weights.iter().find(|(own, _)| own == name).map(|(_, weight)| *weight);
        of(coding).or_else(|| of("*")).unwrap_or(0)
    };
    let mut best = None;
    for coding in offered {
        let weight = weight(coding);
        if weight > 0 && best.is_none_or(|(_, most)| weight > most) {
            best = Some((*coding, weight));
        }
    }
    best.map(|(coding, _)| coding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("a header"));
        headers
    }

    #[test]
    fn accept_chooses_the_name_of_json() {
        let check = |accept: &str, expected: Result<JsonName, u16>| {
            let wanted = Wanted::of(&headers("accept", accept), &Query::default());
            let found = wanted.and_then(|wanted| wanted.resource());
            assert_eq!(found.map_err(|problem| problem.status().as_u16()), expected, "{accept}");
        };
        check("application/fhir+json", Ok(JsonName::Fhir));
        check("application/json", Ok(JsonName::Plain));
        check("application/json;q=0.5, application/fhir+json", Ok(JsonName::Fhir));
        check("application/fhir+json, */*; q=0.1", Ok(JsonName::Fhir));
        check("*/*", Ok(JsonName::Fhir));
        check("text/html,application/xhtml+xml,*/*;q=0.8", Ok(JsonName::Fhir));
        check("application/fhir+json; charset=utf-8; fhirVersion=4.0", Ok(JsonName::Fhir));
        check("application/fhir+json; fhirVersion=3.0", Err(406));
        check("application/fhir+xml", Err(406));
        check("application/fhir+json;q=0", Err(406));
        check("text/turtle", Err(406));
    }

    #[test]
    fn format_goes_above_accept() {
        let check = |query: &str, expected: Result<JsonName, u16>| {
            let query = Query::parse(query).expect("a query");
            let wanted = Wanted::of(&headers("accept", "application/fhir+xml"), &query);
            let found = wanted.and_then(|wanted| wanted.resource());
            assert_eq!(found.map_err(|problem| problem.status().as_u16()), expected, "{query:?}");
        };
        check("_format=json", Ok(JsonName::Fhir));
        check("_format=application/fhir+json", Ok(JsonName::Fhir));
        check("_format=application/fhir%2Bjson", Ok(JsonName::Fhir));
        check("_format=application/json", Ok(JsonName::Plain));
        check("_format=text/json", Ok(JsonName::Plain));
        check("_format=xml", Err(406));
        check("_format=ttl", Err(406));
        check("_format=", Err(406));
    }

    #[test]
    fn a_body_is_named_by_its_type() {
        let check = |text: &str, expected: Result<ContentKind, u16>| {
            let found = content_kind(&headers("content-type", text));
            assert_eq!(found.map_err(|problem| problem.status().as_u16()), expected, "{text}");
        };
        check("application/fhir+json", Ok(ContentKind::Resource));
        check("Application/JSON; Charset=UTF-8", Ok(ContentKind::Resource));
        check("application/json; charset=latin1", Err(415));
        check("application/fhir+json; fhirVersion=5.0", Err(415));
        check("application/json-patch+json", Ok(ContentKind::JsonPatch));
        check("application/merge-patch+json", Ok(ContentKind::MergePatch));
        check("application/x-www-form-urlencoded", Ok(ContentKind::Form));
        check("application/fhir+xml", Ok(ContentKind::Other("application/fhir+xml".into())));
        check(" ", Err(415));
    }

    #[test]
    fn a_binary_goes_out_raw_where_its_type_ranks_above_json() {
        let check = |accept: Option<&str>, expected: bool| {
            let headers = accept.map(|accept| headers("accept", accept)).unwrap_or_default();
            let wanted = Wanted::of(&headers, &Query::default()).expect("something");
            assert_eq!(wanted.takes_raw("image/png"), expected, "{accept:?}");
        };
        check(None, true);
        check(Some("*/*"), true);
        check(Some("image/png"), true);
        check(Some("image/*"), true);
        check(Some("application/json"), false);
        check(Some("application/fhir+json"), false);
        check(Some("application/fhir+json, */*; q=0.1"), false);
        check(Some("image/png, application/fhir+json;q=0.5"), true);
        check(Some("text/plain"), false);
    }

    #[test]
    fn codings_are_chosen_by_weight() {
        let check = |text: &str, expected: Option<&str>| {
            let found = content_coding(&headers("accept-encoding", text), &["zstd", "gzip"]);
            assert_eq!(found, expected, "{text}");
        };
        check("gzip", Some("gzip"));
        check("gzip, deflate, br, zstd", Some("zstd"));
        check("gzip;q=1.0, zstd;q=0.5", Some("gzip"));
        check("*", Some("zstd"));
        check("zstd;q=0, *;q=0.1", Some("gzip"));
        check("identity", None);
        check("br", None);
    }
}
