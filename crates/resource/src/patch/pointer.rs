//! JSON Pointers (RFC 6901).

use super::error::{PatchProblem, Pointed};
use crate::json::Value;

/// A pointer: the names and positions that lead to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    tokens: Vec<String>,
}

impl Pointer {
    /// Reads a pointer. `None` when it is not written as one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self { tokens: Vec::new() });
        }
        let tokens = text.strip_prefix('/')?.split('/').map(unescaped).collect::<Option<_>>()?;
        Some(Self { tokens })
    }

    /// How many steps it takes.
    pub(super) fn depth(&self) -> usize {
        self.tokens.len()
    }

    /// The pointer to what contains the value, and the last step.
    pub(super) fn split(&self) -> Option<(&[String], &str)> {
        let (last, parents) = self.tokens.split_last()?;
        Some((parents, last))
    }

    /// Whether the other leads into what this one leads to.
    pub(super) fn is_above(&self, other: &Self) -> bool {
        self.tokens.len() < other.tokens.len() && other.tokens.starts_with(&self.tokens)
    }

    pub(super) fn find<'v>(&self, root: &'v Value) -> Result<&'v Value, PatchProblem> {
        let mut value = root;
        for (depth, token) in self.tokens.iter().enumerate() {
            value = match value {
                Value::Object(object) => object.get(token),
                Value::Array(items) => items.get(self.position(token, depth)?),
                _ => return Err(PatchProblem::NoContainer(self.shown(depth))),
            }
            .ok_or_else(|| PatchProblem::NotFound(self.shown(depth + 1)))?;
        }
        Ok(value)
    }

    /// What contains the value, to change; `steps` of the pointer lead to it.
    pub(super) fn find_mut<'v>(
        &self,
        root: &'v mut Value,
        steps: usize,
    ) -> Result<&'v mut Value, PatchProblem> {
        let mut value = root;
        for (depth, token) in self.tokens.iter().take(steps).enumerate() {
            value = match value {
                Value::Object(object) => object.get_mut(token),
                Value::Array(items) => items.get_mut(self.position(token, depth)?),
                _ => return Err(PatchProblem::NoContainer(self.shown(depth))),
            }
            .ok_or_else(|| PatchProblem::NotFound(self.shown(depth + 1)))?;
        }
        Ok(value)
    }

    fn position(&self, token: &str, depth: usize) -> Result<usize, PatchProblem> {
        position(token).ok_or_else(|| PatchProblem::Position(self.shown(depth + 1)))
    }

    /// The first steps, as an error shows them.
    pub(super) fn shown(&self, steps: usize) -> Pointed {
        let escaped = self
            .tokens
            .iter()
            .take(steps)
            .map(|token| format!("/{}", token.replace('~', "~0").replace('/', "~1")));
        Pointed::new(&escaped.collect::<String>())
    }
}

fn unescaped(token: &str) -> Option<String> {
    let mut parts = token.split('~');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let mut rest = part.chars();
        plain.push(match rest.next()? {
            '0' => '~',
            '1' => '/',
            _ => return None,
        });
        plain.push_str(rest.as_str());
    }
    Some(plain)
}

/// The position a token names: `0`, or digits that begin with another (RFC 6901 §4).
pub(super) fn position(token: &str) -> Option<usize> {
    let is_plain = token.bytes().all(|byte| byte.is_ascii_digit())
        && (token == "0" || !token.starts_with('0'));
    if is_plain { token.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn the_examples_of_rfc_6901() {
        let root = json::parse(
            br#"{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8}"#,
        )
        .expect("the sample is JSON");
        for (pointer, expected) in [
            ("/foo", r#"["bar","baz"]"#),
            ("/foo/0", "\"bar\""),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
        ] {
            let found = Pointer::parse(pointer).expect(pointer);
            assert_eq!(found.find(&root).map(Value::to_json).as_deref(), Ok(expected), "{pointer}");
            assert_eq!(found.shown(9).to_string(), pointer);
        }
        let whole = Pointer::parse("").expect("a pointer");
        assert_eq!(whole.find(&root), Ok(&root));
        assert_eq!(
            Pointer::parse("/~01").map(|pointer| pointer.tokens),
            Some(vec!["~1".to_owned()])
        );
        for text in ["foo", "/~", "/~2", "/a~"] {
            assert_eq!(Pointer::parse(text), None, "{text}");
        }
    }

    #[test]
    fn positions_are_plain_digits() {
        assert_eq!((position("0"), position("10")), (Some(0), Some(10)));
        for token in ["", "00", "01", "-1", "+1", "1 ", "-", "1e0", "99999999999999999999999"] {
            assert_eq!(position(token), None, "{token}");
        }
    }
}
