//! Requests other than a POST with a form.

use std::fs;

use http::{HeaderMap, Method, header::ACCEPT};
use serde_json::json;

use super::*;
use crate::{FileToken, StaticToken, TokenProvider, Value};

type Set = fn(TokenEndpointBuilder) -> TokenEndpointBuilder;

fn builder(url: &str) -> TokenEndpointBuilder {
    TokenEndpoint::builder(url, ClientCredentials::new())
}

#[tokio::test]
async fn a_request_is_what_the_server_expects() {
    const JSON: Option<&str> = Some("application/json");
    const FORM: Option<&str> = Some("application/x-www-form-urlencoded");
    let table: [(Set, &str, &str, Option<&str>, &str); 9] = [
        (|it| it.no_grant_type().scope("read"), "POST", URL, FORM, "scope=read"),
        (|it| it.body(BodyFormat::Json), "POST", URL, JSON, r#"{"grant_type":"client_credentials"}"#),
        (
            |it| it.body(BodyFormat::Json).client_auth(ClientAuth::post("id", "secret")).method(Method::PUT),
            "PUT",
            URL,
            JSON,
            r#"{"grant_type":"client_credentials","client_id":"id","client_secret":"secret"}"#,
        ),
        (|it| it.body(BodyFormat::Json).no_grant_type(), "POST", URL, JSON, "{}"),
        (
            |it| {
                let tree = json!({"contents": "read", "ids": [7, null, true], "empty": ""});
                let it = it.body(BodyFormat::Json).no_grant_type().parameter("permissions", tree);
                it.parameter("n", 7).parameter("resource", "a").parameter("resource", ParameterValue::list(["b", "c"]))
            },
            "POST",
            URL,
            JSON,
            r#"{"permissions":{"contents":"read","empty":"","ids":[7,null,true]},"n":7,"resource":["a","b","c"]}"#,
        ),
        (
            |it| it.parameter("resource", ParameterValue::list(["a", "b"])).parameter("on", true).parameter("n", 7_u64),
            "POST",
            URL,
            FORM,
            "grant_type=client_credentials&resource=a&resource=b&on=true&n=7",
        ),
        (
            |it| it.method(Method::GET).body(BodyFormat::Query).no_grant_type().parameter("resource", "a b&c"),
            "GET",
            "https://as.example.com/token?resource=a%20b%26c",
            None,
            "",
        ),
        (
            |it| it.body(BodyFormat::Query).client_auth(ClientAuth::post("id", "s")),
            "POST",
            "https://as.example.com/token?grant_type=client_credentials&client_id=id&client_secret=s",
            None,
            "",
        ),
        (
            |it| it.method(Method::PATCH).body(BodyFormat::None).client_auth(ClientAuth::basic("id", "s")),
            "PATCH",
            URL,
            None,
            "",
        ),
    ];
    for (set, method, uri, content_type, body) in table {
        let script = Script::new([reply(200, TOKEN)]);
        let endpoint = set(builder(URL)).transport(script.clone()).build().unwrap();
        endpoint.fetch(script.context()).await.unwrap();
        let requests = script.requests.lock().unwrap();
        assert_eq!((requests[0].method().as_str(), requests[0].uri().to_string().as_str()), (method, uri));
        assert_eq!(requests[0].body(), body);
        let found = requests[0].headers().get("content-type").map(|value| value.to_str().unwrap());
        assert_eq!(found, content_type, "{method} {body}");
        let is_told = requests[0].headers().get("content-length").is_some_and(|length| length == "0");
        assert_eq!(is_told, body.is_empty() && method != "GET", "{method} {body}");
    }
}

#[tokio::test]
async fn values_are_read_for_each_request() {
    let directory = tempfile::tempdir().unwrap();
    let (account, header) = (directory.path().join("account.json"), directory.path().join("header"));
    let script = Script::new([reply(200, TOKEN), reply(200, TOKEN)]);
    let write = |number: u32| {
        fs::write(&account, format!(r#"{{"id":"account-{number}"}}"#)).unwrap();
        fs::write(&header, format!("tenant-{number}\n")).unwrap();
    };
    write(1);
    let provider = TokenProvider::builder(StaticToken::new("of-another")).build().unwrap();
    let endpoint = builder(URL)
        .no_grant_type()
        .parameter("subject_token", provider.clone())
        .parameter("ids", ParameterValue::list([Value::file(&account).member("/id"), "fixed".into()]))
        .header("x-tenant", Value::file(&header).suffix("!"))
        .header("authorization", Value::token_of(provider).prefix("Bearer "))
        .header("accept", "application/vnd.example+json")
        .transport(script.clone())
        .build()
        .unwrap();
    for number in 1..=2 {
        write(number);
        assert!(endpoint.has_changed(), "a file was written");
        endpoint.fetch(script.context()).await.unwrap();
        assert!(!endpoint.has_changed());
        let expected = format!("subject_token=of-another&ids=account-{number}&ids=fixed");
        assert_eq!(script.bodies().last(), Some(&expected));
        let requests = script.requests.lock().unwrap();
        let headers = requests.last().unwrap().headers();
        assert_eq!(headers["x-tenant"], format!("tenant-{number}!"));
        assert_eq!(headers["authorization"], "Bearer of-another");
        assert_eq!(headers[ACCEPT], "application/vnd.example+json");
        assert!(headers["x-tenant"].is_sensitive() && headers["authorization"].is_sensitive());
    }
}

#[tokio::test]
async fn a_value_that_is_missing_names_its_place() {
    let failing = || {
        let source = async |_cx: FetchContext| -> Result<AccessToken, Error> {
            Err(Error::new(ErrorKind::Unavailable, "away").with_retry(Retry::Later { after: None }))
        };
        TokenProvider::builder(source).name("platform").build().unwrap()
    };
    let table: [(TokenEndpointBuilder, &str); 3] = [
        (builder(URL).parameter("jwt", failing()), "the parameter `jwt` is missing: the token of another provider"),
        (
            builder(URL).header("X-Jwt", failing()),
            "the header `x-jwt` is missing: the token of another provider is missing: platform: away",
        ),
        (
            TokenEndpoint::builder(URL, TokenExchange::new(failing(), TokenType::JWT)),
            "the parameter `subject_token` is missing: the token of another provider is missing: platform: away",
        ),
    ];
    for (builder, words) in table {
        let script = Script::default();
        let endpoint = builder.transport(script.clone()).build().unwrap();
        let error = endpoint.fetch(script.context()).await.unwrap_err();
        assert!(error.to_string().starts_with(words), "{error}");
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true));
        assert_eq!(error.provider(), Some("platform"));
        assert!(script.bodies().is_empty());
    }
}

#[tokio::test]
async fn a_chain_recovers_when_its_first_file_is_fixed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("identity");
    let script = Script::new([reply(200, r#"{"access_token":"fetched","expires_in":60}"#)]);
    let platform = script.clock.platform();
    let identity = TokenProvider::builder(FileToken::new(&path)).platform(platform.clone()).build().unwrap();
    let middle = stage_of(Value::from(identity));
    let middle = TokenProvider::builder(middle).platform(platform.clone()).build().unwrap();
    let endpoint = builder(URL).header("x-identity", middle).transport(script.clone()).build().unwrap();
    let provider = TokenProvider::builder(endpoint).platform(platform).build().unwrap();
    for _ in 0..3 {
        assert_eq!(provider.token().await.unwrap_err().retry(), Retry::AfterChange);
        script.clock.advance(Duration::from_secs(2));
    }
    fs::write(&path, "an-identity").unwrap();
    assert_eq!(provider.token().await.unwrap().secret(), "fetched");
    assert_eq!(script.requests.lock().unwrap()[0].headers()["x-identity"], "an-identity");
}

/// A source that returns a value as its token, and has changed when the value has.
fn stage_of(value: Value) -> impl TokenSource {
    struct Stage(Value);
    impl TokenSource for Stage {
        async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
            Ok(AccessToken::new(self.0.read(&cx).await?.as_str()))
        }

        fn has_changed(&self) -> bool {
            self.0.has_changed()
        }
    }
    Stage(value)
}

#[test]
fn what_has_no_place_is_a_problem() {
    let table: [(Set, &[&str]); 7] = [
        (|it| it.method(Method::GET), &["body"]),
        (|it| it.method(Method::GET).body(BodyFormat::Json), &["body"]),
        (|it| it.method(Method::DELETE), &["method"]),
        (|it| it.method(Method::CONNECT).body(BodyFormat::None), &["method"]),
        (
            |it| {
                let it = it.body(BodyFormat::None).scope("read").parameter("a", "b").grant_type("x");
                it.client_auth(ClientAuth::post("id", "secret"))
            },
            &["parameter", "scope", "grant_type", "client_auth"],
        ),
        (|it| it.parameter("a", ParameterValue::object([("b", "c")])), &["parameter.a"]),
        (
            |it| {
                let variable = || Value::env("BEARER_TOKEN_TEST_THAT_IS_NOT_SET");
                let it = it.parameter("a", variable()).header("x-a", variable());
                it.body(BodyFormat::Json).parameter("b", ParameterValue::object([("c", variable())]))
            },
            &["parameter.a", "parameter.b.c", "header.x-a"],
        ),
    ];
    for (set, expected) in table {
        let error = set(builder(URL)).transport(Script::default()).build().unwrap_err();
        let paths: Vec<_> = error.problems().iter().map(crate::Problem::path).collect();
        assert_eq!(paths, expected, "{error}");
        assert!(error.problems().iter().all(|problem| problem.expected().is_some() || paths.len() > 2), "{error}");
    }
}

#[tokio::test]
async fn lists_of_parameters_and_headers_may_be_options() {
    let (audience, none) = (Some("a"), None::<&str>);
    let script = Script::new([reply(200, TOKEN)]);
    let builder = builder(URL)
        .parameters(audience.map(|audience| ("audience", audience)))
        .parameters(none.map(|tenant| ("tenant", tenant)))
        .parameters([("n", ParameterValue::from(7)), ("resource", ParameterValue::list(["b", "c"]))])
        .headers(audience.map(|audience| ("x-a", audience)))
        .headers(none.map(|tenant| ("x-tenant", tenant)))
        .headers([("x-b", "1".to_owned()), ("x-c", "2".to_owned())]);
    builder.transport(script.clone()).build().unwrap().fetch(script.context()).await.unwrap();
    let sent = script.requests.lock().unwrap();
    assert_eq!(sent[0].body(), "grant_type=client_credentials&audience=a&n=7&resource=b&resource=c");
    let headers =
        ["x-a", "x-b", "x-c", "x-tenant"].map(|name| sent[0].headers().get(name).map(|value| value.to_str().unwrap()));
    assert_eq!(headers, [Some("a"), Some("1"), Some("2"), None]);
}

// shows: 6749/3.2e
#[test]
#[cfg(feature = "jwt")]
fn l20_no_parameter_of_the_grant_is_sent_twice() {
    let looked_up = || Value::token_of(TokenProvider::builder(StaticToken::new("t")).build().unwrap());
    let exchange = || TokenExchange::new(looked_up(), TokenType::JWT);
    let acting = || exchange().actor(looked_up(), TokenType::JWT).requested_token_type(TokenType::JWT);
    let bearer = || JwtBearer::from_value(looked_up());
    let endpoint = |grant: &str| match grant {
        "exchange" => TokenEndpoint::builder(URL, exchange()),
        "acting" => TokenEndpoint::builder(URL, acting()),
        "bearer" => TokenEndpoint::builder(URL, bearer()),
        "renamed" => TokenEndpoint::builder(URL, bearer().parameter_name("token")),
        "refresh" => TokenEndpoint::builder(URL, RefreshToken::new(crate::store::MemoryStore::new("planted-r"))),
        _ => builder(URL),
    };
    let table: [(&str, &[&str], &[&str]); 6] = [
        (
            "exchange",
            &["subject_token", "subject_token_type", "Subject_Token_Type "],
            &["actor_token", "audience", "resource"],
        ),
        (
            "acting",
            &["subject_token", "actor_token", "actor_token_type", "requested_token_type"],
            &["audience", "resource"],
        ),
        ("bearer", &["assertion", "ASSERTION"], &["subject_token", "token"]),
        ("renamed", &["token"], &["assertion"]),
        ("refresh", &["refresh_token"], &["assertion", "subject_token_type"]),
        ("", &[], &["assertion", "refresh_token", "subject_token", "actor_token", "code"]),
    ];
    for (grant, refused, accepted) in table {
        for name in refused {
            // Also one that is looked up: the server would get the grant's own beside it.
            let built = endpoint(grant).parameter(*name, looked_up()).transport(Script::default()).build();
            let error = built.unwrap_err().to_string();
            let expected = format!("parameter.{name}: found a parameter that the grant sends already: remove it");
            assert!(error.contains(&expected) && !error.contains("planted"), "{grant} {name}: {error}");
        }
        for name in accepted {
            let built = endpoint(grant).parameter(*name, looked_up()).transport(Script::default()).build();
            assert!(built.is_ok(), "{grant} {name}: {built:?}");
        }
        for name in
            ["grant_type", "client_secret", "client_assertion", "client_assertion_type", "code", "code_verifier"]
        {
            let built = endpoint(grant).parameter(name, "planted").transport(Script::default()).build();
            let error = built.unwrap_err().to_string();
            assert!(
                error.contains(&format!("parameter.{name}: ")) && !error.contains("planted"),
                "{grant} {name}: {error}"
            );
        }
    }
}

#[tokio::test]
async fn a_credential_that_the_user_added_is_not_the_token() {
    let sent = || TokenProvider::builder(StaticToken::new("a token")).build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "a token").unwrap();
    for (builder, is_refused) in [
        (builder(URL).parameter("jwt", sent()), true),
        (builder(URL).body(BodyFormat::Json).parameter("login", ParameterValue::object([("jwt", sent())])), true),
        (builder(URL).parameter("Assertion", Value::file(&file)), true),
        // Some servers renew a key by itself.
        (builder(URL).parameter("api_key", Value::file(&file)), false),
        (builder(URL).parameter("audience", "a token"), false),
    ] {
        let script = Script::new([reply(200, TOKEN)]);
        let endpoint = builder.transport(script.clone()).build().unwrap();
        let token = endpoint.fetch(script.context()).await;
        assert_eq!(token.is_err(), is_refused, "{:?}", script.bodies());
    }
}

/// Presents a credential in headers.
struct InHeaders(&'static [(&'static str, &'static str)], &'static str);

impl Grant for InHeaders {
    async fn parameters(&self, _cx: &FetchContext) -> Result<Parameters, Error> {
        Ok(Parameters::new("").with("assertion", self.1))
    }

    async fn headers(&self, _cx: &FetchContext) -> Result<HeaderMap, Error> {
        let headers = self.0.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value): (http::HeaderName, http::HeaderValue)| _ = map.append(name, value));
        Ok(map)
    }
}

