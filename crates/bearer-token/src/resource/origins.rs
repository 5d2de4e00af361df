//! Which origins a token may be sent to.
//!
//! # The rule
//!
//! | the request goes to | origins are allowed | none is allowed yet |
//! |---|---|---|
//! | an allowed origin | token | - |
//! | another https origin | no token; an error with `refuse_other_origins` | error |
//! | loopback | no token; an error with `refuse_other_origins` | token |
//! | `http`, to another machine | error | error |
//! | a URI without authority, and `connection_origin` is set | as that origin | as that origin |
//! | a URI without authority, and it is not set | error: where it goes is unknown | token |
//! | an authority alone (`CONNECT`) | no token: it is for a proxy | no token |
//! | another scheme, or an authority that cannot be read | error | error |
//!
//! A comparison of bytes with the allowed origins comes before the rule. It decides nearly all requests, and allows
//! none that the rule would refuse.
//!
//! Errors name the origin and the method to call. They never repeat user information or a path, which may be secrets.

use std::fmt;

use http::{Uri, uri::Scheme};

use crate::{
    error::{Error, ErrorKind},
    problem::{Advice, Problem, Problems},
    resource::origin::{Destination, Origin, default_port, is_loopback, normalise, parse},
};

mod shared;
mod spelling;

pub(crate) use self::shared::SharedOrigins;
use self::spelling::{is_host_alone, is_usual_loopback};

/// One allowed origin.
#[derive(Clone, Debug)]
struct Allowed {
    origin: Origin<'static>,
    /// The authority as most requests spell it. In the usual case, one comparison of bytes is enough.
    spelled: String,
    /// The same with the default port spelled out, or left out.
    other: String,
}

/// The rule of one provider.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    allowed: Vec<Allowed>,
    any_https: bool,
    refuse_others: bool,
    /// Whether this stands for a rule that is asked elsewhere: it allows nothing as spelled, not even loopback.
    asked_elsewhere: bool,
    /// The origin of URIs without authority, if the user declared it, and what the rule decides about it.
    connection: Option<(Origin<'static>, OriginVerdict)>,
}

/// What the rule decides about one request.
#[derive(Clone, Debug)]
pub(crate) enum OriginVerdict {
    Authorize,
    /// Another origin: the request is sent without a token.
    Pass,
    Refuse(Error),
}

const AN_ORIGIN: &str = "an origin such as `https://api.example.com`";

impl Allowed {
    fn new(origin: Origin<'static>, spelled: String) -> Self {
        let Origin { https, host, port } = &origin;
        let (with_port, is_default) = (format!("{host}:{port}"), *port == default_port(*https));
        let other = if is_default && spelled.eq_ignore_ascii_case(&with_port) { host.to_string() } else { with_port };
        Allowed { origin, spelled, other }
    }

    /// Whether this is one of the two spellings, in any case of the letters.
    fn is_spelled(&self, authority: &str) -> bool {
        self.spelled.eq_ignore_ascii_case(authority) || self.other.eq_ignore_ascii_case(authority)
    }
}

/// For people: `https://api.example.com, http://127.0.0.1:8080`, or `none`.
impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let any = self.any_https.then(|| "any https origin".to_owned());
        let named: Vec<_> = any.into_iter().chain(self.allowed.iter().map(|one| one.origin.to_string())).collect();
        f.write_str(if named.is_empty() { "none" } else { "" })?;
        f.write_str(&named.join(", "))
    }
}

impl Origins {
    /// Stands for a rule that is asked elsewhere.
    pub(crate) fn asked_elsewhere() -> Self {
        Origins { asked_elsewhere: true, ..Origins::default() }
    }

    /// Allows an origin. Without `plaintext` only `https`, or `http` to loopback.
    pub(crate) fn allow(&mut self, text: &str, plaintext: bool, path: &str, problems: &mut Problems) {
        match parse(text) {
            Err(found) => problems.add(Problem::new(path, found).expecting(AN_ORIGIN)),
            Ok((origin, _)) if !origin.https && !plaintext && !is_loopback(&origin.host) => problems.add(
                Problem::new(path, format!("found `{origin}`"))
                    .expecting("`https://`, because a token would travel in the clear")
                    .advise(Advice::text("change the scheme"))
                    .advise(Advice::set("allow_plaintext_origin")),
            ),
            Ok((origin, spelled)) => self.allowed.push(Allowed::new(origin, spelled)),
        }
    }

