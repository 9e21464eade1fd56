//! What a profile says of a field or a part of one.

use std::collections::BTreeSet;
use std::sync::Arc;

use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, nearest};

use super::super::constraint::{ElementConstraint, UsageConstraint};
use super::super::format::Format;
use super::super::place::Place;
use super::super::value_set::{CODES_MAX, ValueSet, ValueSource};
use super::usage::{cardinality_beside, length, usage, usage_constraint};
use super::{NO_CODE, NO_TABLE, Reader, boxed_text, pattern};
use crate::table::TableNumber;
use crate::version::Version;

impl Reader<'_> {
    pub(super) fn element(
        &self,
        node: &Node,
        place: Place,
        diagnostics: &mut Diagnostics,
    ) -> Option<ElementConstraint> {
        if node.as_scalar().is_some() {
            let usage = Some(UsageConstraint::of(usage(node, diagnostics)?.0));
            return Some(ElementConstraint { usage, ..ElementConstraint::default() });
        }
        let mut fields = Fields::of(node, "field", diagnostics)?;
        fields.misplaced("repeats", "write `cardinality: 0..4`");
        fields.misplaced("table", "write `values: { table: 0001 }`");
        fields.misplaced("required", "write `usage: R`");
        fields.misplaced("max_length", "write `length: 1..20`");
        let name = fields.optional("name", boxed_text);
        let data_type =
            fields.optional("type", |node, diagnostics| self.data_type(node, diagnostics));
        let usage = usage_constraint(&mut fields);
        let cardinality_node = fields.map().get("cardinality");
        let cardinality = cardinality_beside(usage.as_ref(), &mut fields);
        if let Some(node) = cardinality_node.filter(|_| place.component != 0) {
            fields.diagnostics().push(
                Diagnostic::error(
                    "profile.place",
                    &node.span,
                    "only segments and fields have a cardinality",
                )
                .with_help("write `usage: R` for a part that has to be there"),
            );
        }
        let length = fields.optional("length", length);
        let values = fields.optional("values", |node, diagnostics| self.values(node, diagnostics));
        let constant = fields.optional("constant", |node, diagnostics| {
            let text = node.text_not_empty(diagnostics)?;
            // A constant with parts is compared as a whole, a code without them.
            let is_other =
                |values: &ValueSet| !text.contains(['^', '&']) && !values.contains(text.as_bytes());
            if values.as_ref().is_some_and(is_other) {
                diagnostics.push(
                    Diagnostic::error(
                        "profile.values",
                        &node.span,
                        "this is none of the `values` beside it, so that no value would do",
                    )
                    .with_help("remove one of `constant` and `values`, or list the constant there"),
                );
                return None;
            }
            Some(Box::<str>::from(text))
        });
        let format = fields.optional("format", |node, diagnostics| {
            let read = Format::parse(node.text_not_empty(diagnostics)?);
            read.map_err(|help| {
                diagnostics.push(
                    Diagnostic::error("profile.format", &node.span, "this format can't be read")
                        .with_help(help),
                );
            })
            .ok()
        });
        let pattern = fields.optional("pattern", |node, diagnostics| {
            let read = pattern(node.text_not_empty(diagnostics)?);
            read.map_err(|message| {
                diagnostics.push(Diagnostic::error("profile.format", &node.span, message));
            })
            .ok()
        });
        fields.finish().then(|| ElementConstraint {
            name,
            data_type,
            usage,
            cardinality,
            length,
            values: values.map(Arc::new),
            constant,
            format,
            pattern,
            parts: Vec::new(),
        })
    }

    fn data_type(&self, node: &Node, diagnostics: &mut Diagnostics) -> Option<Box<str>> {
        let text = node.text_not_empty(diagnostics)?;
        let versions = self.versions();
        if versions.iter().any(|version| version.data_type(text).is_some()) {
            return Some(text.into());
        }
        let of = |version: &Version| version.data_types().map(|data_type| data_type.name());
        let names: BTreeSet<&str> = versions.iter().flat_map(of).collect();
        diagnostics.push(
            Diagnostic::error(
                "profile.type",
                &node.span,
                format!("{} data type of this name", self.nobody()),
            )
            .with_nearest(nearest(text, names.iter().copied())),
        );
        None
    }

    fn values(&self, node: &Node, diagnostics: &mut Diagnostics) -> Option<ValueSet> {
        if node.as_list().is_some() {
            let codes = node.list_of(diagnostics, code)?;
            if codes.is_empty() {
                diagnostics.push(
                    Diagnostic::error("profile.values", &node.span, "this list is empty")
                        .with_help(
                            "list the codes, or remove the line; `usage: X` forbids the field",
                        ),
                );
                return None;
            }
            return Some(ValueSet::listed(codes));
        }
        if node.as_map().is_none() {
            node.one_of(&["any"], diagnostics)?;
            return Some(ValueSet::any());
        }
        let mut fields = Fields::of(node, "values", diagnostics)?;
        let list = |node: &Node, diagnostics: &mut Diagnostics| node.list_of(diagnostics, code);
        let values = match fields.exactly_one(&["table", "codes"])? {
            ("table", node) => {
                let with = fields.optional("with", list).unwrap_or_default();
                let without = fields.optional("without", list).unwrap_or_default();
                let table = self.table(node, fields.diagnostics());
                table.map(|table| {
                    let codes = |codes: Vec<Box<str>>| codes.into_iter().collect();
                    ValueSet::standard(table, codes(with), codes(without))
                })
            }
            (_, node) => self.code_table(node, fields.diagnostics()),
        };
        let allows_none = |values: &&ValueSet| {
            let mut codes = values.table().into_iter().flat_map(|table| table.codes());
            values.with().is_empty()
                && codes
                    .all(|code| code.code() == NO_CODE || values.without().contains(code.code()))
        };
        if let Some(values) = values.as_ref().filter(allows_none)
            && let ValueSource::Standard(number) = values.source()
        {
            fields.diagnostics().push(
                Diagnostic::error(
                    "profile.values",
                    &node.span,
                    format!("table {number} lists no codes, so that no value would do"),
                )
                .with_help(format!(
                    "give the codes beside it, as in `{{ table: {number}, with: [N1, N2] }}`, or list them: `values: [N1, N2]`"
                )),
            );
        }
        fields.finish().then_some(values?)
    }

    fn table(&self, node: &Node, diagnostics: &mut Diagnostics) -> Option<crate::table::Table> {
        let text = node.text_not_empty(diagnostics)?;
        let number = TableNumber::parse(text).filter(|number| number.get() != NO_TABLE);
        let table = number.and_then(|number| {
            self.versions().iter().rev().find_map(|version| version.table(number))
        });
        if table.is_none() {
            let message = match self.is_version_known {
                true => format!("version {} has no such table", self.profile.version),
                false => "no version of HL7 v2 has such a table".to_owned(),
            };
            diagnostics.push(
                Diagnostic::error("profile.values", &node.span, message)
                    .with_help("write the number of an HL7 table, as in `table: 0001`; for a code table of this project write `codes: NAME`"),
            );
        }
        table
    }

    fn code_table(&self, node: &Node, diagnostics: &mut Diagnostics) -> Option<ValueSet> {
        let name = node.text_not_empty(diagnostics)?;
        let Some(codes) = self.tables.codes(name) else {
            let names = self.tables.names();
            diagnostics.push(
                Diagnostic::error("profile.values", &node.span, "there is no such code table")
                    .with_nearest(nearest(name, names.iter().map(String::as_str)))
                    .with_help(format!(
                        "add the file `tables/{name}.csv`, with the codes in its first column"
                    )),
            );
            return None;
        };
        if codes.len() > CODES_MAX {
            let message = format!("a value set has at most {CODES_MAX} codes");
            diagnostics.push(Diagnostic::error("profile.values", &node.span, message));
            return None;
        }
        Some(ValueSet::code_table(name, codes))
    }
}

fn code(node: &Node, diagnostics: &mut Diagnostics) -> Option<Box<str>> {
    node.text_not_empty(diagnostics).map(Box::from)
}