#[tokio::test]
async fn a_grant_sends_headers() {
    let script = Script::new([reply(200, TOKEN)]);
    let grant = InHeaders(&[("x-key", "one"), ("x-key", "two"), ("authorization", "Key three")], "");
    let endpoint = TokenEndpoint::builder(URL, grant)
        .body(BodyFormat::None)
        .header("x-key", "zero")
        .transport(script.clone())
        .build()
        .unwrap();
    endpoint.fetch(script.context()).await.unwrap();
    let requests = script.requests.lock().unwrap();
    let headers = requests[0].headers();
    assert_eq!(headers.get_all("x-key").iter().collect::<Vec<_>>(), ["zero", "one", "two"]);
    assert_eq!(headers["authorization"], "Key three");
    assert!(headers.get_all("x-key").iter().all(http::HeaderValue::is_sensitive));
    assert!(requests[0].body().is_empty());
}

#[tokio::test]
async fn what_a_grant_cannot_send_is_an_error() {
    for (grant, auth, body, words) in [
        (InHeaders(&[("content-type", "a")], ""), ClientAuth::none(), BodyFormat::Form, "the header `content-type`"),
        (
            InHeaders(&[("authorization", "planted")], ""),
            ClientAuth::basic("id", "secret"),
            BodyFormat::Form,
            "the header `authorization`, which the token request has already",
        ),
        (InHeaders(&[], "planted"), ClientAuth::none(), BodyFormat::None, "neither a body nor a query"),
    ] {
        let script = Script::default();
        let builder = TokenEndpoint::builder(URL, grant).client_auth(auth).body(body);
        let endpoint = builder.transport(script.clone()).build().unwrap();
        let error = endpoint.fetch(script.context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(words) && !error.to_string().contains("planted"), "{error}");
    }
}

