//! The names that messages may use: fields of the schema, variables, methods of builders, words of the specifications.

use std::{collections::BTreeSet, fs, path::Path, sync::OnceLock};

use serde_json::Value;

/// Begins the names of variables in this table.
pub(crate) const PREFIX: &str = "BEARER_TOKEN_";

/// What requests and responses of the specifications call their members.
const SPECIFIED: &[&str] = &[
    "access_token",
    "client_assertion",
    "client_credentials",
    "client_id",
    "client_secret",
    "error_description",
    "expires_in",
    "grant_type",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "private_key",
    "token_type",
];

pub(crate) struct Names {
    schema: Value,
    fields: BTreeSet<String>,
    methods: BTreeSet<String>,
}

impl Names {
    pub(crate) fn get() -> &'static Names {
        static NAMES: OnceLock<Names> = OnceLock::new();
        NAMES.get_or_init(|| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
            let schema = fs::read_to_string(root.join("docs/config.schema.json")).unwrap();
            let schema: Value = serde_json::from_str(&schema).unwrap();
            let (mut fields, mut methods) = (BTreeSet::new(), BTreeSet::new());
            words(&schema, &mut fields);
            collect_methods(&root.join("crates"), &mut methods);
            assert!(fields.len() > 50 && methods.len() > 200, "{} fields, {} methods", fields.len(), methods.len());
            Names { schema, fields, methods }
        })
    }

    /// Whether a path is a field of a configuration, or a variable that sets one.
    pub(crate) fn is_field(&self, path: &str) -> bool {
        let path = match path.strip_prefix(PREFIX) {
            Some(variable) => variable.replace("__", ".").to_lowercase(),
            None => path.to_owned(),
        };
        let place = |name: &str| name.split('[').next().unwrap_or_default().to_owned();
        ["configuration", "environment"].contains(&path.as_str())
            || self.leads(&self.schema, &path.split('.').map(place).collect::<Vec<_>>())
    }

    /// Whether a path begins with a builder's method: `claims.iss` is set with `claim("iss", ..)`. `key` is what a
    /// constructor of `SigningKey` was given.
    pub(crate) fn is_method(&self, path: &str) -> bool {
        let method = path.split(['.', '(', '[']).next().unwrap_or_default();
        path == "key"
            || self.methods.contains(method)
            || method.strip_suffix('s').is_some_and(|one| self.methods.contains(one))
    }

    /// Whether a word, or a path, is the name of a field, one of its words, or a word of the specifications.
    pub(crate) fn is_known(&self, word: &str) -> bool {
        word.split('.').all(|name| self.fields.contains(name) || SPECIFIED.contains(&name))
    }

    fn leads(&self, node: &Value, path: &[String]) -> bool {
        let Some((first, rest)) = path.split_first() else { return true };
        if let Some(reference) = node.get("$ref").and_then(Value::as_str) {
            return self.schema.pointer(&reference[1..]).is_some_and(|node| self.leads(node, path));
        }
        for several in ["anyOf", "oneOf", "allOf"] {
            let choices = node.get(several).and_then(Value::as_array).into_iter().flatten();
            if choices.into_iter().any(|node| self.leads(node, path)) {
                return true;
            }
        }
        if let Some(field) = node.get("properties").and_then(|fields| fields.get(first)) {
            return self.leads(field, rest);
        }
        match node.get("additionalProperties") {
            Some(Value::Bool(free)) => *free,
            Some(member) => self.leads(member, rest),
            None => false,
        }
    }
}

/// The names of properties, and the words that fields take.
fn words(node: &Value, into: &mut BTreeSet<String>) {
    match node {
        Value::Object(members) => {
            for (name, value) in members {
                if name == "properties"
                    && let Some(properties) = value.as_object()
                {
                    into.extend(properties.keys().cloned());
                }
                if ["const", "enum"].contains(&name.as_str()) {
                    into.extend(value.as_str().map(str::to_owned));
                    let several = value.as_array().into_iter().flatten();
                    into.extend(several.filter_map(Value::as_str).map(str::to_owned));
                }
                words(value, into);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| words(value, into)),
        _ => {}
    }
}

/// The public functions of the crates.
fn collect_methods(directory: &Path, into: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_methods(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            for (start, _) in source.match_indices("pub fn ") {
                let name = source[start + 7..].split(['(', '<']).next().unwrap_or_default();
                into.insert(name.to_owned());
            }
        }
    }
}

#[test]
fn names_that_do_not_exist_are_found() {
    let names = Names::get();
    for field in ["jwt.key.file", "token_endpoint.client.secret", "token_endpoint.parameters.x", "allow_origins[0]"] {
        assert!(names.is_field(field), "{field}");
    }
    for none in ["jwt.keys", "token_endpoint.client.client_secret", "jwt.key.file.name", ""] {
        assert!(!names.is_field(none), "{none}");
    }
    assert!(names.is_field("BEARER_TOKEN_TOKEN_ENDPOINT__CLIENT__SECRET"));
    assert!(!names.is_field("BEARER_TOKEN_TOKEN_ENDPOINT__CLIENT__CLIENT_SECRET"));
    for (path, exists) in [("allow_origin", true), ("claims.iss", true), ("client", false), ("jwt_key", false)] {
        assert_eq!(names.is_method(path), exists, "{path}");
    }
    assert!(names.is_known("private_key_jwt") && names.is_known("grant_type") && !names.is_known("life_time"));
}
