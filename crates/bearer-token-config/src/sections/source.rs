//! The provider that the sections give: where its tokens come from, and where they may go.

use bearer_token::{
    Problem, TokenProvider, TokenProviderBuilder,
    jwt::SelfSigned,
    oauth::{ClientCredentials, JwtBearer},
};

use super::{Context, Fields, jwt, origins, policy, token};
use crate::report::Report;

impl Fields {
    /// The builder with everything that is not the source's.
    pub(crate) fn provider(&self, builder: TokenProviderBuilder, report: &mut Report) -> TokenProviderBuilder {
        let mut builder = self.origins(builder).policy(self.policy());
        if let Some(name) = &self.name {
            builder = builder.name(name.as_str());
        }
        for problem in builder.problems() {
            let names = if problem.path().starts_with("policy") { &policy::NAMES } else { &origins::NAMES };
            report.add(names.translate(&problem));
        }
        builder
    }

    /// A builder on the source, if nothing is wrong with it.
    pub(crate) fn source(&self, cx: &mut Context<'_>) -> Option<TokenProviderBuilder> {
        if let Some(refresh) = &self.refresh_token {
            if self.token.is_some() || self.jwt.is_some() {
                cx.report.add(only_one("refresh_token", "found beside `token` or `jwt`"));
            }
            return refresh.source(self.token_endpoint.as_ref(), cx);
        }
        match (&self.token, &self.jwt, &self.token_endpoint) {
            (None, None, None) => {
                let found = "found none of `token`, `jwt` and `token_endpoint`";
                cx.report.add(Problem::new("jwt", found).expecting("a way to get tokens"));
                None
            }
            (Some(token), None, None) => token::source(token, cx),
            (Some(_), _, _) => {
                cx.report.add(only_one("token", "found beside `jwt` or `token_endpoint`"));
                None
            }
            (None, Some(jwt), None) => Some(TokenProvider::builder(SelfSigned::new(jwt.template(cx)?))),
            (None, Some(jwt), Some(endpoint)) => {
                let template = jwt.template(cx);
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
