//! What a bot is told of an address that it may not call: the entry that would grant it, with its scheme and port.

use reqwest::Url;

/// Why an address is refused, and what to write where it is to be called.
pub(super) fn refusal(address: &str) -> String {
    let Ok(url) = Url::parse(address) else {
        return "it is no address: write it as `https://host/path`".to_owned();
    };
    let (scheme, Some(host)) = (url.scheme(), url.host_str()) else {
        return "the address has no host".to_owned();
    };
    if !matches!(scheme, "http" | "https") {
        return format!("a bot calls addresses by http and https, and none by {scheme}");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return "the address has a user or password: send them in a header".to_owned();
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let asked = format!("{scheme}://{host}{port}");
    let (entry, more) = match scheme {
        "http" => (asked.as_str(), ", or call it by https"),
        _ => (asked.strip_prefix("https://").unwrap_or(&asked), ""),
    };
    format!("this bot may not call {asked}: add it to `allow: {{ hosts: [\"{entry}\"] }}`{more}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::{EndpointRules, HostRule};

    #[track_caller]
    fn check(address: &str, asked: &str, entry: &str, more: &str) {
        let told = refusal(address);
        let expected = format!(
            "this bot may not call {asked}: add it to `allow: {{ hosts: [\"{entry}\"] }}`{more}"
        );
        assert_eq!(told, expected);
        let rule = HostRule::parse(entry).expect("a rule");
        EndpointRules::new(Some(vec![rule])).allowed(address).expect("what is told helps");
    }

    #[test]
    fn what_is_told_to_be_written_grants_what_was_asked_for() {
        let plain = ", or call it by https";
        check("https://api.example.org/x?id=7", "https://api.example.org", "api.example.org", "");
        let odd = "api.example.org:8443";
        check("https://API.example.org:8443/x", "https://api.example.org:8443", odd, "");
        let local = "http://10.1.2.3:8080";
        check("http://10.1.2.3:8080/x", local, local, plain);
        check("http://api.example.org", "http://api.example.org", "http://api.example.org", plain);
        check("https://[::1]:9/", "https://[::1]:9", "[::1]:9", "");
    }

    #[test]
    fn what_no_entry_grants_is_told_so() {
        assert!(refusal("ftp://example.org/x").contains("none by ftp"));
        assert!(refusal("https://me:secret@example.org").contains("in a header"));
        assert!(!refusal("https://me:secret@example.org").contains("secret"));
        assert!(refusal("no address").contains("no address"));
        assert!(refusal("data:,x").contains("no host"));
    }
}
