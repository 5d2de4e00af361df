//! Refresh tokens: issued for a consent, rotated, and detected when they are used twice.

use std::{collections::HashMap, time::Duration};

use crate::{
    assertion::Refusal,
    recent::{LIMIT, Recent},
    registration::Scopes,
};

/// The server's handling of refresh tokens (RFC 6749 section 6, RFC 9700 section 4.14.2).
///
/// ```
/// use bearer_token_testing::{AuthorizationServer, Client, Consent, RefreshTokens};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = AuthorizationServer::start()?;
/// server.register(Client::public("app"));
/// server.refresh_tokens(RefreshTokens::rotating().allow_retry());
/// // The consent that a person gives in a browser.
/// let refresh_token = server.consent(Consent::new("app", "alice").scope("read write"))?;
/// # let _ = refresh_token; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RefreshTokens {
    rotate: bool,
    retry: bool,
    lifetime: Duration,
}

impl RefreshTokens {
    /// Each response contains a new refresh token and uses up the old one. Using the old one again ends the consent and
    /// revokes its refresh tokens, but not its access tokens. The default.
    pub fn rotating() -> Self {
        RefreshTokens { rotate: true, retry: false, lifetime: Duration::MAX }
    }

    /// The same refresh token can be used again and again.
    pub fn reusable() -> Self {
        RefreshTokens { rotate: false, ..RefreshTokens::rotating() }
    }

    /// Accepts a used refresh token until one of its successors is used, for clients that lost the response.
    #[must_use]
    pub fn allow_retry(mut self) -> Self {
        self.retry = true;
        self
    }

    /// Sets the lifetime of refresh tokens, by the server's clock. Default: unlimited.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }
}

impl Default for RefreshTokens {
    fn default() -> Self {
        RefreshTokens::rotating()
    }
}

/// A person's consent to a client that acts for them.
#[derive(Clone, Debug)]
pub struct Consent {
    client: String,
    subject: String,
    scopes: Scopes,
}

impl Consent {
    /// Creates the consent of this person (`subject`) to the client with this id.
    pub fn new(client: impl Into<String>, subject: impl Into<String>) -> Self {
        Consent { client: client.into(), subject: subject.into(), scopes: Scopes::default() }
    }

    /// Limits the consent to this scope, with spaces between its words. Default: any scope.
    #[must_use]
    pub fn scope(mut self, scope: impl AsRef<str>) -> Self {
        self.scopes = Scopes::only(scope.as_ref().split_ascii_whitespace());
        self
    }
}

/// The consents, and the refresh tokens issued for them.
pub(crate) struct Families {
    pub(crate) settings: RefreshTokens,
    families: HashMap<u64, Family>,
    tokens: Recent<String, IssuedRefreshToken>,
    last: u64,
}

struct Family {
    consent: Consent,
    newest: u64,
    /// The number of the latest refresh token that was used.
    used: u64,
}

#[derive(Clone, Copy)]
struct IssuedRefreshToken {
    family: u64,
    number: u64,
    expiry: Duration,
}

/// The result of using a refresh token.
pub(crate) enum Redemption {
    Good {
        subject: String,
        scopes: Scopes,
    },
    Refused(Refusal),
    /// It was used before; the consent has ended.
    Reused,
}

impl Families {
    pub(crate) fn consent(&mut self, consent: Consent, token: String, now: Duration) {
        self.last += 1;
        self.families.insert(self.last, Family { consent, newest: 1, used: 0 });
        self.insert(token, self.last, 1, now);
    }