#[tokio::test]
async fn l38_no_part_of_a_request_is_shown() {
    const DESCRIPTIONS: [(&str, bool); 7] = [
        ("planted/json-leaf is unknown", false),
        ("got planted\\\\/json-leaf", false),
        ("at ?key=planted%2Fquery%20value", false),
        ("planted-number 123454321", false),
        ("the header planted-header", false),
        ("planted-own", false),
        ("the account is unknown", true),
    ];
    let sets: [Set; 2] = [|it| it.body(BodyFormat::Json), |it| it.body(BodyFormat::Query)];
    for set in sets {
        for (description, is_shown) in DESCRIPTIONS {
            let body = format!(r#"{{"error":"invalid_request","error_description":"{description}"}}"#);
            let refused = Ok(Response::builder().status(400).body(Bytes::from(body)).unwrap());
            let script = Script::new([refused, broken(ErrorKind::Transport), broken(ErrorKind::Transport)]);
            let tree = ParameterValue::list(["planted/json-leaf", "planted/query value"]);
            let builder = set(builder("https://as.example.com/token?own=planted-own"))
                .parameter("key", tree)
                .parameter("number", 123_454_321)
                .header("x-key", "planted-header")
                .transport(script.clone());
            let mut shown = format!("{builder:?}");
            let endpoint = builder.build().unwrap();
            shown += &format!("{endpoint:?} {endpoint:#?}");
            let refusal = endpoint.fetch(script.context()).await.unwrap_err();
            assert_eq!(refusal.server_description().is_some(), is_shown, "{description}");
            let broken = endpoint.fetch(script.context()).await.unwrap_err();
            shown += &format!("{refusal:?} {refusal:#} {broken:?} {broken:#}");
            assert!(!shown.contains("planted") && !shown.contains("123454321"), "{shown}");
        }
    }
}
