//! The field that a name was probably meant to be.

use bearer_token::{Advice, Setting};

use crate::{
    field_tree::{FieldTree, segments},
    nearest::{nearest, plain},
};

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

/// The field that an unknown one was probably meant to be: near in the same table, or somewhere else.
pub(crate) fn field(tree: FieldTree, parent: &str, name: &str) -> Option<Advice> {
    // Inside of a source, the fields are called as they are outside of it.
    let (source, inside) = split_source(parent);
    let path = path(tree, source, inside, name)?;
    Some(Advice::DidYouMean(Setting::Field(path.into())))
}

fn path(tree: FieldTree, source: &str, parent: &str, name: &str) -> Option<String> {
    let siblings = tree.names_in(&segments(&join(source, parent))).unwrap_or_default();
    let synonym = SYNONYMS.iter().find(|(word, _)| *word == name).map(|(_, field)| *field);
    let near = synonym.filter(|field| siblings.iter().any(|name| name == field));
    let near = near.or_else(|| nearest(name, siblings.iter().map(String::as_str)));
    let fields: Vec<_> =
        tree.all_fields().into_iter().filter(|path| source.is_empty() || has_source(tree, path)).collect();
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
fn has_source(tree: FieldTree, path: &str) -> bool {
    let first = path.split('.').next().unwrap_or_default();
    let source = ["sources".to_owned(), "x".to_owned()];
    tree.names_in(&source).unwrap_or_default().iter().any(|name| name == first)
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

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sections::FIELDS;

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
            assert_eq!(field(FIELDS, parent, name), Some(expected), "{parent}.{name}");
        }
        assert_eq!(field(FIELDS, "", "surprise"), None);
        assert_eq!(field(FIELDS, "jwt", "zzzzzz"), None);
        assert_eq!(field(FIELDS, "sources.app.token_endpoint", "allow_origins"), None, "only the provider has origins");
        assert_eq!(field(FIELDS, "sources.app", "allow_origin"), None, "only the provider has origins");
    }
}
