//! Fits a value to the fields, and reports everything that does not fit.

use bearer_token::{Advice, Setting};
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

use crate::{
    field_tree::segments,
    misfit,
    report::{ROOT, Report},
    sections::{FIELDS, Fields},
    several,
    values::{ORIGINS, table::Table},
    variables::EnvVariables,
};

/// More misfits than this are not listed.
const LIMIT: usize = 100;

/// Reads what fits and reports what does not.
///
/// serde stops at the first misfit. As each field may be left out, the misfit is removed and the rest read again. The
/// string of a variable is first read as the type that the field takes.
pub(crate) fn fit(mut value: Value, variables: &EnvVariables, report: &mut Report) -> Fields {
    several::report(&mut value, variables, report);
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
        let problem = misfit::describe(FIELDS, &place, &message, taken.as_ref().unwrap_or(&value));
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
        && FIELDS.accepts(&segments(field), "a string".into())
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
