//! Fits a value to the fields, and collects everything that does not fit.

use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

use super::{fields::Fields, table::Table, variables::Variables};
use crate::problem::Problems;

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
/// serde stops at the first misfit. Each field may be left out, so the misfit is taken away and the rest read again. The
/// text of a variable is first read as what the field takes.
pub(super) fn fit(mut value: Value, variables: &Variables) -> Fitted {
    let (mut misfits, mut unread) = (Problems::default(), Vec::new());
    while misfits.iter().count() < LIMIT {
        let error = match serde_path_to_error::deserialize::<_, Table<Fields>>(&value) {
            Ok(Table(fields)) => return Fitted { fields, misfits, unread },
            Err(error) => error,
        };
        let path = error.path().clone();
        let message = error.into_inner().to_string();
        let place = match path.iter().next() {
            Some(Segment::Map { .. }) => path.to_string(),
            _ => "configuration".to_owned(),
        };
        let mut found = find(&mut value, &path);
        if let Some((table, name)) = &mut found
            && let Some(text) = table.get_mut(name)
            && let Some(read) = variables.reread(&place, text, &message)
        {
            // No text any more, so this happens once.
            *text = read;
            continue;
        }
        let taken = found.and_then(|(table, name)| table.remove(&name));
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

/// Where the misfit is, as a table and a name in it. Of a list the whole: the places of the others would move.
fn find<'a>(value: &'a mut Value, path: &Path) -> Option<(&'a mut Map<String, Value>, String)> {
    let mut names: Vec<&str> = Vec::new();
    for segment in path {
        match segment {
            Segment::Map { key } => names.push(key),
            Segment::Enum { .. } => {}
            Segment::Seq { .. } | Segment::Unknown => break,
        }
    }
    let (last, parents) = names.split_last()?;
    let parent = parents.iter().try_fold(value, |value, name| value.get_mut(name))?;
    Some((parent.as_object_mut()?, (*last).to_owned()))
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
    format!("found {found}; expected {expected}")
}