    /// Checks whether this client may use the refresh token now. Nothing is used up yet, but reuse is detected.
    pub(crate) fn examine(&mut self, token: &str, client: Option<&str>, now: Duration) -> Redemption {
        let Some(issued) = self.tokens.get(token).copied() else {
            return Redemption::Refused(Refusal("the refresh token is unknown, or was revoked"));
        };
        let Some(family) = self.families.get(&issued.family) else {
            return Redemption::Refused(Refusal("the consent has ended"));
        };
        if client != Some(&family.consent.client) {
            return Redemption::Refused(Refusal("the refresh token belongs to another client"));
        }
        if issued.expiry <= now {
            return Redemption::Refused(Refusal("the refresh token has expired"));
        }
        let used_before = issued.number < family.used || (issued.number == family.used && !self.settings.retry);
        if self.settings.rotate && used_before {
            self.families.remove(&issued.family);
            return Redemption::Reused;
        }
        let Consent { subject, scopes, .. } = family.consent.clone();
        Redemption::Good { subject, scopes }
    }

    /// Uses up the refresh token, and issues `successor` if tokens are rotated. Returns whether they are.
    pub(crate) fn redeem(&mut self, token: &str, successor: &str, now: Duration) -> bool {
        let Some(issued) = self.tokens.get(token).copied().filter(|_| self.settings.rotate) else { return false };
        let Some(family) = self.families.get_mut(&issued.family) else { return false };
        family.used = issued.number;
        family.newest += 1;
        let number = family.newest;
        self.insert(successor.to_owned(), issued.family, number, now);
        true
    }

    pub(crate) fn revoke_all(&mut self) {
        self.families.clear();
        drop(self.tokens.drain());
    }

    fn insert(&mut self, token: String, family: u64, number: u64, now: Duration) {
        let expiry = now.saturating_add(self.settings.lifetime);
        self.tokens.insert(token, IssuedRefreshToken { family, number, expiry });
    }
}

impl Default for Families {
    fn default() -> Self {
        Families { settings: RefreshTokens::default(), families: HashMap::new(), tokens: Recent::new(LIMIT), last: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000);

    /// Uses refresh tokens by number; each response contains the next number. Returns the accepted numbers, `x` for a
    /// refusal, and `!` for a detected reuse.
    fn uses(settings: RefreshTokens, numbers: &str) -> String {
        let mut families = Families { settings, ..Families::default() };
        families.consent(Consent::new("app", "alice"), "1".into(), NOW);
        let mut next = 2;
        let one = |number: &str| match families.examine(number, Some("app"), NOW) {
            Redemption::Good { .. } => {
                if families.redeem(number, &next.to_string(), NOW) {
                    next += 1;
                }
                number.to_owned()
            }
            Redemption::Refused(_) => "x".to_owned(),
            Redemption::Reused => "!".to_owned(),
        };
        numbers.split(' ').map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn reuse_ends_the_consent_unless_it_may_be_a_retry() {
        let rotating = RefreshTokens::rotating;
        for (settings, numbers, expected) in [
            (rotating(), "1 2 3", "1 2 3"),
            (rotating(), "1 1 2", "1 ! x"),
            (rotating(), "1 2 1 3", "1 2 ! x"),
            (rotating(), "7", "x"),
            (rotating().allow_retry(), "1 1 1 4 5", "1 1 1 4 5"),
            // The lost refresh token appears: it was never used.
            (rotating().allow_retry(), "1 1 3 2", "1 1 3 !"),
            (rotating().allow_retry(), "1 2 1 3", "1 2 ! x"),
            (RefreshTokens::reusable(), "1 1 1", "1 1 1"),
        ] {
            assert_eq!(uses(settings.clone(), numbers), expected, "{settings:?} {numbers}");
        }
    }

    #[test]
    fn refresh_tokens_are_bound_to_client_and_lifetime() {
        let mut families =
            Families { settings: RefreshTokens::rotating().lifetime(Duration::from_secs(5)), ..Families::default() };
        families.consent(Consent::new("app", "alice"), "1".into(), NOW);
        let mut good = |client, seconds| {
            matches!(families.examine("1", client, NOW + Duration::from_secs(seconds)), Redemption::Good { .. })
        };
        assert!(good(Some("app"), 4));
        assert!(!good(Some("app"), 5) && !good(Some("other"), 0) && !good(None, 0));
        families.revoke_all();
        assert!(!matches!(families.examine("1", Some("app"), NOW), Redemption::Good { .. }));
    }
}
