//! Code systems small enough to carry, and the value sets of bindings.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::Value;

use super::elements::Tree;
use super::{Published, list, one_line, text as text_of};

/// A code system with more concepts is not carried as a whole.
const CONCEPTS_MAX: usize = 400;

/// What a value set takes from one code system.
#[derive(Default)]
struct Part {
    /// All of it.
    whole: bool,
    codes: BTreeSet<String>,
}

type Parts = BTreeMap<String, Part>;

pub(super) fn text(published: &Published, tree: &Tree) -> Result<String> {
    let mut out = String::from(
        "# FHIR 4.0.1: code systems (S, url; code, display, parent), then value sets (V, url; system, codes or *).\n\
         # Value sets of required bindings that are not carried, and why:\n",
    );
    let mut sets = BTreeMap::new();
    let mut wanted = tree.bound("required");
    wanted.extend(tree.bound("extensible"));
    for url in wanted {
        let mut parts = Parts::new();
        match expand(published, url, &mut parts, 0) {
            Ok(()) => {
                sets.insert(url, parts);
            }
            Err(why) if tree.bound("required").contains(&url) => {
                out.push_str(&format!("# {url}\t{why}\n"));
            }
            Err(_) => {}
        }
    }
    let systems: BTreeSet<&String> =
        sets.values().flatten().filter(|(_, part)| part.whole).map(|(system, _)| system).collect();
    for system in systems {
        out.push_str(&format!("S\t{system}\n"));
        concepts(&published.code_systems[system], &mut |code, display, parent| {
            let line = ["", code, &one_line(display), parent].join("\t");
            out.push_str(line.trim_end_matches('\t'));
            out.push('\n');
        });
    }
    for (url, parts) in sets {
        out.push_str(&format!("V\t{url}\n"));
        for (system, part) in parts {
            if part.whole {
                out.push_str(&format!("\t{system}\t*\n"));
            } else {
                let codes: Vec<&str> = part.codes.iter().map(String::as_str).collect();
                out.push_str(&format!("\t{system}\t{}\n", codes.join("\t")));
            }
        }
    }
    Ok(out)
}

/// Calls `take` with each concept's code, display and parent's code.
fn concepts(system: &Value, take: &mut dyn FnMut(&str, &str, &str)) {
    fn walk(list: &[Value], parent: &str, take: &mut dyn FnMut(&str, &str, &str)) {
        for concept in list {
            let code = text_of(concept, "code");
            take(code, text_of(concept, "display"), parent);
            walk(super::list(concept, "concept"), code, take);
        }
    }
    walk(list(system, "concept"), "", take);
}

fn expand(
    published: &Published,
    url: &str,
    parts: &mut Parts,
    depth: usize,
) -> Result<(), &'static str> {
    let url = url.split('|').next().unwrap_or_default();
    let set = published.value_sets.get(url).ok_or("its definition is not published with FHIR")?;
    if depth > 5 || set["compose"]["exclude"].is_array() {
        return Err("it is composed in a way that is not read here");
    }
    for include in list(&set["compose"], "include") {
        let system = text_of(include, "system");
        let sets = list(include, "valueSet");
        if system.is_empty() {
            for set in sets {
                expand(published, set.as_str().unwrap_or_default(), parts, depth + 1)?;
            }
            continue;
        }
        if !sets.is_empty() {
            return Err("it is composed in a way that is not read here");
        }
        let explicit = list(include, "concept");
        if !explicit.is_empty() {
            let part = parts.entry(system.to_owned()).or_default();
            part.codes.extend(explicit.iter().map(|concept| text_of(concept, "code").to_owned()));
            continue;
        }
        let defined = published
            .code_systems
            .get(system)
            .filter(|system| system["content"] == "complete")
            .ok_or("its code system is not published with FHIR")?;
        let mut all = Vec::new();
        concepts(defined, &mut |code, _, parent| all.push((code.to_owned(), parent.to_owned())));
        let filters = list(include, "filter");
        if filters.is_empty() {
            if all.len() > CONCEPTS_MAX {
                return Err("its code system is too large");
            }
            parts.entry(system.to_owned()).or_default().whole = true;
            continue;
        }
        let codes = filtered(defined, &all, filters)?;
        if codes.len() > CONCEPTS_MAX {
            return Err("it has too many codes");
        }
        parts.entry(system.to_owned()).or_default().codes.extend(codes);
    }
    Ok(())
}

/// The codes that `is-a` and `is-not-a` filters let through.
fn filtered(
    system: &Value,
    all: &[(String, String)],
    filters: &[Value],
) -> Result<Vec<String>, &'static str> {
    let mut parents: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (code, parent) in all {
        parents.entry(code).or_default().insert(parent.clone());
    }
    // Version 3's code systems give further parents as properties.
    further_parents(list(system, "concept"), &mut parents);
    let is_a = |code: &str, ancestor: &str| {
        let mut open = vec![code];
        let mut seen = BTreeSet::new();
        while let Some(code) = open.pop() {
            if code == ancestor {
                return true;
            }
            if seen.insert(code) {
                open.extend(parents.get(code).into_iter().flatten().map(String::as_str));
            }
        }
        false
    };
    let mut codes = Vec::new();
    for (code, _) in all {
        let mut passes = true;
        for filter in filters {
            let value = text_of(filter, "value");
            passes &= match text_of(filter, "op") {
                "is-a" => is_a(code, value),
                "is-not-a" => !is_a(code, value),
                _ => return Err("it filters in a way that is not read here"),
            };
        }
        if passes {
            codes.push(code.clone());
        }
    }
    Ok(codes)
}

fn further_parents<'a>(list: &'a [Value], parents: &mut BTreeMap<&'a str, BTreeSet<String>>) {
    for concept in list {
        let code = text_of(concept, "code");
        for property in super::list(concept, "property") {
            if matches!(text_of(property, "code"), "subsumedBy" | "parent") {
                let parent = property["valueCode"].as_str().unwrap_or_default();
                parents.entry(code).or_default().insert(parent.to_owned());
            }
        }
        further_parents(super::list(concept, "concept"), parents);
    }
}
