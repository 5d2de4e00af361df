//! The JSON schema of a configuration, `docs/config.schema.json`: made from the fields, and compared with what the file
//! has.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::{
    borrow::Cow,
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::Value;

use super::{
    ProviderConfig,
    fields::{Fields, Seconds},
    secret::SecretField,
    shape,
    variables::{self, Variables},
};
use crate::jwt::Algorithm;

impl JsonSchema for SecretField {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A secret: a text, or a table that says where it is.",
            "anyOf": [
                { "type": "string", "description": "The secret itself." },
                {
                    "type": "object",
                    "description": "Where the secret is, with one of `value`, `file` and `env`.",
                    "properties": {
                        "value": { "type": "string", "description": "The secret itself." },
                        "file": { "type": "string", "description": "A file, relative to this one." },
                        "env": { "type": "string", "description": "The name of an environment variable." },
                        "encoding": {
                            "enum": ["text", "binary", "base64", "hex"],
                            "description": "How it is written. Default: `text`.",
                        },
                    },
                    "additionalProperties": false,
                    "oneOf": [{ "required": ["value"] }, { "required": ["file"] }, { "required": ["env"] }],
                },
            ],
        })
    }
}

impl JsonSchema for Seconds {
    fn schema_name() -> Cow<'static, str> {
        "Seconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "description": "A time in seconds, with a fraction if need be." })
    }
}

/// The name of an [`Algorithm`].
pub(super) struct AlgorithmName;

impl JsonSchema for AlgorithmName {
    fn schema_name() -> Cow<'static, str> {
        "Algorithm".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = Algorithm::ALL.iter().map(|algorithm| algorithm.name()).collect();
        json_schema!({ "enum": names, "description": "How a JWT is signed." })
    }
}

fn generate() -> Value {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<Fields>().to_value();
    schema["title"] = "bearer-token".into();
    without_null(&mut schema);
    schema
}

/// A field that is left out is left out: nobody writes `null`, and TOML has none.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(values) => values.iter_mut().for_each(without_null),
        Value::Object(members) => {
            members.values_mut().for_each(without_null);
            let null = serde_json::json!({ "type": "null" });
            if let Some(choices) = members.get_mut("anyOf").and_then(Value::as_array_mut) {
                choices.retain(|choice| *choice != null);
            }
            // What is left of a choice of two is no choice.
            if let Some([only]) = members.get("anyOf").and_then(Value::as_array).map(Vec::as_slice) {
                let only = serde_json::json!([only.clone()]);
                members.remove("anyOf");
                members.insert("allOf".to_owned(), only);
            }
            if let Some(types) = members.get("type").and_then(Value::as_array).cloned() {
                members.insert("type".to_owned(), types[0].clone());
                assert_eq!(types[1..], ["null"], "a field takes a value or none");
            }
            if members.get("default").is_some_and(Value::is_null) {
                members.remove("default");
            }
        }
        _ => {}
    }
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.schema.json")
}

#[test]
fn the_schema_that_is_checked_in_is_that_of_the_fields() {
    let found: Value = serde_json::from_str(&fs::read_to_string(file()).unwrap()).unwrap();
    assert!(
        found == generate(),
        "docs/config.schema.json is out of date: CONTRIBUTING.md has the command that writes it"
    );
}

#[test]
#[ignore = "writes docs/config.schema.json"]
fn write_the_schema() {
    fs::write(file(), format!("{}\n", serde_json::to_string_pretty(&generate()).unwrap())).unwrap();
}

