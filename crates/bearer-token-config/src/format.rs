//! Configuration files: TOML and JSON.

use std::{io, path::Path};

use bearer_token::{Error, Problem};
use serde_json::{Map, Number, Value};
use zeroize::Zeroizing;

use crate::report::Report;

/// Reads a file: JSON if its name ends in `.json`, otherwise TOML.
pub(crate) fn load(path: &Path, report: &mut Report) -> Result<Value, Error> {
    let shown = path.display();
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    if extension == "yaml" || extension == "yml" {
        return Err(config(format!(
            "the configuration file `{shown}` is YAML; expected TOML, or JSON in a file whose name ends in `.json`"
        )));
    }
    let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "; expected a file that exists; a relative path begins in the current directory",
            _ => "",
        };
        config(format!("the configuration file `{shown}` cannot be read: {error}{hint}")).with_source(error)
    })?;
    let value = if extension == "json" { from_json(&text) } else { from_toml(&text, report) };
    value.map_err(|error| {
        let hint = if text.contains("-----BEGIN ") { "; expected a configuration, which names the file of a key: is this the key? Give the path of the configuration" } else { "" };
        config(format!("the configuration file `{shown}` cannot be used: {error}{hint}"))
    })
}

pub(crate) fn from_json(text: &str) -> Result<Value, Error> {
    serde_json::from_str(without_mark(text)).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        config(format!("the configuration is not JSON from line {line}, column {column} on"))
    })
}

/// Reads TOML. What JSON cannot express is reported, and left out.
pub(crate) fn from_toml(text: &str, report: &mut Report) -> Result<Value, Error> {
    let text = without_mark(text);
    let table: toml::Table = toml::from_str(text).map_err(|error| {
        // Not the error itself: it quotes the line, which may contain a secret.
        let start = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
        let hint = if looks_like_yaml(text) {
            "; is this YAML? Expected TOML, or JSON in a file whose name ends in `.json`"
        } else if text.trim_start().starts_with('{') {
            "; is this JSON? Its file name must end in `.json`"
        } else {
            ""
        };
        config(format!("line {line} of the configuration is not TOML: {}{hint}", error.message()))
    })?;
    Ok(Value::Object(read_table("", table, report)))
}

fn config(message: String) -> Error {
    Error::config(message, [])
}

/// The text without the byte order mark that editors on Windows write.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Whether the first line that is neither empty nor a comment is `name:` or `name: value`.
fn looks_like_yaml(text: &str) -> bool {
    let line = text.lines().map(str::trim_end).find(|line| !line.is_empty() && !line.starts_with('#'));
    let Some((name, rest)) = line.and_then(|line| line.split_once(':')) else { return line == Some("---") };
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '"'));
    is_name && (rest.is_empty() || rest.starts_with(' '))
}

fn read_table(path: &str, table: toml::Table, report: &mut Report) -> Map<String, Value> {
    let mut members = Map::new();
    for (name, value) in table {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if let Some(value) = read_value(&path, value, report) {
            members.insert(name, value);
        }
    }
    members
}

fn read_value(path: &str, value: toml::Value, report: &mut Report) -> Option<Value> {
    let problem = match value {
        toml::Value::String(text) => return Some(Value::String(text)),
        toml::Value::Integer(number) => return Some(Value::from(number)),
        toml::Value::Boolean(value) => return Some(Value::Bool(value)),
        toml::Value::Table(table) => return Some(Value::Object(read_table(path, table, report))),
        toml::Value::Array(list) => {
            let values = list.into_iter().enumerate();
            return Some(
                values.filter_map(|(index, value)| read_value(&format!("{path}[{index}]"), value, report)).collect(),
            );
        }
        toml::Value::Float(number) => match Number::from_f64(number) {
            Some(number) => return Some(Value::Number(number)),
            None => Problem::new(path, "found a number that is not finite").expecting("a finite one"),
        },
        toml::Value::Datetime(_) => {
            Problem::new(path, "found a date").expecting("a string (put it in quotes) or a number")
        }
    };
    report.add_unread(problem);
    None
}
