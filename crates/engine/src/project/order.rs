//! Which messages of a channel wait for each other.

use pipehat_config::{Diagnostic, Diagnostics, Node, nearest};
use pipehat_message::Path;

use crate::program::{self, Lanes};

/// Which messages wait for each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// All of them.
    Strict,
    /// None.
    None,
    /// Those with the same value at one of these paths.
    By(Vec<Path>),
}

impl Order {
    /// The lanes that make it.
    pub(super) fn lanes(&self) -> Lanes {
        match self {
            Self::Strict => Lanes::Strict,
            Self::None => Lanes::None,
            Self::By(paths) => Lanes::By(paths.clone().into()),
        }
    }
}

/// `strict`, `none` or `by PATH, PATH`.
pub(super) fn order(node: &Node, diagnostics: &mut Diagnostics) -> Option<Order> {
    let text = node.text_not_empty(diagnostics)?;
    let help = "write `strict`, `none`, or `by` and a path, such as `by PID-3.1`";
    match text.trim() {
        "strict" => return Some(Order::Strict),
        "none" => return Some(Order::None),
        _ => {}
    }
    let Some(paths) = text.strip_prefix("by ").or_else(|| text.strip_prefix("by\t")) else {
        let substituted = node.as_scalar().is_some_and(|scalar| scalar.is_substituted());
        let error = Diagnostic::error("channel.order", &node.span, "this is no order");
        let near = nearest(text, ["strict", "none"]).filter(|_| !substituted);
        let error = if Path::parse(text.trim()).is_ok() && !substituted {
            error.with_suggestion(format!("write `by {}`", text.trim()))
        } else {
            error.with_nearest(near)
        };
        diagnostics.push(error.with_help(help));
        return None;
    };
    let mut read = Some(Vec::new());
    let mut at = text.len() - paths.len();
    for piece in paths.split(',') {
        let start = at + piece.len() - piece.trim_start().len();
        let path = order_path(node, piece.trim(), start, diagnostics);
        read = read.zip(path).map(|(mut paths, path)| {
            paths.push(path);
            paths
        });
        at += piece.len() + 1;
    }
    read.map(Order::By)
}

fn order_path(
    node: &Node,
    text: &str,
    start: usize,
    diagnostics: &mut Diagnostics,
) -> Option<Path> {
    program::plain_path(node, text, start, diagnostics)
        .map_err(|error| program::report("channel.order", node, error, diagnostics))
        .ok()
        .filter(|path| {
            let fits = path.field().is_some();
            if !fits {
                diagnostics.push(
                    Diagnostic::error(
                        "channel.order",
                        &node.sub_span_of_bytes(start, start + text.len()),
                        "this names a whole segment, which has no single value",
                    )
                    .with_help("name the field whose messages stay in order, such as `PID-3.1`"),
                );
            }
            fits
        })
}
