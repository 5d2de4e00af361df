//! Fits a value to the fields, and collects everything that does not fit.

use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::fields::Fields;
use crate::error::Problems;

/// More misfits than this are not listed.
const LIMIT: usize = 100;

/// How serde's message about a field that does not exist begins.
const UNKNOWN: &str = "unknown field";

/// What fitted, and what did not.
pub(super) struct Fitted {
    pub(super) fields: Fields,
    pub(super) misfits: Problems,
    /// The fields that are there, but could not be read.
    pub(super) unread: Vec<String>,
}

/// Reads what fits and lists what does not.
///
/// serde stops at the first misfit. Each field may be left out, so the misfit is taken away and the rest read again.
pub(super) fn fit(mut value: Value) -> Fitted {
    let (mut misfits, mut unread) = (Problems::default(), Vec::new());
    for _ in 0..LIMIT {
        let error = match serde_path_to_error::deserialize::<_, Fields>(&value) {
            Ok(fields) => return Fitted { fields, misfits, unread },
            Err(error) => error,
        };
        let path = error.path().clone();
        let (place, taken) = take(&mut value, &path);
        let message = error.into_inner().to_string();
        if !message.starts_with(UNKNOWN) {
            unread.push(place.clone());
        }
        misfits.push(place, describe(&message, taken.as_ref().unwrap_or(&value)));
        if taken.is_none() {
            break;
        }
    }
    Fitted { fields: Fields::default(), misfits, unread }
}

/// Takes the misfit out of the value. Of a list the whole: the places of the others would move.
fn take(value: &mut Value, path: &Path) -> (String, Option<Value>) {
    let mut names: Vec<&str> = Vec::new();
    for segment in path {
        match segment {
            Segment::Map { key } => names.push(key),
            Segment::Enum { .. } => {}
            Segment::Seq { .. } | Segment::Unknown => break,
        }
    }
    let Some((last, parents)) = names.split_last() else {
        return ("configuration".to_owned(), None);
    };
    let place = path.to_string();
    let mut parent = Some(value);
    for name in parents {
        parent = parent.and_then(|value| value.get_mut(name));
    }
    let taken = parent.and_then(Value::as_object_mut).and_then(|parent| parent.remove(*last));
    (place, taken)
}

/// What was found and what was expected. serde's own words quote the value that was found, which may be a secret.
fn describe(message: &str, found: &Value) -> String {
    // The last one: the value that stands before it may hold the word as well.
    let expected = message.rsplit_once("expected ").map_or("something else", |(_, expected)| expected);
    if message.starts_with(UNKNOWN) {
        return format!("there is no such field; expected {expected}");
    }
    if message.starts_with("missing field") {
        return message.to_owned();
    }
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    };
    if message.starts_with("unknown variant") {
        return format!("found {found} that is none of the known words; expected {expected}");
    }
    // serde calls a table by the name of our type.
    let expected = if expected.starts_with("struct ") { "a table of fields" } else { expected };
    format!("found {found}; expected {expected}")
}
