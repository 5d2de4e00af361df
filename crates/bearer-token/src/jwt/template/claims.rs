//! The claims set (RFC 7519 section 4): fixed claims, and those that differ in each JWT.
//!
//! Claims come from five places. If two have the same name, the later one in this list is used: fixed, looked up
//! together with the caller's own, generated (`iat`, `nbf`, `exp`, `jti`), computed. The checks of the builder leave
//! only one such pair: a computed claim in place of a generated one.

use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{computed::Computed, context::SignContext, looked_up_claims::LookedUpClaims};
use crate::error::{Error, ErrorKind};

/// The fixed claims, and which others each JWT gets.
pub(crate) struct Claims {
    /// The same in each JWT, checked at `build()`.
    pub(crate) fixed: Map<String, Value>,
    /// Strings from files and variables, read again for each JWT.
    pub(crate) looked_up: LookedUpClaims,
    /// Claims that user code computes. They override `iat`, `nbf`, `exp` and `jti`.
    pub(crate) computed: Computed,
    /// How far `iat` is before the signature.
    pub(crate) backdate: Duration,
    pub(crate) issued_at: bool,
    pub(crate) not_before: Option<NotBefore>,
    /// Whether there is an `exp`. The lifetime counts for the provider either way.
    pub(crate) expiration_time: bool,
    pub(crate) jwt_id: bool,
}

/// The time of `nbf`.
#[derive(Clone, Copy)]
pub(crate) enum NotBefore {
    /// That of `iat`.
    IssuedAt,
    /// This long before the signature.
    Backdated(Duration),
}

impl Claims {
    /// The names of the claims that differ in each JWT.
    pub(crate) fn own_names(&self) -> impl Iterator<Item = &str> {
        self.looked_up.names().chain(self.computed.names()).chain(self.generated_names().map(|name: &str| name))
    }

    /// Whether each JWT has an `exp`, generated or computed.
    pub(crate) fn has_expiration_time(&self) -> bool {
        self.expiration_time || self.computed.has("exp")
    }

    /// The registered claims that each JWT gets.
    fn generated_names(&self) -> impl Iterator<Item = &'static str> {
        [
            ("iat", self.issued_at),
            ("nbf", self.not_before.is_some()),
            ("exp", self.expiration_time),
            ("jti", self.jwt_id),
        ]
        .into_iter()
        .filter_map(|(name, on)| (on && !self.computed.has(name)).then_some(name))
    }

    /// The claims of a new JWT, as JSON, with those that were found for it.
    ///
    /// The fixed claims are written by reference. Copying and serializing them for each JWT used to be most of the cost
    /// of a small one.
    pub(crate) fn text(&self, cx: &SignContext, found: Map<String, Value>) -> Result<String, Error> {
        let mut own = found;
        for name in self.generated_names() {
            let value = match (name, self.not_before) {
                ("exp", _) => cx.expires_at().as_secs().into(),
                ("jti", _) => cx.uuid()?.into(),
                ("nbf", Some(NotBefore::Backdated(backdate))) => cx.before_signature(backdate).as_secs().into(),
                _ => Value::from(cx.issued_at().as_secs()),
            };
            own.insert(name.to_owned(), value);
        }
        own.extend(self.computed.members("claim", cx)?);
        serde_json::to_string(&Merged { fixed: &self.fixed, own: &own })
            .map_err(|_| Error::new(ErrorKind::Signing, "the claims cannot be written as JSON"))
    }
}

/// The fixed claims and those of one JWT, by name, without copies. If both have a claim, the JWT's own is written.
///
/// Sorted by name, whatever order the process's `serde_json` keeps: with the feature `preserve_order` of another crate,
/// its maps keep insertion order.
struct Merged<'a> {
    fixed: &'a Map<String, Value>,
    own: &'a Map<String, Value>,
}

impl Serialize for Merged<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fixed = self.fixed.iter().filter(|(name, _)| !self.own.contains_key(*name));
        let mut all: Vec<_> = fixed.chain(self.own).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        serializer.collect_map(all)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merged_claims_are_sorted_and_the_jwts_own_win() {
        let map = |value: Value| value.as_object().cloned().unwrap();
        let fixed = map(json!({ "sub": "s", "aud": ["a", "b"], "iss": "i" }));
        let own = map(json!({ "iat": 1, "sub": "own", "z": null }));
        let text = serde_json::to_string(&Merged { fixed: &fixed, own: &own }).unwrap();
        assert_eq!(text, r#"{"aud":["a","b"],"iat":1,"iss":"i","sub":"own","z":null}"#);
    }
}
