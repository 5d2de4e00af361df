//! The documentation of the fields: the JSON schema in `docs/config.schema.json`, and the table in `FIELDS.md`. Both
//! are generated from the fields, and compared with the files.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::{
    ProviderConfig, fit,
    report::Report,
    sections::{FIELDS, Fields},
    values::members,
    variables::EnvVariables,
};

fn generate() -> Value {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<Fields>().to_value();
    schema["title"] = "bearer-token".into();
    without_null(&mut schema);
    schema
}

/// An absent field stays absent: `null` is not written, and TOML has none.
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

/// The whole file: each field with its documentation, then the members of a value.
fn table() -> String {
    format!("{}\n{}", fields(), members_of_a_value())
}

/// The words that a field takes, if it takes only certain ones.
fn words(schema: &Value) -> String {
    let list = schema.get("enum").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    let words = list.into_iter().flatten().map(|word| word.get("const").unwrap_or(word).as_str().unwrap());
    let words: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    if words.is_empty() { String::new() } else { format!(" Words: {}.", words.join(", ")) }
}

/// The rows of the members that a value's table may have, in the order in which they are applied.
fn members_of_a_value() -> String {
    let schema = generate();
    let documented = schema.pointer("/definitions/Value/anyOf/1/properties").and_then(Value::as_object).unwrap();
    assert_eq!(documented.len(), members().count());
    let rows = members().map(|name| {
        let member = &documented[name];
        format!("| `{name}` | {}{} |\n", member["description"].as_str().unwrap(), words(member))
    });
    let about = "A value or a secret is a string, or a table with one of the first five members. The others are applied \
                 to what is found there, in this order.";
    format!("## Members of a value\n\n{about}\n\n| member | meaning |\n|---|---|\n{}", rows.collect::<String>())
}

/// The rows of the fields: each with its documentation.
fn fields() -> String {
    fn visit(root: &Value, schema: &Value, path: &str, rows: &mut String) {
        let reference = |schema: &Value| {
            let name = schema.get("$ref").or_else(|| schema.pointer("/allOf/0/$ref"))?.as_str()?;
            name.strip_prefix("#/definitions/").map(str::to_owned)
        };
        for (name, field) in schema["properties"].as_object().unwrap() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let named = reference(field);
            let members = field.get("additionalProperties").and_then(reference);
            let note = match (named.as_deref(), members.as_deref()) {
                (Some("Secret"), _) => " A secret.",
                (Some("Value"), _) => " A value.",
                (_, Some("Secret" | "Parameter")) => " Its values are secrets.",
                _ => "",
            };
            let meaning = field["description"].as_str().unwrap().replace('\n', " ");
            let words = words(named.as_ref().map_or(field, |name| &root["definitions"][name]));
            rows.push_str(&format!("| `{path}` | {meaning}{note}{words} |\n"));
            if let Some(name) = named.filter(|name| name.ends_with("Fields")) {
                visit(root, &root["definitions"][name], &path, rows);
            }
        }
    }
    let (root, mut rows) = (generate(), "| field | meaning |\n|---|---|\n".to_owned());
    visit(&root, &root, "", &mut rows);
    rows
}

fn schema_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.schema.json")
}

fn table_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("FIELDS.md")
}

#[test]
fn the_schema_file_is_that_of_the_fields() {
    let found: Value = serde_json::from_str(&fs::read_to_string(schema_file()).unwrap()).unwrap();
    assert!(
        found == generate(),
        "docs/config.schema.json is out of date: CONTRIBUTING.md has the command that writes it"
    );
}

#[test]
fn the_table_file_is_that_of_the_fields() {
    let found = fs::read_to_string(table_file()).unwrap();
    assert!(found == table(), "FIELDS.md is out of date: CONTRIBUTING.md has the command that writes it");
}

#[test]
fn the_table_has_the_words_and_the_members_of_values() {
    let table = table();
    for row in [
        "| `token_endpoint.method` | The method. Default: `POST`. Words: `POST`, `GET`, `PUT`, `PATCH`. |",
        "Default: `form`. Words: `form`, `json`, `query`, `none`. |",
        "Default: `s`. Words: `s`, `ms`. |",
        "| `encoding` | How it is encoded. Default: `text`. Words: `text`, `binary`, `base64`, `base64url`, `hex`. |",
        "| `part` | ",
    ] {
        assert!(table.contains(row), "{row}");
    }
    for (path, word) in [("jwt.algorithm", "`EdDSA`"), ("token_endpoint.client.method", "`client_secret_basic`")] {
        let row = table.lines().find(|line| line.starts_with(&format!("| `{path}` |"))).unwrap();
        assert!(row.contains(" Words: ") && row.contains(word), "{row}");
    }
}

