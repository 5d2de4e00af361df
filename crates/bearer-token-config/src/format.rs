//! Configuration files: TOML and JSON.

use std::{collections::BTreeSet, io, ops::Range, path::Path};

use bearer_token::{Error, Problem};
use serde_json::{Map, Number, Value};
use zeroize::Zeroizing;

use crate::{json, report::Report, sections::FIELDS};

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
    let value = if extension == "json" { from_json(&text, report) } else { from_toml(&text, report) };
    value.map_err(|error| {
        let hint = if text.contains("-----BEGIN ") { "; expected a configuration, which names the file of a key: is this the key? Give the path of the configuration" } else { "" };
        config(format!("the configuration file `{shown}` cannot be used: {error}{hint}"))
    })
}

/// Reads JSON. Fields that are there more than once are reported.
pub(crate) fn from_json(text: &str, report: &mut Report) -> Result<Value, Error> {
    let text = without_mark(text);
    let value = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        config(format!("the configuration is not JSON from line {line}, column {column} on"))
    })?;
    json::repeated_fields(text).into_iter().for_each(|problem| report.add(problem));
    Ok(value)
}

/// Reads TOML. What JSON cannot express is reported, and left out.
pub(crate) fn from_toml(text: &str, report: &mut Report) -> Result<Value, Error> {
    let text = without_mark(text);
    let table: toml::Table = toml::from_str(text).map_err(|error| {
        // Not the error itself: it quotes the line, which may contain a secret.
        let span = error.span().unwrap_or_default();
        let start = span.start;
        let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
        let hint = if let Some(twice) = repeated(text, error.message(), span) {
            &format!("; {twice}; expected each field once: remove all but one")
        } else if looks_like_yaml(text) {
            "; is this YAML? Expected TOML, or JSON in a file whose name ends in `.json`"
        } else if text.trim_start().starts_with('{') {
            "; is this JSON? Its file name must end in `.json`"
        } else {
            ""
        };
        let provider = name(text).map(|name| format!("; the provider is `{name}`")).unwrap_or_default();
        config(format!("line {line} of the configuration is not TOML: {}{hint}{provider}", error.message()))
    })?;
    Ok(Value::Object(read_table("", table, report)))
}

/// The field or table that is there more than once, if that is what is wrong. Only names of this crate's fields are shown:
/// in text that is not TOML, a secret may be anywhere.
fn repeated(text: &str, message: &str, span: Range<usize>) -> Option<String> {
    if !message.starts_with("duplicate key") {
        return None;
    }
    let fields = FIELDS.all_fields();
    let known: BTreeSet<&str> = fields.iter().flat_map(|path| path.split('.')).collect();
    let is_known = |path: &str| path.split('.').all(|name| known.contains(name.trim()));
    let field = text.get(span.clone())?;
    let before = text.get(..span.start)?;
    let own_line = before.rsplit('\n').next().unwrap_or_default().trim_start();
    if let Some(parent) = own_line.strip_prefix('[') {
        let table = format!("{}{field}", parent.trim_start_matches('['));
        return Some(if is_known(&table) {
            format!("the table `{table}` is there more than once")
        } else {
            "a table is there more than once".to_owned()
        });
    }
    let table = before.lines().rev().map(str::trim).find(|line| line.starts_with('[') && line.ends_with(']'));
    let table = table.filter(|table| is_known(table.trim_matches(['[', ']'])));
    let table = table.map(|table| format!(" below `{table}`")).unwrap_or_default();
    Some(if is_known(field) {
        format!("`{field}`{table} is there more than once")
    } else {
        format!("a field{table} is there more than once")
    })
}

/// The provider's name in TOML that cannot be read, if it is a simple string before the first table.
fn name(text: &str) -> Option<&str> {
    let mut fields = text.lines().map(str::trim).take_while(|line| !line.starts_with('['));
    let value = fields.find_map(|line| line.strip_prefix("name")?.trim_start().strip_prefix('='))?;
    let name = value.trim().strip_prefix('"')?.strip_suffix('"')?;
    let is_simple = name.len() <= 64 && name.chars().all(|c| c.is_alphanumeric() || " -_./".contains(c));
    is_simple.then_some(name)
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
