//! The metadata of a protected resource (RFC 9728 section 2), as far as it is needed.
//!
//! Five members of a document that may have thirty. Two of them end the attempt, because this crate cannot do what they
//! demand; ignoring them would end in a 401 without a visible cause.

use crate::{
    oauth::scope,
    token::fields::{Field, ResponseFields},
};

/// Metadata that may be used.
///
/// Kept for a day, so it has only what a fetch needs.
#[derive(Debug, PartialEq)]
pub(super) struct Metadata {
    /// The issuers that the resource trusts, in its order. They are untrusted input.
    pub(super) authorization_servers: Vec<String>,
    pub(super) scopes_supported: Vec<String>,
}

/// What is wrong with a document.
#[derive(Debug, PartialEq)]
pub(super) enum Unusable {
    /// It is not metadata, such as a page for humans.
    Other(String),
    /// It is metadata that must not be used.
    Metadata(String),
}

const NAMES: [&str; 5] = [
    "resource",
    "authorization_servers",
    "scopes_supported",
    "bearer_methods_supported",
    "dpop_bound_access_tokens_required",
];

impl Metadata {
    /// Reads and checks a document. A problem does not repeat the document, which is untrusted.
    ///
    /// The `resource` is compared first: metadata of another resource is not trusted in any part. A scope with several
    /// words in one string is left out rather than split, since it is not what the section says.
    pub(super) fn read(body: &[u8], resource: &str) -> Result<Self, Unusable> {
        let fields = ResponseFields::of(body, &NAMES)
            .map_err(|why| Unusable::Other(format!("{}; expected a JSON object (RFC 9728 section 3.2)", why.0)))?;
        let wrong = |found: &str| Err(Unusable::Metadata(found.to_owned()));
        match fields.text("resource") {
            Some(text) if text == resource => {}
            Some(text) if text.trim_end_matches('/') == resource.trim_end_matches('/') => {
                return wrong(
                    "names a resource that differs by a slash at the end; expected exactly this one (RFC 9728 section \
                     3.3): write it as the metadata does",
                );
            }
            Some(_) => {
                return wrong(
                    "names another resource; expected exactly this one (RFC 9728 section 3.3): check the resource \
                     identifier, as the API may mean another URL or may not be what it claims to be",
                );
            }
            None => return wrong("names no resource; expected exactly this one (RFC 9728 section 3.3)"),
        }
        match fields.named("bearer_methods_supported") {
            None => {}
            Some(Field::Texts(methods)) if methods.iter().any(|method| method == "header") => {}
            Some(_) => {
                return wrong(
                    "does not accept tokens in a header (`bearer_methods_supported`), and this library sends them \
                     nowhere else (RFC 9700 section 4.3.2)",
                );
            }
        }
        if fields.named("dpop_bound_access_tokens_required") == Some(&Field::Truth(true)) {
            return wrong(
                "demands tokens that need a proof with each request (`dpop_bound_access_tokens_required`, RFC 9449), so \
                 allow bearer tokens for this API",
            );
        }
        let Some(Field::Texts(authorization_servers)) = fields.named("authorization_servers") else {
            return wrong(
                "names no authorization server; expected one (`authorization_servers`): use the token endpoint of the \
                 authorization server directly",
            );
        };
        let scopes_supported = match fields.named("scopes_supported") {
            Some(Field::Texts(words)) => words.iter().filter(|word| is_one_word(word)).cloned().collect(),
            _ => Vec::new(),
        };
        Ok(Metadata { authorization_servers: authorization_servers.clone(), scopes_supported })
    }
}

fn is_one_word(text: &str) -> bool {
    !text.contains(' ') && scope::words(text).is_some_and(|words| words.len() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOURCE: &str = "https://api.example.com/mcp";

    fn read(body: &str) -> Result<Metadata, Unusable> {
        Metadata::read(body.as_bytes(), RESOURCE)
    }

    fn with(members: &str) -> String {
        format!(r#"{{"resource":"{RESOURCE}","authorization_servers":["https://as.example.com"]{members}}}"#)
    }

    // shows: 9728/3.2b
    #[test]
    fn only_what_is_needed_is_read() {
        let long = "x".repeat(3_000);
        for (members, scopes) in [
            ("", &[][..]),
            (r#","scopes_supported":["read","files:write"]"#, &["read", "files:write"]),
            (r#","scopes_supported":["a b","read","w\"x","","pla\u0000nted"]"#, &["read"]),
            (&format!(r#","scopes_supported":["{long}","read"]"#), &["read"]),
            (r#","scopes_supported":"read""#, &[]),
            (r#","scopes_supported":[1]"#, &[]),
            (r#","bearer_methods_supported":["body","header"],"x":1e999,"signed_metadata":"e30.e30.e30""#, &[]),
            (r#","dpop_bound_access_tokens_required":false,"resource_name":"\ud800""#, &[]),
        ] {
            let metadata = read(&with(members)).unwrap();
            assert_eq!(metadata.authorization_servers, ["https://as.example.com"]);
            assert_eq!(metadata.scopes_supported, scopes, "{members}");
        }
    }

    // shows: 9728/2a 9728/3.3a 9728/6
    #[test]
    fn l70_hostile_metadata_is_refused_without_repeating_it() {
        let other = |found: &str| (true, found.to_owned());
        let metadata = |found: &str| (false, found.to_owned());
        let deep = format!("{}{}", r#"{"resource":"#.repeat(200), "1");
        for (body, expected) in [
            ("", other("expected a JSON object")),
            ("<html>planted", other("expected a JSON object")),
            ("[\"planted\"]", other("expected a JSON object")),
            (&deep, other("expected a JSON object")),
            ("{}", metadata("names no resource")),
            (r#"{"resource":null}"#, metadata("names no resource")),
            (r#"{"resource":["https://api.example.com/mcp"]}"#, metadata("names no resource")),
            (r#"{"resource":"https://planted.example.com/mcp"}"#, metadata("names another resource")),
            (r#"{"resource":"https://api.example.com"}"#, metadata("names another resource")),
            (r#"{"resource":"https://api.example.com/MCP"}"#, metadata("names another resource")),
            (r#"{"resource":"https://api.example.com/mcp/"}"#, metadata("differs by a slash")),
            (r#"{"resource":"https://api.example.com/mcp"}"#, metadata("names no authorization server")),
            (
                r#"{"resource":"https://api.example.com/mcp","authorization_servers":[]}"#,
                metadata("names no authorization server"),
            ),
            (
                r#"{"resource":"https://api.example.com/mcp","authorization_servers":"https://planted.example.com"}"#,
                metadata("names no authorization server"),
            ),
            (
                r#"{"resource":"https://api.example.com/mcp","authorization_servers":["https://as.example.com",7]}"#,
                metadata("names no authorization server"),
            ),
            (&with(r#","resource":"https://planted.example.com""#), metadata("names another resource")),
            (&with(r#","bearer_methods_supported":["planted"]"#), metadata("does not accept tokens in a header")),
            (&with(r#","bearer_methods_supported":[]"#), metadata("does not accept tokens in a header")),
            (&with(r#","dpop_bound_access_tokens_required":true"#), metadata("need a proof")),
        ] {
            let (is_other, found) = match read(body).unwrap_err() {
                Unusable::Other(found) => (true, found),
                Unusable::Metadata(found) => (false, found),
            };
            assert!(is_other == expected.0 && found.contains(&expected.1), "{body}: {found}");
            assert!(!found.contains("planted"), "{found}");
        }
    }
}
