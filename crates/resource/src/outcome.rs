//! What went wrong, or what was found: issues, and the OperationOutcome that carries them.
//!
//! An issue says what and where. Its text never holds a value of the resource, for outcomes are logged and shown.
//!
//! ```
//! use pipehat_resource::outcome::{Issue, IssueCode, operation_outcome};
//!
//! let issue = Issue::error(IssueCode::NotFound, "there is no Patient of this id");
//! assert_eq!(
//!     operation_outcome(&[issue]).to_json(),
//!     r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found","details":{"text":"there is no Patient of this id"}}]}"#
//! );
//! ```

use crate::json::{Object, Place, Step, Value, place_of};

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// Of what kind it is.
    pub code: IssueCode,
    /// What it is, for people.
    pub text: String,
    /// The invariant that is broken: `pat-1`.
    pub rule: Option<&'static str>,
    /// Where in the resource: `Patient.contact[0].gender`, indexes from 0 as in FHIRPath.
    pub expression: Option<String>,
    /// Where in its JSON.
    pub path: Vec<PathStep>,
    /// Where in its text, once [`locate`] has looked.
    pub place: Option<Place>,
}

/// One step into the JSON of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathStep {
    /// The member of an object.
    Member(String),
    /// The item of an array, from 0.
    Item(usize),
}

/// How bad an issue is (`issue-severity`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing to worry about.
    Information,
    /// It deserves a look.
    Warning,
    /// What was asked for can't be done, or what was sent is not valid.
    Error,
    /// Nothing more could be checked.
    Fatal,
}

/// Declares the issue codes with their names.
macro_rules! issue_codes {
    ($($variant:ident $code:literal $meaning:literal,)*) => {
        /// Of what kind an issue is (`issue-type`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum IssueCode {
            $(#[doc = $meaning] $variant,)*
        }

        impl IssueCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }
        }
    };
}

issue_codes! {
    Invalid "invalid" "The content is not valid.",
    Structure "structure" "Its structure is wrong: JSON that can't be read, an unknown element.",
    Required "required" "Something that must be there is not.",
    Value "value" "A value is not of its type's form.",
    Invariant "invariant" "A rule is broken.",
    Security "security" "Who asks may not, or is not known.",
    Login "login" "Who asks must sign in first.",
    Unknown "unknown" "Who asks is not known.",
    Expired "expired" "The session is over.",
    Forbidden "forbidden" "Who asks does not have the rights.",
    Suppressed "suppressed" "Something was left out because of who asks.",
    Processing "processing" "The processing failed.",
    NotSupported "not-supported" "This is not supported.",
    Duplicate "duplicate" "It is there already.",
    MultipleMatches "multiple-matches" "More than one matches where one may.",
    NotFound "not-found" "It is not there.",
    Deleted "deleted" "It was deleted.",
    TooLong "too-long" "It is too long.",
    CodeInvalid "code-invalid" "A code is not one that may stand there.",
    Extension "extension" "An extension is not acceptable.",
    TooCostly "too-costly" "It would take too much.",
    BusinessRule "business-rule" "A rule of the business is broken.",
    Conflict "conflict" "It was changed by somebody else.",
    Transient "transient" "It may succeed when it is tried again.",
    LockError "lock-error" "A lock was not to be had.",
    NoStore "no-store" "The store is not available.",
    Exception "exception" "Something unexpected happened.",
    Timeout "timeout" "It took too long.",
    Incomplete "incomplete" "Not everything was done.",
    Throttled "throttled" "Too much is asked for at once.",
    Informational "informational" "Just to tell.",
}

impl Severity {
    /// The code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}

impl Issue {
    /// An issue about nothing in particular. The text must not hold values of a patient.
    pub fn new(severity: Severity, code: IssueCode, text: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            text: text.into(),
            rule: None,
            expression: None,
            path: Vec::new(),
            place: None,
        }
    }

