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

/// Adds the problems of a part under the part's path, by the names of its fields.
pub(super) fn add(problems: &mut Problems, prefix: &str, names: Names, found: &Problems) {
    for problem in found.iter() {
        let path = problem.path();
        let path = path.strip_prefix(prefix).and_then(|path| path.strip_prefix('.')).unwrap_or(path);
        let (first, rest) = path.split_at(path.find('.').unwrap_or(path.len()));
        let first = names.iter().find(|(method, _)| *method == first).map_or(first, |(_, field)| field);
        problems.push(format!("{prefix}.{first}{rest}"), problem.message());
    }
}
