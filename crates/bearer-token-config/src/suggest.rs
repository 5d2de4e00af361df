//! Near names: what a name that does not exist was probably meant to be.

use bearer_token::{Advice, Setting};
use serde_json::{Map, Value};

use crate::{sections::Fields, values::table::Table};

/// Words of specifications and other programs for fields that are called differently here.
const SYNONYMS: [(&str, &str); 23] = [
    ("alg", "algorithm"),
    ("aud", "audience"),
    ("auth", "client"),
    ("auth_method", "client.method"),
    ("authentication", "client"),
    ("authentication_method", "client.method"),
    ("exp", "expiry_seconds"),
    ("expires_in", "expiry_seconds"),
    ("iss", "issuer"),
    ("key_id", "kid"),
    ("lifetime", "expiry_seconds"),
    ("origins", "allow_origins"),
    ("passwd", "secret"),
    ("password", "secret"),
    ("private_key", "key"),
    ("scopes", "scope"),
    ("sub", "subject"),
    ("timeout", "fetch_timeout_seconds"),
    ("token_endpoint_auth_method", "client.method"),
    ("token_url", "url"),
    ("ttl", "expiry_seconds"),
    ("uri", "url"),
    ("username", "id"),
];

/// The known word that this one was probably meant to be. It differs by case or by a few letters, or begins with this
/// one.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    let length = word.chars().count();
    let limit = if length < 3 { 0 } else { (length / 3).min(3) };
    let distance = |known: &str| strsim::damerau_levenshtein(&word, &plain(known));
    let known: Vec<&str> = known.into_iter().collect();
    let (distance, nearest) = known.iter().map(|known| (distance(known), *known)).min_by_key(|(least, _)| *least)?;
    if distance <= limit {
        return Some(nearest);
    }
    // `expiry` is `expiry_seconds`, and `Basic Auth` is `basic`.
    let continues = |long: &str, short: &str| long.strip_prefix(short).is_some_and(|rest| rest.starts_with(['_', ' ']));
    let begins = known.iter().find(|known| continues(&plain(known), &word));
    begins.or_else(|| known.iter().find(|known| known.len() > 2 && continues(&word, &plain(known)))).copied()
}

/// The field that an unknown one was probably meant to be: near in the same table, or somewhere else.
pub(crate) fn field(parent: &str, name: &str) -> Option<Advice> {
    // Inside of a source, the fields are called as they are outside of it.
    let (source, inside) = split_source(parent);
    let path = path(source, inside, name)?;
    Some(Advice::DidYouMean(Setting::Field(path.into())))
}

fn path(source: &str, parent: &str, name: &str) -> Option<String> {
    let siblings = names_in(&segments(&join(source, parent))).unwrap_or_default();
    let synonym = SYNONYMS.iter().find(|(word, _)| *word == name).map(|(_, field)| *field);
    let near = synonym.filter(|field| siblings.iter().any(|name| name == field));
    let near = near.or_else(|| nearest(name, siblings.iter().map(String::as_str)));
    let fields: Vec<_> = all_fields().into_iter().filter(|path| source.is_empty() || has_source(path)).collect();
    let path = below(&fields, parent, name)
        .or_else(|| synonym.filter(|field| field.contains('.')).and_then(|field| ending(&fields, parent, field)))
        .or_else(|| near.map(|near| join(parent, near)))
        .or_else(|| elsewhere(&fields, parent, name, synonym))
        .or_else(|| fields.iter().find(|path| **path == plain(name)).cloned())?;
    Some(join(source, &path))
}

/// The path of a source, and the rest of a path in it.
fn split_source(path: &str) -> (&str, &str) {
    let Some(rest) = path.strip_prefix("sources.") else { return ("", path) };
    match rest.split_once('.') {
        Some((name, inside)) => (&path[.."sources.".len() + name.len()], inside),
        None => (path, ""),
    }
}

/// Whether a source has this field too.
fn has_source(path: &str) -> bool {
    let first = path.split('.').next().unwrap_or_default();
    let source = ["sources".to_owned(), "x".to_owned()];
    names_in(&source).unwrap_or_default().iter().any(|name| name == first)
}

/// Finds a field in a table below: `client_id` is `client.id`.
fn below(fields: &[String], parent: &str, name: &str) -> Option<String> {
    let flat = |path: &&String| path.strip_prefix(parent).map(|rest| rest.trim_start_matches('.').replace('.', "_"));
    fields.iter().find(|path| flat(path).is_some_and(|flat| flat == plain(name))).cloned()
}

/// The first field with this path, in the same table if there is one: `client.method` is
/// `token_endpoint.client.method`.
fn ending(fields: &[String], parent: &str, end: &str) -> Option<String> {
    let ends = |path: &&String| path.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let inside = |path: &&String| ends(path) && path.starts_with(parent);
    fields.iter().find(inside).or_else(|| fields.iter().find(ends)).cloned()
}

