//! The claims set (RFC 7519 section 4): fixed claims, and those that differ in each JWT.
//!
//! Claims come from five places. If two have the same name, the later one in this list is used. The order is: fixed,
//! looked up together with the caller's own, generated (`iat`, `nbf`, `exp`, `jti`), computed. The checks of the
//! builder leave only one such pair: a computed claim in place of a generated one.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{computed::Computed, looked_up_claims::LookedUpClaims};

/// The fixed claims, and which others each JWT gets.
#[derive(Clone)]
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
    pub(super) fn generated_names(&self) -> impl Iterator<Item = &'static str> {
        [
            ("iat", self.issued_at),
            ("nbf", self.not_before.is_some()),
            ("exp", self.expiration_time),
            ("jti", self.jwt_id),
        ]
        .into_iter()
        .filter_map(|(name, on)| (on && !self.computed.has(name)).then_some(name))
    }
}