    /// An error.
    pub fn error(code: IssueCode, text: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, text)
    }

    /// A warning.
    pub fn warning(code: IssueCode, text: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, text)
    }

    /// Something to tell.
    pub fn information(text: impl Into<String>) -> Self {
        Self::new(Severity::Information, IssueCode::Informational, text)
    }

    /// Says where in the resource, or in the request (`http.query.name`) it is.
    #[must_use]
    pub fn at(mut self, expression: impl Into<String>) -> Self {
        self.expression = Some(expression.into());
        self
    }

    /// Whether it is an error, or worse.
    pub fn is_error(&self) -> bool {
        self.severity >= Severity::Error
    }

    fn to_value(&self) -> Value {
        let mut issue = Object::new();
        issue.set("severity", self.severity.as_str().into());
        issue.set("code", self.code.as_str().into());
        let mut details = Object::new();
        if let Some(rule) = self.rule {
            let coding: Object = [("code", Value::from(rule))].into_iter().collect();
            details.set("coding", vec![coding.into()].into());
        }
        details.set("text", self.text.as_str().into());
        issue.set("details", details.into());
        if let Some(place) = self.place {
            let text = format!("line {}, column {}", place.line, place.column);
            issue.set("location", vec![text.into()].into());
        }
        if let Some(expression) = &self.expression {
            issue.set("expression", vec![expression.as_str().into()].into());
        }
        issue.into()
    }
}

/// The OperationOutcome of these issues, errors before all others, for many show the first only; of none, one that says that all is well, for an outcome has at least one.
pub fn operation_outcome(issues: &[Issue]) -> Value {
    let issues = if issues.is_empty() {
        vec![Issue::information("All OK").to_value()]
    } else {
        let (errors, others): (Vec<&Issue>, Vec<&Issue>) =
            issues.iter().partition(|issue| issue.is_error());
        errors.into_iter().chain(others).map(Issue::to_value).collect()
    };
    let members = [("resourceType", Value::from("OperationOutcome")), ("issue", issues.into())];
    members.into_iter().collect::<Object>().into()
}

/// Looks up the line and column of each issue with a path, in the JSON text that the resource was read from.
pub fn locate(issues: &mut [Issue], text: &str) {
    for issue in issues.iter_mut().filter(|issue| !issue.path.is_empty()) {
        let steps: Vec<Step<'_>> = issue
            .path
            .iter()
            .map(|step| match step {
                PathStep::Member(name) => Step::Member(name),
                PathStep::Item(position) => Step::Item(*position),
            })
            .collect();
        issue.place = Some(place_of(text, &steps));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::CodeSystem;
    use crate::validate::{Checks, validate};

    #[test]
    fn an_outcome_says_what_and_where() {
        let text = "{\n  \"resourceType\": \"Patient\",\n  \"active\": 1\n}";
        let mut issue = Issue::error(IssueCode::Value, "expected a boolean").at("Patient.active");
        issue.path = vec![PathStep::Member("active".to_owned())];
        issue.rule = Some("xyz-1");
        let mut issues = [issue, Issue::information("done")];
        locate(&mut issues, text);
        assert_eq!(
            operation_outcome(&issues).to_json(),
            "{\"resourceType\":\"OperationOutcome\",\"issue\":[{\"severity\":\"error\",\"code\":\"value\",\
             \"details\":{\"coding\":[{\"code\":\"xyz-1\"}],\"text\":\"expected a boolean\"},\
             \"location\":[\"line 3, column 13\"],\"expression\":[\"Patient.active\"]},\
             {\"severity\":\"information\",\"code\":\"informational\",\"details\":{\"text\":\"done\"}}]}"
        );
    }

    #[test]
    fn an_outcome_is_valid_and_never_empty() {
        let outcome = operation_outcome(&[]);
        assert_eq!(outcome.items("issue").len(), 1);
        assert_eq!(validate(&outcome, Checks::All), []);
        for code in IssueCode::ALL {
            let outcome = operation_outcome(&[Issue::error(*code, "x").at("Patient.name[0]")]);
            assert_eq!(validate(&outcome, Checks::All), [], "{}", code.as_str());
        }
    }

    #[test]
    fn the_codes_are_those_of_the_code_system() {
        let system = CodeSystem::named("http://hl7.org/fhir/issue-type").expect("it is carried");
        assert_eq!(system.concepts().len(), IssueCode::ALL.len());
        for code in IssueCode::ALL {
            assert!(system.concept(code.as_str()).is_some(), "{}", code.as_str());
        }
    }
}
