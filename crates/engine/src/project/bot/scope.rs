//! A scope of a bot: what it may do in the datastore.

use pipehat_config::{Diagnostic, Diagnostics, Node, nearest};
use pipehat_resource::definitions::TypeDefinition;
use pipehat_resource::search::{Handling, Registry, Search, SearchOptions, query_pairs};

/// A scope has at most this many bytes.
const SCOPE_BYTES_MAX: usize = 1_000;

/// `system/Patient.rs?organization=…`: SMART App Launch 2. Its filter is a search by the parameters of the standard, as the
/// criteria of a Subscription: those that a project adds are known to its datastore only.
pub(super) fn scope(node: &Node, diagnostics: &mut Diagnostics) -> Option<String> {
    let text = node.text_not_empty(diagnostics)?;
    let mut refuse = |message: String, near: Option<&str>| {
        diagnostics.push(
            Diagnostic::error("bot.scope", &node.span, message)
                .with_nearest(near)
                .with_help("such as `system/Patient.rs` or `system/Observation.cruds`"),
        );
        None
    };
    let (what, query) = match text.split_once('?') {
        Some((what, query)) => (what, Some(query)),
        None => (text, None),
    };
    let parts = what.strip_prefix("system/").and_then(|rest| rest.split_once('.'));
    let Some((resource_type, letters)) = parts else {
        let example = match what.split_once('/').map(|(_, rest)| rest) {
            Some(rest) if rest.contains('.') => Some(format!("system/{rest}")),
            _ => None,
        };
        let message = "this is no scope: it begins with `system/`, a type and a dot";
        return refuse(message.to_owned(), example.as_deref());
    };
    let registry = Registry::standard();
    if resource_type != "*" && TypeDefinition::named(resource_type).is_none() {
        let near = nearest(resource_type, registry.resource_types());
        return refuse("this scope names no resource type".to_owned(), near);
    }
    let mut order = "crudsx".chars();
    let known = matches!(letters, "read" | "write" | "*")
        || !letters.is_empty() && letters.chars().all(|letter| order.any(|known| known == letter));
    if !known {
        return refuse("behind the type stands a part of `cruds`, in this order".to_owned(), None);
    }
    if letters.contains('x') && resource_type != "Bot" {
        return refuse("`x` is to run bots: only `system/Bot.x` has it".to_owned(), None);
    }
    if text.len() > SCOPE_BYTES_MAX {
        return refuse(format!("a scope has at most {SCOPE_BYTES_MAX} bytes"), None);
    }
    // RFC 6749 §3.3.
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')) {
        return refuse("a scope is ASCII without spaces and quotation marks".to_owned(), None);
    }
    let Some(query) = query else { return Some(text.to_owned()) };
    let pairs = query_pairs(query);
    if pairs.is_empty() || pairs.iter().any(|(name, value)| name.is_empty() || value.is_empty()) {
        return refuse("behind `?` stand search parameters with values".to_owned(), None);
    }
    let options = SearchOptions {
        handling: Handling::Strict,
        only_criteria: true,
        ..SearchOptions::default()
    };
    // A filter of all types is one of each type that has the parameters.
    let types: Vec<&str> = match resource_type {
        "*" => registry.resource_types().collect(),
        name => vec![name],
    };
    let mut problem = None;
    let answered =
        types.iter().any(|name| match Search::parse(&[name], &pairs, &registry, &options) {
            Ok(_) => true,
            Err(problems) => {
                problem = problem.take().or_else(|| problems.first().map(ToString::to_string));
                false
            }
        });
    if !answered {
        let problem = problem.unwrap_or_default();
        return refuse(format!("no search can say this filter: {problem}"), None);
    }
    Some(text.to_owned())
}
