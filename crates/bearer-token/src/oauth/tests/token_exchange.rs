//! Token exchange, and chains of token requests (RFC 8693).

use std::fs;

use super::*;
use crate::{TokenProvider, Value};

fn response(body: &str) -> Reply {
    Ok(Response::new(Bytes::from(body.to_owned())))
}

fn form(body: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

// shows: 8693/2.1a 8693/2.1b 8693/2.1e
#[tokio::test]
async fn all_parameters_are_sent_in_their_order() {
    let script = Script::new([response(r#"{"access_token":"t","token_type":"Bearer","issued_token_type":"x"}"#)]);
    let grant = TokenExchange::new("subject", TokenType::JWT)
        .actor("actor", TokenType::ACCESS_TOKEN)
        .requested_token_type(TokenType::ACCESS_TOKEN)
        .audience("a1")
        .audience("a2")
        .resource("https://r1.example.com/")
        .resource("https://r2.example.com/");
    let endpoint = TokenEndpoint::builder(URL, grant).scope("read").transport(script.clone()).build().unwrap();
    assert_eq!(endpoint.fetch(script.context()).await.unwrap().secret(), "t");
    let urn = |name: &str| format!("urn:ietf:params:oauth:token-type:{name}");
    let expected = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".to_owned()),
        ("resource", "https://r1.example.com/".to_owned()),
        ("resource", "https://r2.example.com/".to_owned()),
        ("audience", "a1".to_owned()),
        ("audience", "a2".to_owned()),
        ("requested_token_type", urn("access_token")),
        ("subject_token", "subject".to_owned()),
        ("subject_token_type", urn("jwt")),
        ("actor_token", "actor".to_owned()),
        ("actor_token_type", urn("access_token")),
        ("scope", "read".to_owned()),
    ];
    assert_eq!(form(&script.bodies()[0]), expected.map(|(name, value)| (name.to_owned(), value)));
}

// shows: 8693/2.2.1a 8693/2.2.1c
#[tokio::test]
async fn na_is_accepted_only_for_tokens_between_servers() {
    let table = [
        (None, false),
        (Some(TokenType::ACCESS_TOKEN), false),
        (Some(TokenType::JWT), false),
        (Some(TokenType::ID_JAG), true),
        (Some(TokenType::ID_TOKEN), true),
        (Some(TokenType::from("urn:example:other")), true),
    ];
    for (requested, accepted) in table {
        let script = Script::new([response(r#"{"access_token":"t","token_type":"N_A"}"#)]);
        let mut grant = TokenExchange::new("subject", TokenType::ID_TOKEN);
        if let Some(requested) = requested.clone() {
            grant = grant.requested_token_type(requested);
        }
        let endpoint = TokenEndpoint::builder(URL, grant).transport(script.clone()).build().unwrap();
        assert_eq!(endpoint.fetch(script.context()).await.is_ok(), accepted, "{requested:?}");
    }
}

// shows: 8693/2.2.1b
#[tokio::test]
async fn the_issued_type_is_checked_and_kept() {
    let other = || TokenType::from("urn:example:other");
    for (requested, issued, accepted) in [
        (None, Some(TokenType::SAML2), true),
        (Some(TokenType::ACCESS_TOKEN), Some(TokenType::ACCESS_TOKEN), true),
        (Some(TokenType::ACCESS_TOKEN), Some(TokenType::JWT), true),
        (Some(TokenType::JWT), Some(TokenType::ACCESS_TOKEN), true),
        (Some(TokenType::ACCESS_TOKEN), None, true),
        (Some(TokenType::ACCESS_TOKEN), Some(TokenType::REFRESH_TOKEN), false),
        (Some(TokenType::ID_JAG), Some(TokenType::ID_JAG), true),
        (Some(TokenType::ID_JAG), Some(TokenType::JWT), false),
        (Some(other()), Some(other()), true),
        (Some(TokenType::ACCESS_TOKEN), Some(other()), true),
        (Some(TokenType::SAML2), Some(other()), false),
    ] {
        let member = issued.as_ref().map(|issued| format!(r#","issued_token_type":"{}""#, issued.as_str()));
        let body = format!(r#"{{"access_token":"t"{}}}"#, member.unwrap_or_default());
        let script = Script::new([response(&body)]);
        let grant = requested
            .clone()
            .into_iter()
            .fold(TokenExchange::new("subject", TokenType::ID_TOKEN), TokenExchange::requested_token_type);
        let endpoint = TokenEndpoint::builder(URL, grant).keep("issued_token_type").transport(script.clone()).build();
        let provider = TokenProvider::builder(endpoint.unwrap()).platform(script.clock.platform()).build().unwrap();
        match provider.token().await {
            Ok(bearer) => {
                assert!(accepted, "{requested:?} {issued:?}");
                assert_eq!(bearer.extra("issued_token_type"), issued.as_ref().map(TokenType::as_str));
            }
            Err(error) => {
                assert!(!accepted, "{requested:?} {issued:?}: {error}");
                assert_eq!((error.kind(), error.retry()), (ErrorKind::Response, Retry::AfterChange));
                assert!(!error.to_string().contains("urn:example"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_subject_from_a_file_is_read_for_each_request() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("identity");
    let ok = || response(r#"{"access_token":"t","token_type":"Bearer"}"#);
    let script = Script::new([ok(), ok()]);
    let grant = TokenExchange::new(Value::file(&path), TokenType::JWT);
    let build = || TokenEndpoint::builder(URL, grant.clone()).transport(script.clone()).build();
    let error = build().unwrap_err().to_string();
    assert!(error.contains("subject_token: the file") && error.contains("cannot be read"), "{error}");
    fs::write(&path, "zeroth").unwrap();
    let endpoint = build().unwrap();
    for token in ["first", "second"] {
        fs::write(&path, format!("{token}\n")).unwrap();
        endpoint.fetch(script.context()).await.unwrap();
        let sent = form(script.bodies().last().unwrap());
        assert!(sent.contains(&("subject_token".to_owned(), token.to_owned())), "{sent:?}");
    }
}

/// Each hop of an identity chain keeps its own cache: one request per stage and lifetime.
#[cfg(feature = "jwt")]
#[tokio::test]
async fn an_identity_chain_asks_each_stage_once_per_lifetime() {
    let at_home = Script::new([
        response(r#"{"access_token":"jag-1","token_type":"N_A","expires_in":300}"#),
        response(r#"{"access_token":"jag-2","token_type":"N_A","expires_in":300}"#),
    ]);
    let abroad = Script { clock: at_home.clock.clone(), ..Script::default() };
    for number in 1..=3 {
        let body = format!(r#"{{"access_token":"access-{number}","token_type":"Bearer","expires_in":100}}"#);
        abroad.replies.lock().unwrap().push_back(response(&body));
    }
    let platform = at_home.clock.platform();
    let exchange = TokenExchange::new("identity", TokenType::ID_TOKEN)
        .requested_token_type(TokenType::ID_JAG)
        .audience("https://as.other.example.com/");
    let exchange = TokenEndpoint::builder(URL, exchange).transport(at_home.clone()).build().unwrap();
    let assertion = TokenProvider::builder(exchange).platform(platform.clone()).build().unwrap();
    let grant = JwtBearer::from_value(assertion);
    let endpoint =
        TokenEndpoint::builder("https://as.other.example.com/token", grant).transport(abroad.clone()).build().unwrap();
    let provider = TokenProvider::builder(endpoint).platform(platform).build().unwrap();

    for (token, assertion, wait) in [("access-1", "jag-1", 101), ("access-2", "jag-1", 301), ("access-3", "jag-2", 0)] {
        for _ in 0..3 {
            assert_eq!(provider.token().await.unwrap().secret(), token);
        }
        let sent = form(abroad.bodies().last().unwrap());
        assert!(sent.contains(&("assertion".to_owned(), assertion.to_owned())), "{sent:?}");
        at_home.clock.advance(Duration::from_secs(wait));
    }
    assert_eq!((at_home.bodies().len(), abroad.bodies().len()), (2, 3));
}

#[cfg(feature = "jwt")]
#[tokio::test]
async fn l20_a_literal_assertion_is_refused() {
    let grant = JwtBearer::from_value("eyJ.eyJ.sig");
    let error = TokenEndpoint::builder(URL, grant).transport(Script::default()).build().unwrap_err();
    assert_eq!((error.kind(), error.problems()[0].path()), (ErrorKind::Config, "assertion"));
    assert!(error.to_string().contains("found a literal, which expires"), "{error}");
}

// shows: 8693/2.1d 8707/2a 8707/2b
#[test]
fn a_resource_that_is_no_uri_is_a_problem() {
    for (resource, part) in [
        ("https://api.example.com/", None),
        ("https://api.example.com/a?b=c", None),
        ("urn:example:api", None),
        ("https://api.example.com/#marker", Some("a fragment")),
        ("api.example.com/marker", Some("not an absolute URI")),
        ("//api.example.com/marker", Some("not an absolute URI")),
        ("marker", Some("not an absolute URI")),
        ("1a:marker", Some("not an absolute URI")),
        ("https:", Some("not an absolute URI")),
    ] {
        let grant = TokenExchange::new(Value::env("PATH"), TokenType::JWT).resource(resource);
        let problems = Grant::problems(&grant);
        assert_eq!(problems.len(), usize::from(part.is_some()), "{resource}: {problems:?}");
        let text = problems.first().map(ToString::to_string).unwrap_or_default();
        assert!(part.is_none_or(|part| text.starts_with("resource: found") && text.contains(part)), "{text}");
        assert!(!text.contains("marker"), "{text}");
    }
}
