//! From TOML to the values that the fields are read from.

use serde_json::{Map, Number, Value};

use crate::problem::Problems;

/// Turns TOML into JSON values. What JSON has no word for is a problem, and left out.
pub(super) fn read(table: toml::Table, misfits: &mut Problems, unread: &mut Vec<String>) -> Value {
    let mut reader = Reader { misfits, unread };
    Value::Object(reader.table("", table))
}

struct Reader<'a> {
    misfits: &'a mut Problems,
    unread: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn table(&mut self, path: &str, table: toml::Table) -> Map<String, Value> {
        let mut members = Map::new();
        for (name, value) in table {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if let Some(value) = self.value(&path, value) {
                members.insert(name, value);
            }
        }
        members
    }

    fn value(&mut self, path: &str, value: toml::Value) -> Option<Value> {
        let found = match value {
            toml::Value::String(text) => return Some(Value::String(text)),
            toml::Value::Integer(number) => return Some(Value::from(number)),
            toml::Value::Boolean(truth) => return Some(Value::Bool(truth)),
            toml::Value::Table(table) => return Some(Value::Object(self.table(path, table))),
            toml::Value::Array(list) => {
                let values = list.into_iter().enumerate();
                return Some(
                    values.filter_map(|(index, value)| self.value(&format!("{path}[{index}]"), value)).collect(),
                );
            }
            toml::Value::Float(number) => match Number::from_f64(number) {
                Some(number) => return Some(Value::Number(number)),
                None => "found a number that is not finite; expected a finite one",
            },
            toml::Value::Datetime(_) => "found a date; expected a string (put it in quotes) or a number",
        };
        self.misfits.push(path, found);
        self.unread.push(path.to_owned());
        None
    }
}
