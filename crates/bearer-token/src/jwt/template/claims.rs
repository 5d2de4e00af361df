//! The claims set (RFC 7519 section 4): fixed claims, and those that differ in each JWT.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::{computed::Computed, context::SignContext, strings::LookedUpClaims};
use crate::{
    error::{Error, ErrorKind},
    platform::Moment,
};

/// The fixed claims, and which others each JWT gets.
pub(crate) struct Claims {
    pub(crate) fixed: Map<String, Value>,
    pub(crate) looked_up: LookedUpClaims,
    /// Claims that user code computes. They override `iat`, `nbf`, `exp` and `jti`.
    pub(crate) computed: Computed,
    pub(crate) backdate: Duration,
    pub(crate) issued_at: bool,
    pub(crate) not_before: bool,
    pub(crate) expiration_time: bool,
    pub(crate) jwt_id: bool,
}

/// The moments of one JWT, as `NumericDate`s (RFC 7519 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    issued: u64,
    expires: u64,
}

impl Times {
    /// Whole seconds: `iat` and `lifetime` are rounded down and the back-date up. So the JWT never lives longer than
    /// `lifetime`. `exp` is never in the past, because it is at least one second after the current one.
    pub(crate) fn new(now: Moment, backdate: Duration, lifetime: Duration) -> Self {
        let issued = now.since_epoch().as_secs().saturating_sub(whole_backdate(backdate));
        Times { issued, expires: issued.saturating_add(lifetime.as_secs()) }
    }

    pub(crate) fn expires(self) -> SystemTime {
        UNIX_EPOCH.checked_add(self.expires_at()).unwrap_or(UNIX_EPOCH)
    }

    /// The `iat`.
    pub(crate) fn issued_at(self) -> Duration {
        Duration::from_secs(self.issued)
    }

    /// The `exp`.
    pub(crate) fn expires_at(self) -> Duration {
        Duration::from_secs(self.expires)
    }
}

/// Rounds up to whole seconds.
pub(crate) fn whole_backdate(backdate: Duration) -> u64 {
    backdate.as_secs().saturating_add((backdate.subsec_nanos() > 0).into())
}

impl Claims {
    /// The names of the claims that differ in each JWT.
    pub(crate) fn own_names(&self) -> impl Iterator<Item = &str> {
        self.looked_up.names().chain(self.computed.names()).chain(self.generated_names().map(|name: &str| name))
    }

    /// The registered claims that each JWT gets.
    fn generated_names(&self) -> impl Iterator<Item = &'static str> {
        [("iat", self.issued_at), ("nbf", self.not_before), ("exp", self.expiration_time), ("jti", self.jwt_id)]
            .into_iter()
            .filter_map(|(name, on)| (on && !self.computed.has(name)).then_some(name))
    }

    /// The claims of a new JWT, as JSON, with those that were found for it.
    pub(crate) fn text(&self, cx: &SignContext, found: Map<String, Value>) -> Result<String, Error> {
        let mut claims = self.fixed.clone();
        claims.extend(found);
        for name in self.generated_names() {
            let value = match name {
                "exp" => cx.expires_at().as_secs().into(),
                "jti" => cx.uuid()?.into(),
                _ => Value::from(cx.issued_at().as_secs()),
            };
            claims.insert(name.to_owned(), value);
        }
        claims.extend(self.computed.members("claim", cx)?);
        serde_json::to_string(&claims)
            .map_err(|_| Error::new(ErrorKind::Signing, "the claims cannot be written as JSON"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(now: (u64, u32), backdate: Duration, lifetime: Duration) -> Times {
        Times::new(Moment::new(Duration::ZERO, UNIX_EPOCH + Duration::new(now.0, now.1)), backdate, lifetime)
    }

    #[test]
    fn l22_the_lifetime_includes_the_back_date() {
        let (ten, sixty) = (Duration::from_secs(10), Duration::from_secs(60));
        assert_eq!(times((1_000, 0), ten, sixty), Times { issued: 990, expires: 1_050 });
        assert_eq!(times((1_000, 999_999_999), ten, sixty), Times { issued: 990, expires: 1_050 });
        let odd = Duration::from_millis(9_500);
        assert_eq!(times((1_000, 0), odd, Duration::from_millis(60_999)), Times { issued: 990, expires: 1_050 });
        assert_eq!(times((5, 0), ten, sixty), Times { issued: 0, expires: 60 });
    }

    #[test]
    fn no_time_overflows() {
        let late = times((u64::MAX / 1_000_000_001, 0), Duration::ZERO, Duration::MAX);
        assert_eq!(late.expires, u64::MAX);
        let _no_panic = late.expires();
    }
}