/// Whether a value is as the schema says. Knows the words that this schema is made of, and stumbles over others.
fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    let Some(words) = schema.as_object() else { return schema.as_bool().unwrap() };
    let all = |choices: &Value| choices.as_array().unwrap().iter().filter(|choice| fits(root, choice, value)).count();
    words.iter().all(|(word, said)| match word.as_str() {
        "$schema" | "title" | "description" | "default" | "definitions" | "format" => true,
        "$ref" => fits(root, root.pointer(said.as_str().unwrap().strip_prefix('#').unwrap()).unwrap(), value),
        "type" => match said.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "number" => value.is_number(),
            other => panic!("{other}"),
        },
        "properties" => said.as_object().unwrap().iter().all(|(name, schema)| {
            let member = value.as_object().and_then(|members| members.get(name));
            member.is_none_or(|member| fits(root, schema, member))
        }),
        "additionalProperties" => value.as_object().is_none_or(|members| {
            let known = |name| words.get("properties").is_some_and(|properties| properties.get(name).is_some());
            members.iter().all(|(name, member)| known(name) || fits(root, said, member))
        }),
        "required" => said.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| fits(root, said, item))),
        "enum" => said.as_array().unwrap().contains(value),
        "const" => said == value,
        "minimum" => value.as_f64().is_none_or(|number| number >= said.as_f64().unwrap()),
        "allOf" => all(said) == said.as_array().unwrap().len(),
        "anyOf" => all(said) > 0,
        "oneOf" => all(said) == 1,
        other => panic!("the schema has a word that this test does not know: {other}"),
    })
}

fn fits_schema(value: &Value) -> bool {
    let schema = generate();
    fits(&schema, &schema, value)
}

#[test]
fn every_sample_configuration_fits_the_schema() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/config");
    let mut seen = 0;
    for entry in fs::read_dir(samples).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => {
                let schema = text.lines().next().and_then(|line| line.strip_prefix("#:schema "));
                let schema = path.parent().unwrap().join(schema.unwrap_or_else(|| panic!("{}", path.display())));
                assert_eq!(schema.canonicalize().unwrap(), file().canonicalize().unwrap());
            }
            Some("json") => {}
            _ => continue,
        }
        assert!(fits_schema(&ProviderConfig::load(&path).unwrap().value), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 6, "{seen}");
}

#[test]
fn the_schema_takes_what_the_fields_take() {
    for (toml, good) in [
        ("", true),
        ("\"$schema\" = \"config.schema.json\"", true),
        ("surprise = 1", false),
        ("allow_origins = [\"https://api.example.com\"]", true),
        ("allow_origins = \"https://api.example.com\"", false),
        ("allow_origins = [1]", false),
        ("refuse_other_origins = true", true),
        ("refuse_other_origins = \"true\"", false),
        ("token = \"t\"", true),
        ("token = 1", false),
        ("token = { value = \"t\" }", true),
        ("token = { file = \"t\", encoding = \"base64\" }", true),
        ("token = { file = \"t\", encoding = \"rot13\" }", false),
        ("token = { vaule = \"t\" }", false),
        ("jwt = { audience = \"a\", expiry_seconds = 2.5, not_before = true }", true),
        ("jwt = { audience = [\"a\", \"b\"], expiry_seconds = 60 }", true),
        ("jwt = { audience = [1] }", false),
        ("jwt = { expiry_seconds = -1 }", false),
        ("jwt = { expiry_seconds = \"60\" }", false),
        ("jwt = { algorithm = \"RS256\", key = \"k\", headers = { a = [1] }, claims = { b = { c = 1.5 } } }", true),
        ("jwt = { claims = 1 }", false),
        // By position, if serde had its way.
        ("jwt = [\"HS256\"]", false),
        ("refresh_token = []", false),
        ("token_endpoint = []", false),
        ("token_endpoint = { client = [\"basic\"] }", false),
        ("token_endpoint = { parameters = [] }", false),
        ("token = [\"t\"]", false),
        ("policy = []", false),
        ("policy = { transient_backoff = [1, 2] }", false),
        ("refresh_token = { file = \"f\", initial = { env = \"E\" }, reusable = true }", true),
        ("refresh_token = { file = 1 }", false),
        ("token_endpoint = { url = \"u\", parameters = { a = \"b\", c = { env = \"D\" } }, keep = [\"x\"] }", true),
        ("token_endpoint = { headers = { a = 1 } }", false),
        ("token_endpoint = { client = { method = \"private_key_jwt\", id = \"i\", key = { file = \"k\" } } }", true),
        ("token_endpoint = { client = { method = \"magic\" } }", false),
        ("policy = { jitter = false, transient_backoff = { first_seconds = 1, limit_seconds = 2 } }", true),
        ("policy = { transient_backoff = { first_seconds = 1 } }", false),
        ("policy = { transient_backoff = { first_seconds = 1, limit_seconds = 2, x = 3 } }", false),
    ] {
        let value = ProviderConfig::from_toml(toml).unwrap().value;
        assert_eq!(fits_schema(&value), good, "the schema: {toml}");
        assert_eq!(shape::fit(value, &Variables::default()).misfits.is_empty(), good, "the fields: {toml}");
    }
    // What the fields take at first, and `build` refuses.
    for toml in ["token = { value = \"t\", env = \"T\" }", "token = {}", "jwt = { algorithm = \"RS255\" }"] {
        assert!(!fits_schema(&ProviderConfig::from_toml(toml).unwrap().value), "{toml}");
    }
}