    /// Whether both were given the same origins, spelled alike and in the same order.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        fn declared(rule: &Origins) -> Option<&Origin<'static>> {
            rule.connection.as_ref().map(|(origin, _)| origin)
        }
        let flags = |rule: &Self| (rule.any_https, rule.refuse_others);
        let same = |(one, other): (&Allowed, &Allowed)| one.origin == other.origin && one.spelled == other.spelled;
        flags(self) == flags(other)
            && declared(self) == declared(other)
            && self.allowed.len() == other.allowed.len()
            && self.allowed.iter().zip(&other.allowed).all(same)
    }

    /// Allows all of https. Plain `http` stays what it was.
    pub(crate) fn allow_any_https(&mut self) {
        self.any_https = true;
    }

    /// Makes requests to other origins fail, in place of going out without a token.
    pub(crate) fn refuse_others(&mut self) {
        self.refuse_others = true;
    }

    /// Declares the origin of URIs without authority. Call it after all origins have been allowed, because it is
    /// checked here, once.
    pub(crate) fn connection(&mut self, text: &str, problems: &mut Problems) {
        match parse(text) {
            Ok((origin, _)) => {
                let verdict = self.judge_origin(&origin);
                self.connection = Some((origin, verdict));
            }
            Err(found) => problems.add(Problem::new("connection_origin", found).expecting(AN_ORIGIN)),
        }
    }

    /// Reports a declared connection to an origin that is not allowed: its requests would go out without a token.
    pub(crate) fn check_connection(&self, problems: &mut Problems) {
        if let Some((origin, OriginVerdict::Pass | OriginVerdict::Refuse(_))) = &self.connection {
            let problem = Problem::new("connection_origin", format!("found `{origin}`"));
            let secure = origin.https || is_loopback(&origin.host);
            problems.add(problem.expecting("one of the allowed origins").advise(Advice::set(if secure {
                "allow_origin"
            } else {
                "allow_plaintext_origin"
            })));
        }
    }

    /// Whether a URI goes to an https origin, and has it spelled as it was allowed.
    #[inline]
    pub(crate) fn allow_exactly(&self, uri: &Uri) -> bool {
        let Some(authority) = uri.authority() else { return false };
        let is_spelled = |allowed: &Allowed| allowed.origin.https && allowed.spelled == authority.as_str();
        uri.scheme() == Some(&Scheme::HTTPS) && self.allowed.iter().any(is_spelled)
    }

    /// The same for a whole URL as text. The authority ends at the first slash, for every reader of URLs.
    #[inline]
    pub(crate) fn allow_exactly_in(&self, url: &str) -> bool {
        let Some(rest) = url.strip_prefix("https://") else { return false };
        let is_at_the_start = |spelled: &str| rest.strip_prefix(spelled).is_some_and(|rest| rest.starts_with('/'));
        self.allowed.iter().any(|allowed| allowed.origin.https && is_at_the_start(&allowed.spelled))
    }

    /// Whether this is an allowed origin in a usual spelling. [`judge`](Self::judge) knows all spellings, but takes
    /// longer.
    #[inline]
    pub(crate) fn allow_as_spelled(&self, to: Destination<'_>) -> bool {
        let (Some(scheme), Some(authority)) = (to.scheme, to.authority) else { return false };
        // Literals, which are compared in place and not by a call.
        let https = match scheme {
            "https" => true,
            "http" => false,
            _ => return false,
        };
        self.allowed.iter().any(|allowed| allowed.origin.https == https && allowed.spelled == authority)
            || self.allow_in_other_spelling(https, authority)
    }

    /// The usual spellings besides the one that the user wrote. A text that is none of them is left to the parser.
    fn allow_in_other_spelling(&self, https: bool, authority: &str) -> bool {
        if self.any_https && https && is_host_alone(authority) {
            return true;
        }
        if !self.is_any_allowed() {
            return !self.asked_elsewhere && is_usual_loopback(authority);
        }
        self.allowed.iter().any(|allowed| allowed.origin.https == https && allowed.is_spelled(authority))
    }

    /// Applies the rule of the [module docs](self) to a destination, however it is spelled.
    pub(crate) fn judge(&self, to: Destination<'_>) -> OriginVerdict {
        let (Some(scheme), Some(authority)) = (to.scheme, to.authority) else {
            // An authority alone asks a proxy for a tunnel (CONNECT). The token is not for the proxy.
            if to.authority.is_some() {
                return OriginVerdict::Pass;
            }
            return self.judge_connection();
        };
        match normalise(scheme, authority, to.is_read) {
            Ok(origin) => self.judge_origin(&origin),
            Err(found) => OriginVerdict::Refuse(Error::new(
                ErrorKind::Origin,
                format!("{found}; expected an http or https URI: the request was not sent"),
            )),
        }
    }

    /// A client behind a fixed connection (tonic's channel) adds the authority later.
    fn judge_connection(&self) -> OriginVerdict {
        match &self.connection {
            Some((_, verdict)) => verdict.clone(),
            None if self.is_any_allowed() => OriginVerdict::Refuse(Error::new(
                ErrorKind::Origin,
                "the request's URI has no scheme and no host, as it is around tonic's channel, so its origin is \
                 unknown; expected to know it: call .connection_origin(\"https://api.example.com\") on the provider's \
                 builder, with the origin of the connection, or set `connection_origin` in its configuration",
            )),
            None => OriginVerdict::Authorize,
        }
    }

    /// Whether the user named an origin, or all of https.
    pub(crate) fn is_any_allowed(&self) -> bool {
        !self.allowed.is_empty() || self.any_https
    }

    /// The rule for a destination that could be read.
    fn judge_origin(&self, origin: &Origin<'_>) -> OriginVerdict {
        if self.allowed.iter().any(|allowed| allowed.origin == *origin) || (self.any_https && origin.https) {
            return OriginVerdict::Authorize;
        }
        if !self.is_any_allowed() {
            if is_loopback(&origin.host) {
                return OriginVerdict::Authorize;
            }
            return OriginVerdict::Refuse(Error::new(
                ErrorKind::Origin,
                format!("the request goes to `{origin}`, and no origin is allowed yet; {}", origin.how_to_allow()),
            ));
        }
        let downgrade = !origin.https && !is_loopback(&origin.host);
        if self.refuse_others || downgrade {
            let why = if downgrade { "in the clear, " } else { "" };
            return OriginVerdict::Refuse(Error::new(
                ErrorKind::Origin,
                format!(
                    "the request goes {why}to `{origin}`, which is not among the allowed origins; {}",
                    origin.how_to_allow()
                ),
            ));
        }
        OriginVerdict::Pass
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
