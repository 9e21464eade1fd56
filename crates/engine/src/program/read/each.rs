//! `each`: what it goes over, and the steps within.

use pipehat_config::{Diagnostic, Diagnostics, Fields, Node};
use pipehat_message::{Occurrence, SegmentName};

use super::{Reader, Whole};
use crate::program::reference::{EachOver, Reference, Scope, Use};
use crate::program::step::{Action, Over, Step, Within};

impl Reader<'_> {
    pub(super) fn each(
        &mut self,
        mut fields: Fields<'_, '_>,
        node: &Node,
        prefix: &str,
        whole: &Whole<'_>,
        scope: &Scope,
    ) -> Option<Step> {
        let over = fields.required("each", |node, diagnostics| self.over(node, scope, diagnostics));
        let inside = over.as_ref().and_then(|(segments, over)| {
            let outside = match segments {
                Some(Over::Segments { name, .. }) => scope.within(EachOver::Segments(*name)),
                _ => Some(scope.clone()),
            };
            let each = match over {
                Over::Segments { name, .. } => EachOver::Segments(*name),
                Over::Grouped(segments) => EachOver::Segments(segments.path().segment()),
                Over::Repetitions(field) => EachOver::Repetitions(field.clone()),
            };
            outside?.within(each)
        });
        let scope_inside = inside.clone().unwrap_or_else(|| scope.clone());
        if over.is_some() && inside.is_none() {
            fields.diagnostics().push(
                Diagnostic::error("channel.too-deep", &node.span, "too many `each` in `each`")
                    .with_help("four are enough for segments, fields and their repetitions"),
            );
        }
        let condition_node = fields.take("when");
        let condition = condition_node
            .and_then(|node| self.condition(node, &scope_inside, fields.diagnostics()));
        let steps = fields.required("do", |node, diagnostics| {
            self.inner(node, &format!("{prefix}.do"), whole, &scope_inside, diagnostics)
        });
        fields.finish();
        let ((segments, over), steps) = (over?, steps?);
        let place = self.place(&node.span, format!("{prefix}.each"));
        let steps: Box<[Step]> = match (condition_node, condition) {
            (None, _) => steps.into(),
            (Some(_), Some(condition)) => {
                let action = Action::When { condition, then: steps.into(), otherwise: [].into() };
                [Step { place: place.clone(), action }].into()
            }
            (Some(_), None) => return None,
        };
        inside?;
        let step = Step { place: place.clone(), action: Action::Each { over, steps } };
        Some(match segments {
            Some(over) => Step { place, action: Action::Each { over, steps: [step].into() } },
            None => step,
        })
    }

    /// What an `each` goes over; before it, the segments of a field that is named in all of them (`PID(*)-3`).
    fn over(
        &self,
        node: &Node,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<(Option<Over>, Over)> {
        let mut reference = self.reference(node, scope, Use::ReadEach, diagnostics)?;
        if reference.depth() == 0 && !reference.path().groups().is_empty() {
            reference.every_segment();
        }
        let path = reference.path();
        let refuse = |diagnostics: &mut Diagnostics, message: &str, help: String| {
            diagnostics
                .push(Diagnostic::error("channel.each", &node.span, message).with_help(help));
            None
        };
        match reference.depth() {
            0 if path.segment() == SegmentName::MSH => refuse(
                diagnostics,
                "a message has only one MSH",
                "do the steps without `each`".to_owned(),
            ),
            0 if scope.goes_over(path.segment()) => refuse(
                diagnostics,
                "an `each` around goes over these segments already",
                format!("inside it, `{}` is the current one", path.segment()),
            ),
            0 if !path.groups().is_empty() => Some((None, Over::Grouped(reference))),
            0 if reference.is_numbered() && path.occurrence() != Occurrence::All => refuse(
                diagnostics,
                "this names one segment, and `each` goes over all",
                format!("write `each: {}`, or do the steps without `each`", path.segment()),
            ),
            0 => {
                let within = Within(scope.segments().into());
                Some((None, Over::Segments { name: path.segment(), within }))
            }
            1 if path.occurrence() == Occurrence::All && scope.goes_over(path.segment()) => refuse(
                diagnostics,
                "an `each` around goes over these segments already",
                format!(
                    "write `each: {}-{}`: inside it that is the field of the current one",
                    path.segment(),
                    path.field().map_or(1, |field| field.get())
                ),
            ),
            1 if path.occurrence() == Occurrence::All && path.groups().is_empty() => {
                let (name, field) = (path.segment(), path.field()?);
                let within = Within(scope.segments().into());
                let segments = scope.within(EachOver::Segments(name)).unwrap_or_default();
                let field = format!("{name}-{field}");
                let field = Reference::parse(&field, &segments, Use::ReadEach).ok()?;
                Some((Some(Over::Segments { name, within }), Over::Repetitions(field)))
            }
            1 if path.occurrence() == Occurrence::All => refuse(
                diagnostics,
                "this names repetitions in several segments of a group",
                "put one `each` into another: first one over the segments".to_owned(),
            ),
            1 => Some((None, Over::Repetitions(reference))),
            _ => refuse(
                diagnostics,
                "`each` goes over segments or over the repetitions of a field",
                format!(
                    "write `each: {}-{}`",
                    path.segment(),
                    path.field().map_or(1, |field| field.get())
                ),
            ),
        }
    }
}
