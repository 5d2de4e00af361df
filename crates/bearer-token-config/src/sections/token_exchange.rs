//! The section `token_exchange`: a token that is exchanged for another one.

use bearer_token::{
    Advice, Problem, Value,
    oauth::{TokenExchange, TokenType},
};
#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;

use super::context::Context;
use crate::{
    nearest::nearest,
    values::{SecretField, Text},
};

const PATH: &str = "token_exchange";

/// A token to exchange at the `token_endpoint` (RFC 8693).
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExchangeFields {
    /// The token to exchange: from a file, an environment variable or a source. It is read again for each request.
    subject_token: Option<SecretField>,
    /// Its type: `access_token`, `id_token`, `jwt`, `refresh_token`, `saml1`, `saml2`, `id_jag`, or any URI.
    subject_token_type: Option<Text>,
    /// The token of the party that acts for the subject.
    actor_token: Option<SecretField>,
    /// Its type: one of the words for `subject_token_type`, or any URI.
    actor_token_type: Option<Text>,
    /// The type of the token to issue: one of the words for `subject_token_type`, or any URI. Default: the server
    /// decides.
    requested_token_type: Option<Text>,
}

/// The short names of token types (RFC 8693 section 3).
static TYPES: [(&str, TokenType); 7] = [
    ("access_token", TokenType::ACCESS_TOKEN),
    ("id_token", TokenType::ID_TOKEN),
    ("jwt", TokenType::JWT),
    ("refresh_token", TokenType::REFRESH_TOKEN),
    ("saml1", TokenType::SAML1),
    ("saml2", TokenType::SAML2),
    ("id_jag", TokenType::ID_JAG),
];

impl ExchangeFields {
    /// The grant, if nothing is wrong with it.
    pub(super) fn grant(&self, cx: &mut Context<'_>) -> Option<TokenExchange> {
        let subject = token("subject_token", self.subject_token.as_ref(), cx);
        let subject_type = token_type("subject_token_type", self.subject_token_type.as_ref(), cx);
        if self.subject_token_type.is_none() {
            let problem = Problem::new(format!("{PATH}.subject_token_type"), "found nothing");
            cx.report.add(problem.expecting(EXPECTED));
        }
        let actor = self.actor_token.as_ref().map(|actor| token("actor_token", Some(actor), cx));
        let actor_type = token_type("actor_token_type", self.actor_token_type.as_ref(), cx);
        for (name, is_missing) in [
            ("actor_token", self.actor_token.is_none() && self.actor_token_type.is_some()),
            ("actor_token_type", self.actor_token.is_some() && self.actor_token_type.is_none()),
        ] {
            if is_missing {
                let problem = Problem::new(format!("{PATH}.{name}"), "found nothing beside the other of the two");
                cx.report.add(problem.expecting("both, or neither (RFC 8693 section 2.1)"));
            }
        }
        let requested = token_type("requested_token_type", self.requested_token_type.as_ref(), cx);
        let mut grant = TokenExchange::new(subject?, subject_type?);
        if let (Some(actor), Some(actor_type)) = (actor.flatten(), actor_type) {
            grant = grant.actor(actor, actor_type);
        }
        Some(requested.into_iter().fold(grant, TokenExchange::requested_token_type))
    }
}

const EXPECTED: &str = "`access_token`, `id_token`, `jwt`, `refresh_token`, `saml1`, `saml2`, `id_jag`, or a URI";

fn token(name: &str, field: Option<&SecretField>, cx: &mut Context<'_>) -> Option<Value> {
    let path = format!("{PATH}.{name}");
    let field = cx.required(&path, field, "where the token is: a file, a variable or a source")?;
    cx.secret_value(&path, field)
}

fn token_type(name: &str, field: Option<&Text>, cx: &mut Context<'_>) -> Option<TokenType> {
    let word = field?.as_str();
    let short = TYPES.iter().find(|(short, _)| *short == word).map(|(_, token_type)| token_type.clone());
    if short.is_none() && !word.contains(':') {
        let problem = Problem::new(format!("{PATH}.{name}"), "found another word").expecting(EXPECTED);
        let near = nearest(word, TYPES.iter().map(|(short, _)| *short));
        let advice = near.map(|near| Advice::text(format!("did you mean `{near}`?")));
        cx.report.add(advice.into_iter().fold(problem, Problem::advise));
        return None;
    }
    Some(short.unwrap_or_else(|| TokenType::from(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_the_registered_identifier() {
        for (short, token_type) in &TYPES {
            let end = short.replace("id_jag", "id-jag");
            assert_eq!(token_type.as_str(), format!("urn:ietf:params:oauth:token-type:{end}"));
        }
    }
}
