//! The field `token_endpoint.parameters`: trees whose leaves are values.

use bearer_token::{Advice, Problem, Setting, oauth::ParameterValue};
use serde_json::{Map, Value};

use super::{FIELDS, context::Context};
use crate::{
    misfit,
    nearest::nearest,
    report::UNKNOWN_FIELD,
    values::{ORIGINS, Origin, SecretField, members},
};

/// The parameter at this path, if nothing is wrong with it.
pub(super) fn parameter(path: &str, value: &Value, cx: &mut Context<'_>) -> Option<ParameterValue> {
    match value {
        Value::Number(_) | Value::Bool(_) => Some(value.clone().into()),
        Value::Null => {
            cx.report.add(Problem::new(path, "found null").expecting("a value").advise(Advice::text("leave it out")));
            None
        }
        Value::Array(list) => {
            let list = list.iter().enumerate();
            let list: Vec<_> = list.map(|(index, value)| parameter(&format!("{path}[{index}]"), value, cx)).collect();
            Some(ParameterValue::list(list.into_iter().collect::<Option<Vec<_>>>()?))
        }
        Value::Object(table) if !is_value(table) => {
            let near = table.keys().find_map(|name| Some((name, misspelt(table, name)?)));
            if let Some((name, member)) = near {
                let problem = Problem::new(format!("{path}.{name}"), UNKNOWN_FIELD);
                let field = Setting::Field(format!("{path}.{member}").into());
                cx.report.add(problem.advise(Advice::DidYouMean(field)));
                return None;
            }
            let members = table.iter().map(|(name, value)| (name, parameter(&format!("{path}.{name}"), value, cx)));
            let members: Vec<_> = members.collect();
            let members: Option<Vec<_>> =
                members.into_iter().map(|(name, value)| Some((name.clone(), value?))).collect();
            Some(ParameterValue::object(members?))
        }
        Value::String(text) if text.is_empty() => Some(ParameterValue::from("")),
        Value::String(_) | Value::Object(_) => {
            let field =
                misfit::read::<SecretField>(FIELDS, path, value).map_err(|problem| cx.report.add(problem)).ok()?;
            // A path of a URL is not one of a file.
            let is_location = matches!(&field.origin, Origin::Plain(text) if text.starts_with("//"));
            let found = if is_location { cx.value(path, &field) } else { cx.secret_value(path, &field) };
            found.map(ParameterValue::from)
        }
    }
}

/// Whether a table is a value: all its names are members of a value, and one of them says where the value is.
///
/// Any other table is an object, such as `{ value = { value = "x" } }`.
fn is_value(table: &Map<String, Value>) -> bool {
    table.keys().all(|name| members().any(|member| member == name))
        && ORIGINS.iter().any(|origin| table.get(*origin).is_some_and(Value::is_string))
}

/// Whether a table in a literal is the value of a variable: `variable` beside nothing else than members of a value,
/// even misspelt ones.
pub(super) fn is_variable(table: &Map<String, Value>) -> bool {
    let is_member = |name: &String| members().any(|member| member == name) || misspelt(table, name).is_some();
    table.contains_key("variable") && table.keys().all(is_member)
}

/// The member of a value that a misspelt name beside other such members was meant to be.
fn misspelt(table: &Map<String, Value>, name: &str) -> Option<&'static str> {
    let is_member = |name: &str| members().any(|member| member == name);
    let is_beside = table.keys().any(|other| other != name && is_member(other));
    (is_beside && !is_member(name)).then(|| nearest(name, members()))?.and_then(|near| {
        let near = members().find(|member| *member == near)?;
        (!table.contains_key(near)).then_some(near)
    })
}

/// The schema of a parameter.
#[cfg(test)]
pub(super) struct Parameter;

#[cfg(test)]
impl schemars::JsonSchema for Parameter {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Parameter".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let secret = generator.subschema_for::<SecretField>();
        let own = generator.subschema_for::<Parameter>();
        schemars::json_schema!({
            "description": "A value, a number, a list or, for JSON bodies, a table of further ones.",
            "anyOf": [
                secret,
                { "type": "number" },
                { "type": "boolean" },
                { "type": "array", "items": own },
                { "type": "object", "additionalProperties": own },
            ],
        })
    }
}
