//! What differs between servers: data, and the few steps that are a server's own.

use std::{future::Future, pin::Pin, time::Duration};

use anyhow::Result;
use bearer_token::jwt::Algorithm;

use crate::run::Run;

pub(crate) type Step<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// One authorization server.
pub(crate) struct Profile {
    /// Its folder in `tests/interop`.
    pub(crate) name: &'static str,
    /// For the matrix: name, version, registry.
    pub(crate) title: &'static str,
    /// The issuer's path, or an empty string.
    pub(crate) issuer_path: &'static str,
    pub(crate) endpoints: Endpoints,
    /// The path of introspection at the administrators' port, or an empty string.
    pub(crate) admin_introspection: &'static str,
    /// The path that responds with success once the server is ready.
    pub(crate) ready_path: &'static str,
    pub(crate) start_limit: Duration,
    /// The lifetime of its tokens, in seconds.
    pub(crate) lifetime: u64,
    /// The scope that its clients ask for.
    pub(crate) scope: &'static str,
    /// The algorithm of assertions in flows that need just one.
    pub(crate) algorithm: Algorithm,
    /// The client that the flows use where it does not matter: `basic`, unless the server has none.
    pub(crate) client: &'static str,
    /// What this server does in another way than most. The first match counts; a name that ends in `*` is a prefix.
    pub(crate) expectations: &'static [(&'static str, Expect)],
    /// Registers the clients, after the server has started for the first time.
    pub(crate) setup: for<'a> fn(&'a Run) -> Step<'a, ()>,
    /// Gives a refresh token for the client `refresh`, as a user who consents.
    pub(crate) consent: Option<for<'a> fn(&'a Run) -> Step<'a, String>>,
    /// The resource to ask for, and how the token's audience begins if the server honours it.
    pub(crate) resource: &'static str,
    /// The audience of assertions in the JWT bearer grant.
    pub(crate) assertion_audience: Audience,
}

impl Profile {
    /// What most servers have in common.
    pub(crate) const USUAL: Profile = Profile {
        name: "",
        title: "",
        issuer_path: "",
        endpoints: Endpoints::Metadata("/.well-known/openid-configuration"),
        admin_introspection: "",
        ready_path: "/.well-known/openid-configuration",
        start_limit: Duration::from_secs(30),
        lifetime: 4,
        scope: "read write",
        algorithm: Algorithm::ES256,
        client: "basic",
        expectations: &[],
        setup: |_| Box::pin(async { Ok(()) }),
        consent: None,
        resource: "https://api.example.com/",
        assertion_audience: Audience::TokenUrl,
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    TokenUrl,
    Issuer,
}

/// Where the endpoints are.
#[derive(Clone, Copy)]
pub(crate) enum Endpoints {
    /// In the metadata at this path.
    Metadata(&'static str),
    /// The server has no metadata: token, introspection, revocation, keys.
    Paths { token: &'static str, introspection: &'static str, revocation: &'static str, keys: Option<&'static str> },
}

/// What a case ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// A token that the API accepts.
    Token,
    /// A refusal with this error code. An empty string stands for a refusal without a code.
    Refused(&'static str),
    /// A token, although the request has a mistake: the server does not look for it.
    Unchecked,
    /// A status of 5xx: the server fails where it should refuse.
    Fault,
    /// The server cannot be asked. The text says why.
    Absent(&'static str),
}

impl Profile {
    /// The expectation for a case, or the usual one.
    pub(crate) fn expect(&self, case: &str, usual: Expect) -> Expect {
        let matches = |name: &str| name.strip_suffix('*').map_or(name == case, |prefix| case.starts_with(prefix));
        self.expectations.iter().find(|(name, _)| matches(name)).map_or(usual, |(_, expect)| *expect)
    }
}
