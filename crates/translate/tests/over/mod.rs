//! What comes of an entry over what stands.

use pipehat_resource::json::Value;
use pipehat_resource::kept::Keeps;
use pipehat_resource::validate::{Checks, validate};

/// What a server that knows the mark of an entry stores. Told once more, it changes nothing.
#[track_caller]
pub(crate) fn taken_over(keeps: &Keeps, standing: &Value, told: &Value) -> Value {
    let mut merged = told.clone();
    keeps.take_over(standing, &mut merged, &|_| None);
    for issue in validate(&merged, Checks::All) {
        assert!(!issue.is_error(), "{:?} {}", issue.expression, issue.text);
    }
    let mut again = told.clone();
    keeps.take_over(&merged, &mut again, &|_| None);
    assert_eq!(again.to_json(), merged.to_json(), "told once more, nothing changes");
    merged
}
