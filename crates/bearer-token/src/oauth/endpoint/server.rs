//! The authorization server, as it was given to the builder.
//!
//! `Server` is what the user wrote, `CheckedServer` is what passed the checks, and [`Location`] is what requests use.
//! Three types instead of one, because each of them has something that the others must not have: unchecked text, the
//! audience, a cache.

use std::sync::Arc;

use crate::{
    oauth::{
        client_auth::Audience,
        discovery::{Discovery, Issuer, WELL_KNOWN},
        endpoint::location::Location,
        endpoint_url::EndpointUrl,
        request::wire,
    },
    problem::{Advice, Problem, Problems},
    transport::DynTransport,
};

/// What identifies the authorization server.
#[derive(Clone)]
pub(crate) enum Server {
    Url { url: String, issuer: Option<String> },
    Issuer(String),
}

/// What identifies the authorization server, after its checks.
pub(crate) enum CheckedServer {
    Url { url: EndpointUrl, issuer: Option<String> },
    Issuer(Issuer),
}

impl Server {
    /// Checks the URL or the issuer. Reports a problem and returns `None` if it is unusable.
    pub(crate) fn checked(
        self,
        allow_plaintext: bool,
        use_mtls_alias: bool,
        problems: &mut Problems,
    ) -> Option<CheckedServer> {
        match self {
            Server::Url { url, issuer } => {
                if use_mtls_alias {
                    let problem = Problem::new("use_mtls_alias", "found beside a URL, which is used as it is");
                    problems.add(problem.advise(Advice::remove("use_mtls_alias")));
                }
                match issuer.as_deref() {
                    Some("") => {
                        let problem =
                            Problem::new("issuer", "found an empty string").expecting("the issuer of the server");
                        problems.add(problem.advise(Advice::remove("issuer")));
                    }
                    Some(issuer) => _ = wire::check("issuer", issuer, problems),
                    None => {}
                }
                let url = EndpointUrl::parse(&url, allow_plaintext, problems)?;
                if WELL_KNOWN.iter().any(|metadata| url.uri().path().contains(metadata)) {
                    let problem = Problem::new("url", "found the URL of a server's metadata")
                        .expecting("that of its token endpoint");
                    problems.add(problem.advise(Advice::text("write what the metadata have as `token_endpoint`")));
                    return None;
                }
                Some(CheckedServer::Url { url, issuer })
            }
            Server::Issuer(issuer) => Issuer::parse(&issuer, allow_plaintext, problems).map(CheckedServer::Issuer),
        }
    }
}

impl CheckedServer {
    /// The audience of the client's assertions.
    ///
    /// The rule of the crate: the issuer if it is known, the URL otherwise. draft-ietf-oauth-rfc7523bis demands the
    /// former, and RFC 7523 section 3 allows the latter.
    pub(crate) fn audience(&self) -> Audience {
        match self {
            CheckedServer::Url { issuer: Some(issuer), .. } => Audience::Issuer(issuer.clone()),
            CheckedServer::Url { url, issuer: None } => Audience::Other(url.audience().to_owned()),
            CheckedServer::Issuer(issuer) => Audience::Issuer(issuer.as_str().to_owned()),
        }
    }

    pub(crate) fn location(self, use_mtls_alias: bool, transport: &Arc<dyn DynTransport>) -> Location {
        match self {
            CheckedServer::Url { url, .. } => Location::Fixed(url),
            CheckedServer::Issuer(issuer) => {
                Location::Discovered(Discovery::new(issuer, use_mtls_alias, Arc::clone(transport)))
            }
        }
    }
}
