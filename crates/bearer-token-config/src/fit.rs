//! Fits a value to the fields, and reports everything that does not fit.

use std::borrow::Cow;

use bearer_token::{Advice, Problem, Setting};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

use crate::{
    report::Report,
    sections::Fields,
    suggest,
    values::{ORIGINS, table::Table},
    variables::EnvVariables,
};

/// More misfits than this are not listed.
const LIMIT: usize = 100;

/// More fields of a table are not listed.
const LISTED: usize = 8;

/// The path of a problem with the configuration as a whole.
pub(crate) const ROOT: &str = "configuration";

/// What is found where a field does not exist.
pub(crate) const UNKNOWN_FIELD: &str = "found a field that does not exist";

/// Reads what fits and reports what does not.
///
/// serde stops at the first misfit. As each field may be left out, the misfit is removed and the rest read again. The
/// string of a variable is first read as the type that the field takes.
pub(crate) fn fit(mut value: Value, variables: &EnvVariables, report: &mut Report) -> Fields {
    let start = report.len();
    while report.len() < start + LIMIT {
        let error = match serde_path_to_error::deserialize::<_, Table<Fields>>(&value) {
            Ok(Table(fields)) => return fields,
            Err(error) => error,
        };
        let path = error.path().clone();
        let message = error.into_inner().to_string();
        let place = match path.iter().next() {
            Some(Segment::Map { .. }) => path.to_string(),
            _ => ROOT.to_owned(),
        };
        let mut found = find(&mut value, &path);
        if let Some((table, name)) = &mut found
            && let Some(text) = table.get_mut(name)
            && let Some(read) = variables.reread(&place, text, &message)
        {
            // It is no longer a string, so this happens once.
            *text = read;
            continue;
        }
        let taken = found.and_then(|(table, name)| table.remove(&name));
        let problem = describe(&place, &message, taken.as_ref().unwrap_or(&value));
        if message.starts_with("unknown field") {
            // A value whose only member has a wrong name does not lack one too.
            if let Some((parent, _)) = place.rsplit_once('.')
                && lacks_origin(&value, parent)
            {
                report.add_meant(parent);
            }
            // What was probably meant is not missing too.
            for advice in problem.advice() {
                if let Advice::DidYouMean(Setting::Field(field)) = advice
                    && !has(&value, field)
                {
                    report.add_meant(field);
                }
            }
            report.add(problem);
        } else {
            report.add_unread(problem);
        }
        if taken.is_none() {
            break;
        }
    }
    Fields::default()
}

/// Reads a value whose type depends on other fields. `place` is its path.
pub(crate) fn read<T: DeserializeOwned>(place: &str, value: &Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let inside: Vec<_> = error.path().iter().map(ToString::to_string).collect();
        let found = inside.iter().try_fold(value, |value, name| value.get(name)).unwrap_or(value);
        let place = [&[place.to_owned()], inside.as_slice()].concat().join(".");
        describe(&place, &error.inner().to_string(), found)
    })
}

/// Whether a field is present.
fn has(value: &Value, field: &str) -> bool {
    at(value, field).is_some()
}

fn at<'a>(value: &'a Value, field: &str) -> Option<&'a Value> {
    field.split('.').try_fold(value, |value, name| value.get(name))
}

/// Whether a field is the table of a value, and does not say where the value is.
fn lacks_origin(value: &Value, field: &str) -> bool {
    let is_without = |table: &Map<String, Value>| !ORIGINS.iter().any(|origin| table.contains_key(*origin));
    at(value, field).and_then(Value::as_object).is_some_and(is_without)
        && suggest::accepts(&suggest::segments(field), "a string".into())
}

/// The table that contains the misfit, and the misfit's name in it. For a misfit in a list, this is the whole list,
/// because removing one element would change the indexes of the others.
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

/// The problem with what was found. serde's own message is not used: it quotes the value, which may be a secret.
fn describe(place: &str, message: &str, found: &Value) -> Problem {
    if message.starts_with("unknown field") {
        let (parent, name) = place.rsplit_once('.').unwrap_or(("", place));
        let advice = suggest::field(parent, name);
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
        let name = suggest::quoted(message).next().unwrap_or_default();
        return Problem::new(place, format!("found no `{name}`, which this table needs"));
    }
    if message.starts_with("unknown variant") {
        let known = message.rsplit_once("expected ").map_or("", |(_, known)| known);
        let problem = Problem::new(place, "found another string").expecting(expected(message));
        let near = found.as_str().and_then(|word| suggest::nearest(word, suggest::quoted(known)));
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
    let advice = simple_change(found, &expected).map(Advice::text).or_else(|| contents(place, found, &expected));
    advice.into_iter().fold(Problem::new(place, kind(found)).expecting(expected), Problem::advise)
}

/// What belongs into the table that was expected.
fn contents(place: &str, found: &Value, expected: &str) -> Option<Advice> {
    match (expected, found) {
        ("a table", Value::String(_) | Value::Array(_)) => {
            Some(Advice::text("write each of them with its name: `{ NAME = \"..\" }`"))
        }
        ("a table of fields", Value::String(_)) => {
            let names = suggest::names_in(&suggest::segments(place)).filter(|names| !names.is_empty())?;
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
    let string = found.as_str()?;
    let is_quoted = match expected {
        "`true` or `false`" => ["true", "false"].contains(&string),
        _ => expected.starts_with("a number") && string.parse::<f64>().is_ok(),
    };
    if is_quoted {
        return Some("write it without quotes");
    }
    let has_unit = expected.starts_with("a number") && starts_with_number(string);
    has_unit.then_some("write the number alone, without quotes and unit")
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
