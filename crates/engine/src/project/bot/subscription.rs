//! A bot's subscription: which changes it runs for, and whether any can ever meet it.

use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, nearest};
use pipehat_resource::fhirpath::{DoubtProblem, Expression};
use pipehat_resource::search::{
    Handling, ProblemKind, Registry, Search, SearchOptions, SearchProblem, query_pairs,
};

use super::SubscriptionTrigger;

/// The code of all that is wrong here.
const CODE: &str = "bot.criteria";

/// How many names a message lists.
const NAMES_SHOWN: usize = 20;

/// What to do with a parameter that R4 does not have.
const OWN: &str = "a parameter of the datastore's own is named in `custom`";

/// `"Patient?active=true"`, or `{ criteria, custom, changes, when }`.
pub(super) fn subscription(
    node: &Node,
    diagnostics: &mut Diagnostics,
) -> Option<SubscriptionTrigger> {
    if node.as_scalar().is_some() {
        let criteria = criteria(node, &[], diagnostics)?;
        return Some(SubscriptionTrigger { criteria, changes: Vec::new(), when: None });
    }
    let mut fields = Fields::of(node, "subscription", diagnostics)?;
    // Also of criteria that are wrong otherwise.
    let written = fields.map().get("criteria").and_then(Node::as_scalar);
    let resource_type =
        written.and_then(|scalar| scalar.text().split('?').next().map(str::to_owned));
    let resource_type = resource_type.filter(|name| Registry::standard().is_resource_type(name));
    let custom = fields.optional("custom", |node, diagnostics| {
        node.list_of(diagnostics, |node, diagnostics| node.text_not_empty(diagnostics))
    });
    let custom = custom.unwrap_or_default();
    let criteria =
        fields.required("criteria", |node, diagnostics| criteria(node, &custom, diagnostics));
    let changes = fields.optional("changes", |node, diagnostics| {
        node.list_of(diagnostics, |node, diagnostics| {
            node.one_of(&["create", "update", "delete"], diagnostics)
        })
    });
    let when = fields.optional("when", |node, diagnostics| {
        condition(node, resource_type.as_deref(), diagnostics)
    });
    let sound = fields.finish();
    let trigger =
        SubscriptionTrigger { criteria: criteria?, changes: changes.unwrap_or_default(), when };
    sound.then_some(trigger)
}

/// A search, whose values resources can have. What the parameters in `custom` mean only the datastore knows: they are left
/// to it.
fn criteria(node: &Node, custom: &[&str], diagnostics: &mut Diagnostics) -> Option<String> {
    let text = node.text_not_empty(diagnostics)?;
    let (name, query) = text.split_once('?').unwrap_or((text, ""));
    let registry = Registry::standard();
    // What comes from outside of the file is not guessed at.
    let substituted = node.as_scalar().is_some_and(|scalar| scalar.is_substituted());
    if !registry.is_resource_type(name) {
        let near = nearest(name, registry.resource_types()).filter(|_| !substituted);
        diagnostics.push(
            Diagnostic::error(CODE, &node.span, "criteria begin with a resource type")
                .with_nearest(near)
                .with_help("such as `Patient?active=true`"),
        );
        return None;
    }
    if name == "AuditEvent" {
        let message = "AuditEvents are made when they are asked for, and no bot is told of one";
        diagnostics.push(
            Diagnostic::error(CODE, &node.span, message)
                .with_help("search for them in a bot that runs by the clock: `cron`"),
        );
        return None;
    }
    let asks_by = |pair: &str, code: &str| pair.split(['=', ':']).next() == Some(code);
    if let Some(unused) =
        custom.iter().find(|code| !query.split('&').any(|pair| asks_by(pair, code)))
    {
        let message = format!("`custom` names `{unused}`, and the criteria do not ask by it");
        diagnostics.push(Diagnostic::error(CODE, &node.span, message));
        return None;
    }
    let known: Vec<&str> =
        query.split('&').filter(|pair| !custom.iter().any(|code| asks_by(pair, code))).collect();
    // As the datastore reads it when the bot is put in force.
    let options = SearchOptions {
        handling: Handling::Strict,
        only_criteria: true,
        ..SearchOptions::default()
    };
    let pairs = query_pairs(&known.join("&"));
    let search = match Search::parse(&[name], &pairs, &registry, &options) {
        Ok(parsed) => parsed.search,
        Err(problems) => {
            for problem in problems {
                diagnostics.push(misread(node, name, &problem, &registry));
            }
            return None;
        }
    };
    if search.looks_at_others() {
        let message = "criteria look at the resource alone: chains and `_has` can't be used";
        diagnostics.push(Diagnostic::error(CODE, &node.span, message).with_help(
            "read what the resource refers to in the bot, and do nothing where it is not meant",
        ));
        return None;
    }
    let impossible = search.impossible_codes(&registry);
    for found in &impossible {
        let message = format!(
            "no {} has the code `{}` where `{}` looks for it",
            found.resource_type, found.code, found.parameter
        );
        let error = Diagnostic::error(CODE, &node.span, message);
        diagnostics.push(with_names(error, &found.code, &found.known));
    }
    impossible.is_empty().then(|| text.to_owned())
}

