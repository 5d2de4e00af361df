//! Fields are called by what they hold, builders' methods by what they do: where the two differ.

use crate::error::Problems;

/// From the first word of a problem's path to the field.
pub(super) type Names = &'static [(&'static str, &'static str)];

pub(super) const JWT: Names = &[
    ("audiences", "audience"),
    ("backdate", "backdate_seconds"),
    ("header", "headers"),
    ("key_id", "headers.kid"),
    ("lifetime", "expiry_seconds"),
];

pub(super) const KEY: Names = &[("key_id", "kid")];

pub(super) const ENDPOINT: Names = &[
    ("accept_token_type", "accept_token_types"),
    ("client_auth", "client"),
    ("header", "headers"),
    ("parameter", "parameters"),
];

pub(super) const POLICY: Names = &[
    ("default_lifetime", "default_lifetime_seconds"),
    ("fetch_timeout", "fetch_timeout_seconds"),
    ("max_lifetime", "max_lifetime_seconds"),
    ("refresh_timeout", "refresh_timeout_seconds"),
];

/// What a builder's user would call, and what a file has instead.
const WORDS: &[(&str, &str)] = &[
    ("call `.allow_plaintext()`", "set `allow_plaintext = true`"),
    ("allow_plaintext_origin(..)", "`allow_plaintext_origins`"),
    ("`SigningKey::hmac_short_secret`", "`allow_short_secret = true`"),
    ("give its passphrase with `SigningKey::from_encrypted_pem`", "set `passphrase`"),
    ("use `SigningKey::from_jwk_set`", "set `kid`"),
    ("name the one to sign with: `KeyReader` takes it", "set `algorithm`"),
    ("choose the algorithm it was made for and use `SigningKey::from_pem`", "set the `algorithm` it was made for"),
    ("load it with `SigningKey::from_pem`", "give one"),
    (
        "give it as base64 with `KeyReader::encoding`, or use `SigningKey::hmac`",
        "give it as base64 with `encoding = \"base64\"`",
    ),
    (": use `SigningKey::hmac`", ""),
    ("set `.client_auth(..)`", "set `token_endpoint.client`"),
];

/// A message in the words of a configuration.
pub(super) fn in_fields(message: &str) -> String {
    WORDS.iter().fold(message.to_owned(), |message, (call, field)| message.replace(call, field))
}

/// Adds the problems of a part under the part's path, by the names of its fields.
pub(super) fn add(problems: &mut Problems, prefix: &str, names: Names, found: &Problems) {
    for problem in found.iter() {
        let path = problem.path();
        let path = path.strip_prefix(prefix).and_then(|path| path.strip_prefix('.')).unwrap_or(path);
        let (first, rest) = path.split_at(path.find('.').unwrap_or(path.len()));
        let first = names.iter().find(|(method, _)| *method == first).map_or(first, |(_, field)| field);
        problems.push(format!("{prefix}.{first}{rest}"), in_fields(problem.message()));
    }
}
