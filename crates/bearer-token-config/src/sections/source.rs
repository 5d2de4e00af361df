//! Where tokens come from: the source that the sections of a stage give.

use bearer_token::{
    Advice, Problem, Sending, Setting, TokenProviderBuilder, Value,
    jwt::SelfSigned,
    oauth::{ClientCredentials, JwtBearer, RefreshToken, TokenExchange, TokenType},
};

use super::{
    Fields,
    context::Context,
    jwt::{self, JwtFields},
    origins, policy,
    refresh_token::RefreshFields,
    send, token,
    token_endpoint::EndpointFields,
    token_exchange::ExchangeFields,
};
use crate::{report::ROOT, values::SecretField};

/// The sections that say where tokens come from: of the whole configuration, or of one of its sources.
pub(super) struct Stage<'f> {
    pub(super) token: Option<&'f SecretField>,
    pub(super) jwt: Option<&'f JwtFields>,
    pub(super) refresh_token: Option<&'f RefreshFields>,
    pub(super) token_endpoint: Option<&'f EndpointFields>,
    pub(super) token_exchange: Option<&'f ExchangeFields>,
}

impl Fields {
    /// Sets everything on the builder that does not concern the source.
    pub(crate) fn provider(
        &self,
        builder: TokenProviderBuilder,
        sending: Option<Sending>,
        cx: &mut Context<'_>,
    ) -> TokenProviderBuilder {
        let mut builder = self.origins(builder).policy(self.policy.policy());
        builder = sending.into_iter().fold(builder, TokenProviderBuilder::sending);
        if let Some(name) = &self.name {
            builder = builder.name(name.as_str());
        }
        let problems = builder.problems();
        policy::report(&problems, &mut cx.report);
        for problem in problems.iter().filter(|problem| !policy::is_about(problem)) {
            let is_sending = problem.path().starts_with("sending");
            let names = if is_sending { &send::NAMES } else { &origins::NAMES };
            cx.report.add(names.translate(problem));
        }
        builder
    }

    /// How tokens are sent, if that is configured.
    pub(crate) fn sending(&self, cx: &mut Context<'_>) -> Option<Sending> {
        let uses = cx.used.len();
        let sending = self.send.as_ref()?.sending(cx);
        if cx.has_used_since(uses) {
            let problem = Problem::new("send.headers", "found a variable in a header that all keys send");
            cx.report.add(problem.expecting("values that are the same for all keys"));
        }
        Some(sending)
    }

    /// The section that the provider's tokens come from.
    pub(crate) fn section(&self) -> &'static str {
        match (&self.token_endpoint, &self.jwt) {
            (Some(_), _) => "token_endpoint",
            (None, Some(_)) => "jwt",
            (None, None) => "token",
        }
    }

    /// Reports fields that several sets of variables cannot share.
    pub(crate) fn check_variables(&self, cx: &mut Context<'_>) {
        if let Some(refresh) = &self.refresh_token {
            refresh.report_sharing(cx);
        }
    }

    /// The grant of the section `refresh_token`, if nothing is wrong with it.
    pub(crate) fn refresh_grant(&self, cx: &mut Context<'_>) -> Option<RefreshToken> {
        cx.required("refresh_token", self.refresh_token.as_ref(), "the section with a `file` for the refresh token")?
            .stored_grant(cx)
    }

    /// Whether the refresh token is kept in the store of the section `shared`.
    pub(crate) fn shares_refresh_token(&self) -> bool {
        self.refresh_token.as_ref().is_some_and(RefreshFields::is_shared)
    }

    /// A builder on the source, if nothing is wrong with it.
    pub(crate) fn source(&self, cx: &mut Context<'_>) -> Option<TokenProviderBuilder> {
        let stage = Stage {
            token: self.token.as_ref(),
            jwt: self.jwt.as_ref(),
            refresh_token: self.refresh_token.as_ref(),
            token_endpoint: self.token_endpoint.as_ref(),
            token_exchange: self.token_exchange.as_ref(),
        };
        stage.source(cx)
    }
}

impl Stage<'_> {
    /// A builder on the source, if nothing is wrong with it.
    pub(super) fn source(&self, cx: &mut Context<'_>) -> Option<TokenProviderBuilder> {
        let assertion = self.token_endpoint.is_some_and(EndpointFields::has_assertion);
        let ways = [
            ("refresh_token", self.refresh_token.is_some()),
            ("token_exchange", self.token_exchange.is_some()),
            ("token_endpoint.assertion", assertion),
            ("token", self.token.is_some()),
            ("jwt", self.jwt.is_some()),
        ];
        let mut found = ways.into_iter().filter(|(_, is_present)| *is_present).map(|(way, _)| way);
        if let (Some(first), Some(second)) = (found.next(), found.next()) {
            cx.report.add(only_one(first, &format!("`{second}`")));
        } else if self.token.is_some() && self.token_endpoint.is_some() {
            cx.report.add(only_one("token", "`token_endpoint`"));
        }
        if let Some(refresh) = self.refresh_token {
            return refresh.source(self.token_endpoint, cx);
        }
        if let Some(exchange) = self.token_exchange {
            let grant = exchange.grant(cx);
            let expected = "the token endpoint that exchanges the token";
            let endpoint = cx.required("token_endpoint", self.token_endpoint, expected)?;
            // With a stand-in, the endpoint is checked as well.
            let stand_in = || TokenExchange::new(Value::from("x"), TokenType::JWT);
            let source = endpoint.source(grant.clone().unwrap_or_else(stand_in), cx);
            return grant.and(source.map(|source| cx.provider(source)));
        }
        match (self.token, self.jwt, self.token_endpoint) {
            (None, None, None) => {
                let found = "found none of the ways to get tokens";
                let set = |field: &'static str| Advice::Set(Setting::Field(field.into()));
                let problem = Problem::new(ROOT, found).expecting("one of them");
                cx.report.add(
                    ["token_endpoint.url", "jwt.key", "token"].map(set).into_iter().fold(problem, Problem::advise),
                );
                None
            }
            (Some(token), _, _) => token::source(token, cx),
            (None, Some(jwt), None) => {
                let source = SelfSigned::new(jwt.template(&jwt::JWT, cx)?);
                Some(cx.provider(source))
            }
            (None, Some(jwt), Some(endpoint)) => {
                let template = jwt.template(&jwt::JWT, cx);
                let keeps = template.is_some() && endpoint.keeps_previous_credential();
                let renewal = if keeps { endpoint.renewal_of_grant(jwt, cx) } else { None };
                // With a stand-in, the endpoint is checked as well.
                let grant = JwtBearer::new(template.clone().or_else(jwt::stand_in)?);
                let source = endpoint.source_with(endpoint.named(grant), renewal, cx);
                template.and(source.map(|source| cx.provider(source)))
            }
            (None, None, Some(endpoint)) if assertion => {
                let grant = endpoint.assertion_grant(cx);
                let stand_in = || jwt::stand_in().map(JwtBearer::new);
                let source = endpoint.source(grant.clone().or_else(stand_in)?, cx);
                grant.and(source.map(|source| cx.provider(source)))
            }
            (None, None, Some(endpoint)) => {
                endpoint.require_client(cx);
                endpoint.source(ClientCredentials::new(), cx).map(|source| cx.provider(source))
            }
        }
    }
}

fn only_one(path: &str, other: &str) -> Problem {
    Problem::new(path, format!("found beside {other}"))
        .expecting("only one way to get tokens")
        .advise(Advice::text("remove one of them"))
}
