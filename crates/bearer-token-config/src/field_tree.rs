//! The fields of a configuration, as serde tells them.
//!
//! What serde says about a value at a path shows which fields are there, and what they take. So no list of fields has to
//! be kept beside the structs.

use serde::de::DeserializeOwned;
use serde_json::{Error, Map, Value};

use crate::values::table::Table;

/// The tree of all fields, known only by reading values into it.
#[derive(Clone, Copy)]
pub(crate) struct FieldTree(fn(Value) -> Result<(), Error>);

impl FieldTree {
    /// The tree whose root is this struct.
    pub(crate) const fn of<F: DeserializeOwned>() -> Self {
        FieldTree(|value| serde_json::from_value::<Table<F>>(value).map(drop))
    }

    /// Whether the field at this path takes this value.
    pub(crate) fn accepts(self, path: &[String], value: Value) -> bool {
        (self.0)(at(path, value)).is_ok()
    }

    /// The paths of all fields. Members with names of the user's choice are not among them, nor are the parts of secrets.
    pub(crate) fn all_fields(self) -> Vec<String> {
        let (mut found, mut next) = (Vec::new(), vec![Vec::<String>::new()]);
        while let Some(path) = next.pop() {
            if !path.is_empty() {
                found.push(path.join("."));
            }
            if path.is_empty() || !self.accepts(&path, "a string".into()) {
                let names = self.names_in(&path).unwrap_or_default();
                next.extend(names.into_iter().rev().map(|name| [path.as_slice(), &[name]].concat()));
            }
        }
        found
    }

    /// The names of the fields in a table, as serde lists them when it finds another one.
    pub(crate) fn names_in(self, table: &[String]) -> Option<Vec<String>> {
        let unknown = Value::Object(Map::from_iter([(String::new(), Value::Null)]));
        let error = (self.0)(at(table, unknown)).err()?;
        let message = error.to_string();
        message.starts_with("unknown field").then(|| quoted(&message).skip(1).map(str::to_owned).collect())
    }
}

/// What is in backticks in a message of serde's.
pub(crate) fn quoted(message: &str) -> impl Iterator<Item = &str> {
    message.split('`').skip(1).step_by(2)
}

fn at(path: &[String], value: Value) -> Value {
    path.iter().rev().fold(value, |value, name| Value::Object(Map::from_iter([(name.clone(), value)])))
}

pub(crate) fn segments(path: &str) -> Vec<String> {
    path.split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
