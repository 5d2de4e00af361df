//! Refresh tokens: issued for a consent, rotated, and found out when they are used twice.

use std::{collections::HashMap, time::Duration};

use crate::{
    assertion::Refusal,
    recent::{LIMIT, Recent},
    registration::Scopes,
};

/// How the server treats refresh tokens (RFC 6749 section 6, RFC 9700 section 4.14.2).
///
/// ```
/// use bearer_token_testing::{AuthorizationServer, Client, Consent, RefreshTokens};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = AuthorizationServer::start()?;
/// server.register(Client::public("app"));
/// server.refresh_tokens(RefreshTokens::rotating().allow_retry());
/// // What a person does in a browser.
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
    /// Each answer has a new one, and the old one is used up: using it again ends the consent, and with it all refresh
    /// tokens that came of it. Access tokens stay good. The default.
    pub fn rotating() -> Self {
        RefreshTokens { rotate: true, retry: false, lifetime: Duration::MAX }
    }

    /// The same one is used again and again.
    pub fn reusable() -> Self {
        RefreshTokens { rotate: false, ..RefreshTokens::rotating() }
    }

    /// A used one is taken again as long as none of its successors was used: for clients whose answer got lost.
    #[must_use]
    pub fn allow_retry(mut self) -> Self {
        self.retry = true;
        self
    }

    /// How long one is good, by the server's clock. Default: for ever.
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

/// What a person has consented to: that a client acts for them.
#[derive(Clone, Debug)]
pub struct Consent {
    client: String,
    subject: String,
    scopes: Scopes,
}

impl Consent {
    /// The client with this id may act for this person.
    pub fn new(client: impl Into<String>, subject: impl Into<String>) -> Self {
        Consent { client: client.into(), subject: subject.into(), scopes: Scopes::default() }
    }

    /// Within this scope: words with blanks between them. Without, any may be asked for.
    #[must_use]
    pub fn scope(mut self, scope: impl AsRef<str>) -> Self {
        self.scopes = Scopes::only(scope.as_ref().split_ascii_whitespace());
        self
    }
}

/// The consents, and the refresh tokens that came of them.
pub(crate) struct Families {
    pub(crate) settings: RefreshTokens,
    families: HashMap<u64, Family>,
    tokens: Recent<String, Issued>,
    last: u64,
}

struct Family {
    consent: Consent,
    newest: u64,
    /// The latest one that was used.
    used: u64,
}

#[derive(Clone, Copy)]
struct Issued {
    family: u64,
    number: u64,
    expiry: Duration,
}

/// What becomes of a refresh token that is used.
pub(crate) enum Used {
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

    /// Looks whether this client may use it now. Nothing is used up yet, but reuse is noticed.
    pub(crate) fn examine(&mut self, token: &str, client: Option<&str>, now: Duration) -> Used {
        let Some(issued) = self.tokens.get(token).copied() else {
            return Used::Refused(Refusal("the refresh token is unknown, or was revoked"));
        };
        let Some(family) = self.families.get(&issued.family) else {
            return Used::Refused(Refusal("the consent has ended"));
        };
        if client != Some(&family.consent.client) {
            return Used::Refused(Refusal("the refresh token is another client's"));
        }
        if issued.expiry <= now {
            return Used::Refused(Refusal("the refresh token has expired"));
        }
        let used_before = issued.number < family.used || (issued.number == family.used && !self.settings.retry);
        if self.settings.rotate && used_before {
            self.families.remove(&issued.family);
            return Used::Reused;
        }
        let Consent { subject, scopes, .. } = family.consent.clone();
        Used::Good { subject, scopes }
    }

    /// Uses it up; `successor` is the text of the one that follows. Whether there is one.
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
        self.tokens.insert(token, Issued { family, number, expiry });
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

    /// Uses refresh tokens by number, each answer having the next number, and says which were taken, `x` for not, and
    /// `!` for a reuse that was found out.
    fn uses(settings: RefreshTokens, numbers: &str) -> String {
        let mut families = Families { settings, ..Families::default() };
        families.consent(Consent::new("app", "alice"), "1".into(), NOW);
        let mut next = 2;
        let one = |number: &str| match families.examine(number, Some("app"), NOW) {
            Used::Good { .. } => {
                if families.redeem(number, &next.to_string(), NOW) {
                    next += 1;
                }
                number.to_owned()
            }
            Used::Refused(_) => "x".to_owned(),
            Used::Reused => "!".to_owned(),
        };
        numbers.split(' ').map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_old_refresh_token_ends_the_consent_unless_it_may_be_a_retry() {
        let rotating = RefreshTokens::rotating;
        for (settings, numbers, expected) in [
            (rotating(), "1 2 3", "1 2 3"),
            (rotating(), "1 1 2", "1 ! x"),
            (rotating(), "1 2 1 3", "1 2 ! x"),
            (rotating(), "7", "x"),
            (rotating().allow_retry(), "1 1 1 4 5", "1 1 1 4 5"),
            // The lost one turns up: it was never used.
            (rotating().allow_retry(), "1 1 3 2", "1 1 3 !"),
            (rotating().allow_retry(), "1 2 1 3", "1 2 ! x"),
            (RefreshTokens::reusable(), "1 1 1", "1 1 1"),
        ] {
            assert_eq!(uses(settings.clone(), numbers), expected, "{settings:?} {numbers}");
        }
    }

    #[test]
    fn a_refresh_token_is_good_for_its_client_and_its_lifetime() {
        let mut families =
            Families { settings: RefreshTokens::rotating().lifetime(Duration::from_secs(5)), ..Families::default() };
        families.consent(Consent::new("app", "alice"), "1".into(), NOW);
        let mut good = |client, seconds| {
            matches!(families.examine("1", client, NOW + Duration::from_secs(seconds)), Used::Good { .. })
        };
        assert!(good(Some("app"), 4));
        assert!(!good(Some("app"), 5) && !good(Some("other"), 0) && !good(None, 0));
        families.revoke_all();
        assert!(!matches!(families.examine("1", Some("app"), NOW), Used::Good { .. }));
    }
}
