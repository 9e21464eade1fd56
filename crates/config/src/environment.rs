//! `${NAME}` and `${NAME:-default}` in scalars.
//!
//! It happens on the finished tree, so that a value can't change the structure of the file, and a scalar that took
//! one in says so ([`Scalar::is_substituted`]): errors about it show the place in the file, not the value.
//!
//! [`Scalar::is_substituted`]: crate::Scalar::is_substituted

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::node::{Node, Value};
use crate::secret::SecretText;
use crate::source::Span;

/// What the variables of one file may put in at most, so that a small file can't become a large tree.
pub const SUBSTITUTED_BYTES_MAX: usize = 1024 * 1024;

/// Where variables and secrets come from. The caller decides: the process, a file, a vault, a test.
pub trait Environment {
    /// The value of a variable, if it is set.
    fn variable(&self, name: &str) -> Option<String>;

    /// The secret of a name, if there is one.
    fn secret(&self, name: &str) -> Option<SecretText>;
}

/// No variable is set, and there are no secrets.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEnvironment;

impl Environment for NoEnvironment {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn secret(&self, _: &str) -> Option<SecretText> {
        None
    }
}

impl Node {
    /// Puts the values of variables into all scalars below (keys are left alone).
    ///
    /// `${NAME}` is the variable; `${NAME:-default}` is the default when the variable is unset or empty; `$${` is a
    /// literal `${`. A `$` that is not followed by `{` is an ordinary character. What can't be put in is reported, and
    /// stays as written.
    pub fn substitute(&mut self, environment: &dyn Environment, diagnostics: &mut Diagnostics) {
        let mut substitution =
            Substitution { environment, diagnostics, bytes_left: SUBSTITUTED_BYTES_MAX };
        substitution.node(self);
    }
}

struct Substitution<'s> {
    environment: &'s dyn Environment,
    diagnostics: &'s mut Diagnostics,
    bytes_left: usize,
}

impl Substitution<'_> {
    fn node(&mut self, node: &mut Node) {
        if let Some(text) = node.as_scalar().map(|scalar| scalar.text().to_owned()) {
            if text.contains("${") {
                self.scalar(node, &text);
            }
            return;
        }
        match &mut node.value {
            Value::Null | Value::Scalar(_) => {}
            Value::List(nodes) => nodes.iter_mut().for_each(|node| self.node(node)),
            Value::Map(map) => map.values_mut().for_each(|node| self.node(node)),
        }
    }

    fn scalar(&mut self, node: &mut Node, text: &str) {
        let mut result = String::with_capacity(text.len());
        let (mut rest, mut substituted, mut failed) = (text, false, false);
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                result.push_str(before);
                result.push_str("${");
                rest = after;
                continue;
            }
            result.push_str(before);
            let start = text.len() - after.len() - 2;
            let Some((inside, after)) = after.split_once('}') else {
                let span = node.sub_span_of_bytes(start, text.len());
                self.diagnostics.push(
                    Diagnostic::error("config.variable", &span, "this `${` has no `}`")
                        .with_help("write `${NAME}`; for a literal `${` write `$${`"),
                );
                failed = true;
                break;
            };
            let span = node.sub_span_of_bytes(start, start + inside.len() + 3);
            match self.value(inside, &span) {
                Some(value) => result.push_str(&value),
                None => failed = true,
            }
            substituted = true;
            rest = after;
        }
        result.push_str(rest);
        let Value::Scalar(scalar) = &mut node.value else { return };
        match (failed, substituted) {
            (true, _) => scalar.leave_unresolved(),
            (false, true) => scalar.substitute(result),
            (false, false) => scalar.unescape(result),
        }
    }

    fn value(&mut self, inside: &str, span: &Span) -> Option<String> {
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_variable_name(name) {
            let help = if name.starts_with("secret:") {
                "a secret can't be a part of a text: give it as the whole value, `secret:NAME`"
            } else {
                "a name has letters, digits and `_` and does not begin with a digit; for a literal `${` write `$${`"
            };
            self.diagnostics.push(
                Diagnostic::error(
                    "config.variable",
                    span,
                    "this is not the name of an environment variable",
                )
                .with_help(help),
            );
            return None;
        }
        let value = match (self.environment.variable(name), default) {
            (Some(value), _) if !value.is_empty() => value,
            (_, Some(default)) => default.to_owned(),
            (Some(value), None) => value,
            (None, None) => {
                let message = format!("the environment variable `{name}` is not set");
                let help = format!(
                    "set it before Pipehat starts (for example `export {name}=…`), or give a default: `${{{name}:-default}}`"
                );
                let unset =
                    Diagnostic::error("config.unset-variable", span, message).with_help(help);
                self.diagnostics.push(unset);
                return None;
            }
        };
        let Some(bytes_left) = self.bytes_left.checked_sub(value.len()) else {
            let message =
                format!("variables put more than {SUBSTITUTED_BYTES_MAX} bytes into this file");
            self.diagnostics.push(Diagnostic::error("config.too-large", span, message).with_help(
                "variables are meant for addresses, names and the like; put data into files",
            ));
            return None;
        };
        self.bytes_left = bytes_left;
        Some(value)
    }
}

fn is_variable_name(name: &str) -> bool {
    let lawful = |character: char| character.is_ascii_alphanumeric() || character == '_';
    name.chars().all(lawful) && name.starts_with(|first: char| !first.is_ascii_digit())
}