/// The paths of all fields, each with the type that the schema names, if it names one.
fn all_fields() -> Vec<(String, Option<String>)> {
    fn visit(root: &Value, schema: &Value, path: &str, found: &mut Vec<(String, Option<String>)>) {
        let reference = |schema: &Value| {
            let name = schema.get("$ref").or_else(|| schema.pointer("/allOf/0/$ref"))?.as_str()?;
            Some(name.strip_prefix("#/definitions/").unwrap().to_owned())
        };
        for (name, field) in schema["properties"].as_object().unwrap() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let named = reference(field);
            match named.as_ref().filter(|name| name.ends_with("Fields") && *name != "BackoffFields") {
                Some(name) => visit(root, &root["definitions"][name], &path, found),
                None => {
                    if let Some(members) = field.get("additionalProperties").and_then(reference) {
                        found.push((format!("{path}.*"), Some(members)));
                    }
                    found.push((path, named));
                }
            }
        }
    }
    let (root, mut found) = (generate(), Vec::new());
    visit(&root, &root, "", &mut found);
    found
}

#[test]
fn every_field_says_what_it_is() {
    fn check(schema: &Value) {
        for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            assert!(field["description"].as_str().is_some_and(|text| text.ends_with('.')), "{name}");
        }
        assert!(schema.get("properties").is_none() || schema["additionalProperties"] == false);
    }
    let schema = generate();
    check(&schema);
    schema["definitions"].as_object().unwrap().values().for_each(check);
}

#[test]
fn the_table_in_the_docs_names_exactly_the_fields() {
    let fields: BTreeSet<String> =
        all_fields().into_iter().map(|(path, _)| path).filter(|path| !path.ends_with(".*")).collect();
    let docs = include_str!("../config.rs").split_once("# Fields").unwrap().1;
    let rows = docs.lines().filter_map(|line| line.strip_prefix("//! | `")?.split_once(" | "));
    let mut named = BTreeSet::new();
    for (names, _) in rows {
        let names: Vec<&str> = names.split(", ").map(|name| name.trim_matches('`')).collect();
        let table = names[0].rsplit_once('.').map_or("", |(table, _)| table);
        for name in &names {
            let name = if name.starts_with('.') { format!("{table}{name}") } else { (*name).to_owned() };
            let (start, end) = name.split_once('*').unwrap_or((&name, ""));
            let exact = !name.contains('*');
            let meant = |field: &&String| {
                if exact { **field == name } else { field.starts_with(start) && field.ends_with(end) }
            };
            let meant: Vec<&String> = fields.iter().filter(meant).collect();
            assert!(!meant.is_empty(), "there is no field {name}");
            named.extend(meant.into_iter().cloned());
        }
    }
    assert_eq!(named, fields);
}

#[test]
fn variables_know_which_fields_are_secrets_and_which_are_lists_or_texts() {
    for (path, named) in all_fields() {
        let segments: Vec<String> = path.split('.').map(str::to_owned).collect();
        assert_eq!(variables::is_secret(&segments), named.as_deref() == Some("Secret"), "{path}");
        let read = variables::read(&segments, "[\"a\"]".to_owned());
        assert_eq!(read.is_array(), named.as_deref() == Some("OneOrMany"), "{path}");
    }
}