/// Finds a field elsewhere: `issuer` at the root is `jwt.issuer`, and `key` of a client is
/// `token_endpoint.client.jwt.key`.
fn elsewhere(fields: &[String], parent: &str, name: &str, synonym: Option<&str>) -> Option<String> {
    let end = format!("_{}", plain(name));
    let inside = |path: &&String| !parent.is_empty() && path.starts_with(&format!("{parent}."));
    let ends = |path: &&String| path.replace('.', "_").ends_with(&end);
    let same = |path: &&String| synonym.is_some_and(|field| path.rsplit('.').next() == Some(field));
    let find = |is_it: &dyn Fn(&&String) -> bool| {
        fields.iter().filter(inside).find(is_it).or_else(|| fields.iter().find(is_it))
    };
    find(&ends).or_else(|| find(&same)).cloned()
}

/// Whether the field at this path takes this value.
pub(crate) fn accepts(path: &[String], value: Value) -> bool {
    serde_json::from_value::<Table<Fields>>(at(path, value)).is_ok()
}

/// The paths of all fields. Members with names of the user's choice are not among them, nor are the parts of secrets.
pub(crate) fn all_fields() -> Vec<String> {
    let (mut found, mut next) = (Vec::new(), vec![Vec::<String>::new()]);
    while let Some(path) = next.pop() {
        if !path.is_empty() {
            found.push(path.join("."));
        }
        if path.is_empty() || !accepts(&path, "a string".into()) {
            let names = names_in(&path).unwrap_or_default();
            next.extend(names.into_iter().rev().map(|name| [path.as_slice(), &[name]].concat()));
        }
    }
    found
}

/// The names of the fields in a table, as serde lists them when it finds another one.
pub(crate) fn names_in(table: &[String]) -> Option<Vec<String>> {
    let unknown = Value::Object(Map::from_iter([(String::new(), Value::Null)]));
    let error = serde_json::from_value::<Table<Fields>>(at(table, unknown)).err()?;
    let message = error.to_string();
    message.starts_with("unknown field").then(|| quoted(&message).skip(1).map(str::to_owned).collect())
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

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

fn plain(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        for (word, expected) in [
            ("rs256", Some("RS256")),
            ("RS-256", Some("RS256")),
            ("isuer", Some("issuer")),
            ("issure", Some("issuer")),
            ("Issuer", Some("issuer")),
            ("surprise", None),
            ("issuer of it", Some("issuer")),
            ("sub", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, ["issuer", "RS256", "subject"]), expected, "{word}");
        }
    }

    #[test]
    fn an_unknown_field_suggests_the_one_that_was_meant() {
        for (parent, name, expected) in [
            ("jwt", "isuer", "jwt.issuer"),
            ("jwt", "iss", "jwt.issuer"),
            ("jwt", "exp", "jwt.expiry_seconds"),
            ("", "allowed_origins", "allow_origins"),
            ("", "issuer", "jwt.issuer"),
            ("", "token_endpoint_url", "token_endpoint.url"),
            ("", "token-endpoint", "token_endpoint"),
            ("", "client_id", "token_endpoint.client.id"),
            ("token_endpoint", "client_id", "token_endpoint.client.id"),
            ("token_endpoint", "scopes", "token_endpoint.scope"),
            ("token_endpoint.client", "client_secret", "token_endpoint.client.secret"),
            ("policy.transient_backoff", "first", "policy.transient_backoff.first_seconds"),
            ("token_endpoint.client", "key", "token_endpoint.client.jwt.key"),
            ("token_endpoint.client", "alg", "token_endpoint.client.jwt.algorithm"),
            ("token_endpoint.client", "password", "token_endpoint.client.secret"),
            ("token_endpoint.client", "username", "token_endpoint.client.id"),
            ("jwt", "expires_in", "jwt.expiry_seconds"),
            ("token_endpoint", "auth", "token_endpoint.client"),
            ("token_endpoint", "auth_method", "token_endpoint.client.method"),
            ("token_endpoint", "token_endpoint_auth_method", "token_endpoint.client.method"),
            ("token_endpoint.client", "token_endpoint_auth_method", "token_endpoint.client.method"),
            ("token_endpoint.client", "auth_method", "token_endpoint.client.method"),
            ("", "token_endpoint_auth_method", "token_endpoint.client.method"),
            ("sources.app.token_endpoint", "auth_method", "sources.app.token_endpoint.client.method"),
            ("token_endpoint", "policy", "policy"),
            ("send", "allow_origins", "allow_origins"),
            ("sources.app", "tokn", "sources.app.token"),
            ("sources.app.jwt", "isuer", "sources.app.jwt.issuer"),
            ("sources.app", "client_id", "sources.app.token_endpoint.client.id"),
            ("sources.app", "issuer", "sources.app.jwt.issuer"),
            ("jwt.key", "fiel", "jwt.key.file"),
        ] {
            let expected = Advice::DidYouMean(Setting::Field(expected.to_owned().into()));
            assert_eq!(field(parent, name), Some(expected), "{parent}.{name}");
        }
        assert_eq!(field("", "surprise"), None);
        assert_eq!(field("jwt", "zzzzzz"), None);
        assert_eq!(field("sources.app.token_endpoint", "allow_origins"), None, "only the provider has origins");
        assert_eq!(field("sources.app", "allow_origin"), None, "only the provider has origins");
    }
}
