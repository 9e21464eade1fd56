//! Reading a JSON Patch document (RFC 6902 §3, §4), or one of JSON Merge Patch (RFC 7396).

use super::error::{PatchError, PatchProblem};
use super::pointer::Pointer;
use crate::json::{Object, Value};

/// Operations in one patch.
pub const OPERATIONS_MAX: usize = 1000;

/// A JSON Patch, or a JSON Merge Patch as its one operation.
#[derive(Debug, Clone)]
pub struct Patch {
    pub(super) operations: Vec<Operation>,
}

#[derive(Debug, Clone)]
pub(super) enum Operation {
    Add { path: Pointer, value: Value },
    Remove { path: Pointer },
    Replace { path: Pointer, value: Value },
    Move { from: Pointer, path: Pointer },
    Copy { from: Pointer, path: Pointer },
    Test { path: Pointer, value: Value },
    Merge { members: Object },
}

impl Patch {
    /// Reads a document: an array is a JSON Patch, an object a JSON Merge Patch. Members that RFC 6902 does not know
    /// are passed over, as it asks.
    ///
    /// # Errors
    /// What is no patch, and which operation is none.
    pub fn read(document: &Value) -> Result<Self, PatchError> {
        if let Some(members) = document.as_object() {
            return Ok(Self { operations: vec![Operation::Merge { members: members.clone() }] });
        }
        let operations = document.as_array().ok_or(PatchProblem::NotAnArray)?;
        if operations.len() > OPERATIONS_MAX {
            return Err(PatchProblem::TooManyOperations.into());
        }
        let operations = operations.iter().enumerate().map(|(position, operation)| {
            read(operation).map_err(|problem| PatchError { operation: Some(position + 1), problem })
        });
        Ok(Self { operations: operations.collect::<Result<_, _>>()? })
    }

    /// How many operations it has.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }
}

fn read(operation: &Value) -> Result<Operation, PatchProblem> {
    if operation.as_object().is_none() {
        return Err(PatchProblem::NotAnObject);
    }
    let text = |name: &'static str| {
        let value = operation.get(name).ok_or(PatchProblem::Missing(name))?;
        value.as_str().ok_or(PatchProblem::NotAString(name))
    };
    let pointer =
        |name: &'static str| Pointer::parse(text(name)?).ok_or(PatchProblem::Pointer(name));
    let value = || operation.get("value").cloned().ok_or(PatchProblem::Missing("value"));
    let name = text("op")?;
    if !["add", "remove", "replace", "move", "copy", "test"].contains(&name) {
        return Err(PatchProblem::UnknownOperation);
    }
    let path = pointer("path")?;
    Ok(match name {
        "add" => Operation::Add { path, value: value()? },
        "remove" => Operation::Remove { path },
        "replace" => Operation::Replace { path, value: value()? },
        "move" => Operation::Move { from: pointer("from")?, path },
        "copy" => Operation::Copy { from: pointer("from")?, path },
        _ => Operation::Test { path, value: value()? },
    })
}
