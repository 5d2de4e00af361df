//! What is wrong with a value that does not fit a field, without the value itself.

use std::borrow::Cow;

use bearer_token::{Advice, Problem, Setting};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    field_tree::{self, FieldTree},
    nearest::nearest,
    report::UNKNOWN_FIELD,
    suggest,
};

/// More fields of a table are not listed.
const LISTED: usize = 8;

/// Reads a value whose type depends on other fields. `place` is its path.
pub(crate) fn read<T: DeserializeOwned>(tree: FieldTree, place: &str, value: &Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let inside: Vec<_> = error.path().iter().map(ToString::to_string).collect();
        let found = inside.iter().try_fold(value, |value, name| value.get(name)).unwrap_or(value);
        let place = [&[place.to_owned()], inside.as_slice()].concat().join(".");
        describe(tree, &place, &error.inner().to_string(), found)
    })
}

/// The problem with what was found. serde's own message is not used: it quotes the value, which may be a secret.
pub(crate) fn describe(tree: FieldTree, place: &str, message: &str, found: &Value) -> Problem {
    if message.starts_with("unknown field") {
        let (parent, name) = place.rsplit_once('.').unwrap_or(("", place));
        let advice = suggest::field(tree, parent, name);
        let problem = match &advice {
            // In TOML, a field below a `[table]` belongs to that table.
            Some(Advice::DidYouMean(Setting::Field(field))) if !parent.is_empty() && !field.contains('.') => {
                Problem::new(place, "found a field of the whole configuration inside a table")
                    .expecting("it before the first table")
            }
            _ => Problem::new(place, UNKNOWN_FIELD).expecting(expected(message)),
        };
        return advice.into_iter().fold(problem, Problem::advise);
    }
    if message.starts_with("missing field") {
        let name = field_tree::quoted(message).next().unwrap_or_default();
        return Problem::new(place, format!("found no `{name}`, which this table needs"));
    }
    if message.starts_with("unknown variant") {
        let known = message.rsplit_once("expected ").map_or("", |(_, known)| known);
        let problem = Problem::new(place, "found another string").expecting(expected(message));
        let near = found.as_str().and_then(|word| nearest(word, field_tree::quoted(known)));
        return match near {
            Some(near) => problem.advise(Advice::text(format!("did you mean `{near}`?"))),
            None => problem,
        };
    }
    // Our own types tell both.
    if let Some((own, expected)) = message.split_once("; expected ").filter(|_| message.starts_with("found ")) {
        return Problem::new(place, own.to_owned()).expecting(expected.to_owned());
    }
    let expected = expected(message);
    let advice = simple_change(found, &expected).map(Advice::text).or_else(|| contents(tree, place, found, &expected));
    advice.into_iter().fold(Problem::new(place, kind(found)).expecting(expected), Problem::advise)
}

/// What belongs into the table that was expected.
fn contents(tree: FieldTree, place: &str, found: &Value, expected: &str) -> Option<Advice> {
    match (expected, found) {
        ("a table", Value::String(_) | Value::Array(_)) => {
            Some(Advice::text("write each of them with its name: `{ NAME = \"..\" }`"))
        }
        ("a table of fields", Value::String(_)) => {
            let names = tree.names_in(&field_tree::segments(place)).filter(|names| !names.is_empty())?;
            let list: Vec<_> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
            let rest = if names.len() > LISTED { " and others" } else { "" };
            Some(Advice::text(format!("its fields are {}{rest}", list.join(", "))))
        }
        _ => None,
    }
}

/// The change that makes a string or a number what was expected, if there is one.
fn simple_change(found: &Value, expected: &str) -> Option<&'static str> {
    if expected == "a list" && !found.is_object() {
        return Some("put it between `[` and `]`");
    }
    if expected == "`true` or `false`" {
        return switch(found);
    }
    let string = found.as_str()?;
    if !expected.starts_with("a number") {
        return None;
    }
    if string.parse::<f64>().is_ok() {
        return Some("write it without quotes");
    }
    starts_with_number(string).then_some("write the number alone, without quotes and unit")
}

/// The change that makes another word for a switch, or a number, what was expected.
fn switch(found: &Value) -> Option<&'static str> {
    let word = match found {
        Value::String(word) => word.to_ascii_lowercase(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    match word.as_str() {
        "true" | "false" if found.as_str() == Some(&word) => Some("write it without quotes"),
        "true" | "yes" | "y" | "on" | "1" | "enabled" => Some("write `true`, without quotes"),
        "false" | "no" | "n" | "off" | "0" | "disabled" => Some("write `false`, without quotes"),
        _ => None,
    }
}

/// Whether a string is a number with a unit, such as `60s`.
fn starts_with_number(string: &str) -> bool {
    let number = string.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    number.parse::<f64>().is_ok_and(f64::is_finite)
}

/// What serde expected, in the words of TOML.
fn expected(message: &str) -> Cow<'static, str> {
    // The last one: the value before it may contain the word as well.
    let expected = message.rsplit_once("expected ").map_or("something else", |(_, expected)| expected);
    match expected {
        "a sequence" => "a list".into(),
        "a map" => "a table".into(),
        "a boolean" => "`true` or `false`".into(),
        "path string" => "a path, as a string".into(),
        other => other.to_owned().into(),
    }
}

fn kind(found: &Value) -> &'static str {
    match found {
        Value::Null => "found null",
        Value::Bool(_) => "found a boolean",
        Value::Number(number) if number.as_f64().is_some_and(|number| number < 0.0) => "found a negative number",
        Value::Number(_) => "found a number",
        Value::String(_) => "found a string",
        Value::Array(_) => "found a list",
        Value::Object(_) => "found a table",
    }
}
