//! A JSON body as a tree: the names of its members, and its values redacted.

use std::{fmt, fmt::Write};

use serde_json::{Map, Value};

use super::redaction::{Redaction, Secrets};

/// Shows a line for each member and item, those of others indented below them.
///
/// `is_open` says which members at the top are never secret. They are shown if they are strings, or lists of strings.
pub(super) fn show(
    members: &Map<String, Value>,
    is_open: impl Fn(&str) -> bool,
    secrets: &Secrets,
    redaction: Redaction,
    out: &mut impl Write,
) -> fmt::Result {
    let mut tree = Tree { secrets, redaction, out };
    members.iter().try_for_each(|(name, value)| tree.member(name, value, is_open(name), 0))
}

/// All values that have no others inside, each with its path: `list` and `list[0]` are different ones.
pub(super) fn leaves(members: &Map<String, Value>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    // It ends: parsed JSON is at most 128 levels deep.
    let mut next: Vec<_> = members.iter().rev().map(|(name, value)| (name.clone(), value)).collect();
    while let Some((path, value)) = next.pop() {
        match value {
            Value::Object(members) => {
                next.extend(members.iter().rev().map(|(name, value)| (format!("{path}.{name}"), value)));
            }
            Value::Array(items) => {
                next.extend(items.iter().enumerate().rev().map(|(index, item)| (format!("{path}[{index}]"), item)));
            }
            leaf => found.push((path, plain(leaf))),
        }
    }
    found
}

/// A string without quotes, and anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

struct Tree<'a, W> {
    secrets: &'a Secrets,
    redaction: Redaction,
    out: &'a mut W,
}

impl<W: Write> Tree<'_, W> {
    fn member(&mut self, name: &str, value: &Value, is_open: bool, depth: usize) -> fmt::Result {
        write!(self.out, "{:1$}{2}:", "", 2 * depth, self.secrets.text(name))?;
        self.value(value, is_open, depth)
    }

    /// What follows a name or a dash.
    fn value(&mut self, value: &Value, is_open: bool, depth: usize) -> fmt::Result {
        match value {
            Value::Object(members) if !members.is_empty() => {
                writeln!(self.out)?;
                // What an object means is the server's choice, wherever it is.
                members.iter().try_for_each(|(name, value)| self.member(name, value, false, depth + 1))
            }
            Value::Array(items) if !items.is_empty() => {
                writeln!(self.out)?;
                items.iter().try_for_each(|item| {
                    write!(self.out, "{:1$}-", "", 2 * (depth + 1))?;
                    self.value(item, is_open, depth + 1)
                })
            }
            Value::Object(_) | Value::Array(_) => writeln!(self.out, " {value}"),
            leaf if is_open && !self.secrets.are_in(&plain(leaf)) => writeln!(self.out, " {leaf}"),
            leaf => writeln!(self.out, " {}", self.redaction.token(&plain(leaf))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(body: &Value, redaction: Redaction) -> String {
        let mut out = String::new();
        let secrets = redaction.secrets("key=planted-query");
        show(body.as_object().unwrap(), |name| name == "open", &secrets, redaction, &mut out).unwrap();
        out
    }

    #[test]
    fn l38_a_tree_shows_names_and_no_values() {
        let body = json!({
            "open": ["read", { "inside": "planted" }, "planted-query"],
            "auth": { "open": "planted", "list": ["planted", 7, [true]], "none": {}, "planted-query": 1 },
        });
        let out = shown(&body, Redaction::new(false));
        assert!(!out.contains("planted"), "{out}");
        for expected in [
            "open:\n  - \"read\"\n  -\n    inside: [redacted, 7 bytes]\n  - [redacted, 13 bytes]\n",
            "auth:\n",
            "\n  open: [redacted, 7 bytes]\n",
            "\n  list:\n    - [redacted, 7 bytes]\n    - [redacted, 1 bytes]\n    -\n      - [redacted, 4 bytes]\n",
            "\n  none: {}\n",
            "\n  [redacted, 13 bytes]: [redacted, 1 bytes]\n",
        ] {
            assert!(out.contains(expected), "{expected}: {out}");
        }
        assert!(shown(&body, Redaction::new(true)).contains("\n    - planted\n    - 7\n"));
    }

    #[test]
    fn leaves_have_their_paths() {
        let body = json!({ "a": "x", "b": { "c": [1, { "d": "y" }] } });
        let found = leaves(body.as_object().unwrap());
        let expected = [("a", "x"), ("b.c[0]", "1"), ("b.c[1].d", "y")];
        assert_eq!(found, expected.map(|(path, value)| (path.to_owned(), value.to_owned())));
    }
}
