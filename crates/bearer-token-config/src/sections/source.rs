//! Where tokens come from: the source that the sections of a stage give.

use bearer_token::{
    Advice, Problem, Setting, TokenProvider, TokenProviderBuilder,
    jwt::SelfSigned,
    oauth::{ClientCredentials, JwtBearer},
};

use super::{
    Fields,
    context::Context,
    jwt::{self, JwtFields},
    origins, policy,
    refresh_token::RefreshFields,
    token,
    token_endpoint::EndpointFields,
};
use crate::{fit::ROOT, report::Report, values::SecretField};

/// The sections that say where tokens come from: of the whole configuration, or of one of its sources.
pub(super) struct Stage<'f> {
    pub(super) token: Option<&'f SecretField>,
    pub(super) jwt: Option<&'f JwtFields>,
    pub(super) refresh_token: Option<&'f RefreshFields>,
    pub(super) token_endpoint: Option<&'f EndpointFields>,
}

impl Fields {
    /// The builder with everything that is not the source's.
    pub(crate) fn provider(&self, builder: TokenProviderBuilder, report: &mut Report) -> TokenProviderBuilder {
        let mut builder = self.origins(builder).policy(self.policy.policy());
        if let Some(name) = &self.name {
            builder = builder.name(name.as_str());
        }
        let problems = builder.problems();
        policy::report(&problems, report);
        for problem in problems.iter().filter(|problem| !policy::is_about(problem)) {
            report.add(origins::NAMES.translate(problem));
        }
        builder
    }

    /// A builder on the source, if nothing is wrong with it.
    pub(crate) fn source(&self, cx: &mut Context<'_>) -> Option<TokenProviderBuilder> {
        let stage = Stage {
            token: self.token.as_ref(),
            jwt: self.jwt.as_ref(),
            refresh_token: self.refresh_token.as_ref(),
            token_endpoint: self.token_endpoint.as_ref(),
        };
        stage.source(cx)
    }
}

impl Stage<'_> {
    /// A builder on the source, if nothing is wrong with it.
    pub(super) fn source(&self, cx: &mut Context<'_>) -> Option<TokenProviderBuilder> {
        if let Some(refresh) = self.refresh_token {
            if self.token.is_some() || self.jwt.is_some() {
                cx.report.add(only_one("refresh_token", "found beside `token` or `jwt`"));
            }
            return refresh.source(self.token_endpoint, cx);
        }
        match (self.token, self.jwt, self.token_endpoint) {
            (None, None, None) => {
                let found = "found none of the ways to get tokens";
                let set = |field: &'static str| Advice::Set(Setting::Field(field.into()));
                let problem = Problem::new(ROOT, found).expecting("one of them");
                cx.report.add(["token_endpoint", "jwt", "token"].map(set).into_iter().fold(problem, Problem::advise));
                None
            }
            (Some(token), None, None) => token::source(token, cx),
            (Some(_), _, _) => {
                cx.report.add(only_one("token", "found beside `jwt` or `token_endpoint`"));
                None
            }
            (None, Some(jwt), None) => Some(TokenProvider::builder(SelfSigned::new(jwt.template(&jwt::JWT, cx)?))),
            (None, Some(jwt), Some(endpoint)) => {
                let template = jwt.template(&jwt::JWT, cx);
                // With a stand-in, the endpoint is checked as well.
                let assertion = JwtBearer::new(template.clone().or_else(jwt::stand_in)?);
                let source = endpoint.source(assertion, cx);
                template.and(source.map(TokenProvider::builder))
            }
            (None, None, Some(endpoint)) => {
                if endpoint.client.is_none() {
                    let problem = Problem::new("token_endpoint.client", "found nothing");
                    cx.report.add(problem.expecting("the client's id and credential, or a `jwt` to exchange"));
                }
                endpoint.source(ClientCredentials::new(), cx).map(TokenProvider::builder)
            }
        }
    }
}

fn only_one(path: &str, found: &'static str) -> Problem {
    Problem::new(path, found).expecting("only one way to get tokens")
}