/// A part of the criteria that the datastore would refuse.
fn misread(
    node: &Node,
    resource_type: &str,
    problem: &SearchProblem,
    registry: &Registry,
) -> Diagnostic {
    let error = Diagnostic::error(CODE, &node.span, problem.to_string());
    match problem.kind {
        ProblemKind::Empty => error.with_help("leave it out, or write a value behind `=`"),
        ProblemKind::Unknown => {
            let written = problem.parameter.trim_matches('`');
            let parameter = written.split([':', '.']).next().unwrap_or_default();
            let known = registry.parameters(resource_type).map(|parameter| parameter.code());
            error.with_nearest(nearest(parameter, known)).with_help(OWN)
        }
        _ => error,
    }
}

/// A condition over `%previous` and `%current`.
fn condition(
    node: &Node,
    resource_type: Option<&str>,
    diagnostics: &mut Diagnostics,
) -> Option<String> {
    let text = node.text_not_empty(diagnostics)?;
    let expression = match Expression::parse(text) {
        Ok(expression) => expression,
        Err(error) => {
            let message = format!("this is no FHIRPath expression: {error}");
            diagnostics.push(Diagnostic::error(CODE, &node.span, message).with_help(
                "such as `%previous.status != 'finished' and %current.status = 'finished'`",
            ));
            return None;
        }
    };
    // Where the criteria name no type, that is to be mended first.
    let Some(resource_type) = resource_type else { return Some(text.to_owned()) };
    let variables = [("previous", resource_type), ("current", resource_type)];
    let doubts = expression.doubts(resource_type, &variables);
    for doubt in &doubts {
        let place = match doubt.column {
            1 => String::new(),
            column => format!(" (column {column} of the expression)"),
        };
        let error = Diagnostic::error(CODE, &node.span, format!("{}{place}", doubt.problem));
        let (written, known) = doubt.problem.alternatives();
        let error = with_names(error, written, &known);
        diagnostics.push(match doubt.problem {
            DoubtProblem::Type { .. } => error.with_help(format!(
                "the criteria ask for {resource_type}; begin with `%previous`, `%current` or an element"
            )),
            _ => error,
        });
    }
    doubts.is_empty().then(|| text.to_owned())
}

/// Says what may be meant, or what there is.
fn with_names(error: Diagnostic, written: &str, known: &[&str]) -> Diagnostic {
    if let Some(near) = nearest(written, known.iter().copied()) {
        return error.with_nearest(Some(near));
    }
    let mut shown: Vec<&str> = known.iter().copied().take(NAMES_SHOWN).collect();
    if shown.is_empty() {
        return error;
    }
    if known.len() > NAMES_SHOWN {
        shown.push("…");
    }
    error.with_help(format!("there are {}", shown.join(", ")))
}
