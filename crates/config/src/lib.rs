//! Reads the configuration files of a project directory: text in, trees with positions and diagnostics out.
//!
//! What it is for: every file that a person writes for Pipehat (`pipehat.yaml`, `channels/*.yaml`) goes through
//! this one layer, so that every mistake becomes an error with file, line, column, an excerpt and a suggestion
//! that an interface analyst understands, and so that all mistakes of a file are told at once.
//!
//! What it guarantees:
//! * Scalars are kept exactly as written. `NO`, `010` and `1e3` mean something only when a typed reader asks.
//! * No input panics, and time and memory are bounded ([`Limits`]); aliases count as what they expand to.
//! * Substitution of `${NAME}` happens on scalars of the finished tree and cannot change its structure.
//! * No error text and no `Debug` output holds a substituted value or a secret.
//!
//! What it refuses to do: it reads no file, no environment and no secret store; the caller hands in the text and
//! an [`Environment`].
//!
//! # The way through
//! ```
//! use pipehat_config::{Diagnostics, Fields, Node, SourceFile};
//!
//! let file = SourceFile::new("channels/adt-in.yaml", "mllp:\n  listen: 0.0.0.0:2575\n  lisen: 3\n");
//! let mut diagnostics = Diagnostics::new();
//! let node = Node::parse(&file, &mut diagnostics).expect("the text is YAML");
//! let mut fields = Fields::of(&node, "channel", &mut diagnostics).expect("the tree is a map");
//! let listen = fields.required("mllp", |node, diagnostics| {
//!     let mut mllp = Fields::of(node, "mllp", diagnostics)?;
//!     let listen = mllp.required("listen", |node, diagnostics| node.address(diagnostics));
//!     mllp.finish();
//!     listen
//! });
//! fields.finish();
//! assert_eq!(listen.map(|listen| listen.port()), Some(2575));
//! assert_eq!(diagnostics.iter().next().map(|diagnostic| diagnostic.code), Some("config.unknown-key"));
//! ```

mod address;
mod codes;
mod diagnostic;
mod environment;
mod excerpt;
mod fields;
mod nearest;
mod node;
mod parse;
mod quantity;
mod read;
mod scalar_positions;
mod schema;
mod secret;
mod settings;
mod source;
mod syntax;
mod width;

pub use address::Address;
pub use codes::{CODES, CodeDescription};
pub use diagnostic::{
    DIAGNOSTICS_MAX, Diagnostic, DiagnosticRecord, Diagnostics, Label, LabelRecord, Location,
    Severity,
};
pub use environment::{Environment, NoEnvironment, SUBSTITUTED_BYTES_MAX};
pub use excerpt::{Colour, Excerpt};
pub use fields::Fields;
pub use nearest::nearest;
pub use node::{Key, Map, Node, Scalar, ScalarStyle, Value};
pub use parse::Limits;
pub use quantity::DURATION_MAX;
pub use read::DurationOrWord;
pub use schema::{FieldSchema, Kind, Misplaced, Required, schema_mistakes};
pub use secret::{SecretReference, SecretText};
pub use settings::{Setting, Settings};
pub use source::{LineColumn, SourceFile, Span};