#[test]
#[ignore = "writes docs/config.schema.json and FIELDS.md"]
fn write_the_schema() {
    fs::write(schema_file(), format!("{}\n", serde_json::to_string_pretty(&generate()).unwrap())).unwrap();
    fs::write(table_file(), table()).unwrap();
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
            "integer" => value.is_i64() || value.is_u64(),
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
                assert_eq!(schema.canonicalize().unwrap(), schema_file().canonicalize().unwrap());
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
        (
            "token_endpoint = { parameters = { a = [1, true, { b = { file = \"f\" } }], c = { source = \"s\", fresh = true } } }",
            true,
        ),
        (
            "token_endpoint = { method = \"GET\", body = \"query\", assertion = { file = \"f\" }, assertion_parameter = \"jwt\" }",
            true,
        ),
        ("token_endpoint = { method = \"DELETE\" }", false),
        ("token_endpoint = { response = { token = \"\", expires_at = \"/e\", unit = \"ms\", never = 0 } }", true),
        ("token_endpoint = { response = { unit = \"h\" } }", false),
        ("token_endpoint = { response = [\"/token\"] }", false),
        ("token_endpoint = { tls = { ca = { file = \"f\" }, key = \"k\" }, title_case_headers = true }", true),
        ("token_endpoint = { tls = true }", false),
        ("token_endpoint = { body = \"xml\" }", false),
        ("token_exchange = { subject_token = { source = \"s\" }, subject_token_type = \"jwt\" }", true),
        ("token_exchange = { audience = \"a\" }", false),
        (
            "send = { header = \"x\", scheme = \"\", headers = { a = \"b\" }, reject_on = [403, \"grpc:7\"], settle_seconds = 5 }",
            true,
        ),
        ("send = { reject_on = 403 }", false),
        ("send = { reject_on = [true] }", false),
        ("jwt = { computed = { a = \"{uuid}\", b = [\"{now}\"] }, computed_headers = { c = \"d\" } }", true),
        ("jwt = { computed = { a = { b = \"{uuid}\" } } }", false),
        ("jwt = { certificate = { file = \"f\" }, certificate_chain = true }", true),
        ("token_endpoint = { scope = [\"read\", \"write\"] }", true),
        ("token_endpoint = { client = { method = \"client_secret_post\" } }", true),
        (
            "token_endpoint = { client = { method = \"private_key_jwt\", id = \"i\", jwt = { key = { file = \"k\" } } } }",
            true,
        ),
        ("sources = { a = { token = \"t\", jwt = { issuer = { env = \"E\", part = \"after :\" } } } }", true),
        ("sources = { a = { allow_origins = [] } }", false),
        ("sources = { a = [] }", false),
        (
            "jwt = { audience = [{ file = \"f\", member = \"/a\" }, \"b\"], subject = { source = \"a\", fresh = true } }",
            true,
        ),
        ("jwt = { issuer = { value = \"a\", fresh = 1 } }", false),
        ("token_endpoint = { client = { method = \"magic\" } }", false),
        ("policy = { jitter = false, transient_backoff = { first_seconds = 1, limit_seconds = 2 } }", true),
        ("policy = { transient_backoff = { first_seconds = 1 } }", false),
        ("policy = { transient_backoff = { first_seconds = 1, limit_seconds = 2, x = 3 } }", false),
    ] {
        let value = ProviderConfig::from_toml(toml).unwrap().value;
        assert_eq!(fits_schema(&value), good, "the schema: {toml}");
        let mut report = Report::default();
        fit::fit(value, &EnvVariables::default(), &mut report);
        assert_eq!(report.len() == 0, good, "the fields: {toml}");
    }
    // What the fields take at first, and `build` refuses.
    for toml in ["token = { value = \"t\", env = \"T\" }", "token = {}", "jwt = { algorithm = \"RS255\" }"] {
        assert!(!fits_schema(&ProviderConfig::from_toml(toml).unwrap().value), "{toml}");
    }
}

#[test]
fn every_field_is_documented_in_whole_sentences() {
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
fn serde_lists_the_same_fields_as_the_schema() {
    let table = fields();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let mut documented: Vec<_> = rows.map(|(path, _)| path.to_owned()).collect();
    let mut known = FIELDS.all_fields();
    documented.sort();
    known.sort();
    assert_eq!(known, documented);
}
