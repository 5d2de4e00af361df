//! Sources that feed others.

use super::*;

/// Two stages: a JWT that is signed here authorizes the request for another token.
const CHAIN: &str = r#"
    allow_origins = ["https://api.example.com"]
    [sources.app.jwt]
    algorithm = "HS256"
    key = "0123456789abcdef0123456789abcdef"
    issuer = "app"
    [token_endpoint]
    url = "https://as.example.com/token"
    client = { id = "me", assertion = { source = "app", prefix = "~" } }
"#;

#[tokio::test]
async fn the_token_of_a_source_is_a_value_elsewhere() {
    let (_, form) = request_of(ProviderConfig::from_toml(CHAIN).unwrap()).await;
    let sent = parameter(&form, "client_assertion").unwrap();
    assert_eq!(part(sent.strip_prefix("~").unwrap(), 1)["iss"], "app");
}

#[tokio::test]
async fn each_stage_is_asked_once_for_its_lifetime() {
    let toml = r#"
        [sources.first.token_endpoint]
        url = "https://first.example.com/token"
        client = { id = "me" }
        [sources.second.token_endpoint]
        url = "https://second.example.com/token"
        client = { id = "me", assertion = { source = "first" } }
        [token_endpoint]
        url = "https://third.example.com/token"
        client = { id = "me", assertion = { source = "second", suffix = "!" } }
        [refresh_token]
        initial = "r"
        reusable = true
    "#;
    let recorder = Recorder::default();
    let provider = ProviderConfig::from_toml(toml).unwrap().transport(recorder.clone()).build().unwrap();
    for _ in 0..3 {
        provider.token().await.unwrap();
        provider.refresh_now().await.unwrap();
    }
    let hosts: Vec<_> =
        recorder.0.lock().unwrap().iter().map(|request| request.uri().host().unwrap().to_owned()).collect();
    let count = |name: &str| hosts.iter().filter(|host| host.starts_with(name)).count();
    assert_eq!((count("first"), count("second"), count("third")), (1, 1, 4), "{hosts:?}");
}

#[test]
fn problems_of_a_source_have_its_path() {
    for (toml, expected) in [
        ("token = { source = \"ap\" }\n[sources.app]\ntoken = \"t\"", &["sources.app", "token.source"][..]),
        ("token = { source = \"app\" }", &["token.source"]),
        ("token = \"t\"\n[sources.app]\ntoken = \"t\"", &["sources.app"]),
        ("token = { source = \"app\" }\n[sources.app]", &["sources.app", "token.source"]),
        ("token = { source = \"app\" }\n[sources.app]\nsurprise = 1\ntoken = \"t\"", &["sources.app.surprise"]),
        (
            "token = { source = \"app\" }\n[sources.app]\nallow_origins = []\ntoken = \"t\"",
            &["sources.app.allow_origins"],
        ),
        (
            "token = { source = \"app\" }\n[sources.app.jwt]\nalgorithm = \"RS256\"\nkey = { file = \"no-such-file\" }",
            &["sources.app.jwt.key", "token.source"],
        ),
        (
            "token = { source = \"app\" }\n[sources.app.token_endpoint]\nurl = \"http://as.example.com\"",
            &["sources.app.token_endpoint.client", "sources.app.token_endpoint.url", "token.source"],
        ),
        (
            "token = { source = \"app\" }\n[sources.app]\ntoken = \"t\"\npolicy = { fetch_timeout_seconds = 0 }",
            &["sources.app.policy.fetch_timeout_seconds", "token.source"],
        ),
        ("token = { source = \"\" }\n[sources.\"\"]\ntoken = \"t\"", &["sources.", "token.source"]),
        ("token = { source = \"a b\" }\n[sources.\"a b\"]\ntoken = \"t\"", &["sources.a b"]),
        ("token = \"t\"\nsources = { a = 1 }", &["sources.a"]),
        ("token = \"t\"\nsources = []", &["sources"]),
    ] {
        assert_eq!(paths(toml), expected, "{toml}");
    }
    let near = problems("token = { source = \"apo\" }\n[sources.app]\ntoken = \"t\"");
    assert!(near.iter().any(|problem| problem.message().ends_with("did you mean `app`?")), "{near:?}");
}

#[test]
fn a_ring_of_sources_is_a_problem() {
    let toml = r#"
        token = { source = "a" }
        [sources]
        a = { token = { source = "b" } }
        b = { token = { source = "c" } }
        c = { token = { source = "b" } }
    "#;
    let found = problems(toml);
    let ring = found.iter().find(|problem| problem.path() == "sources.c.token.source").unwrap();
    assert!(ring.message().starts_with("found a ring of sources: b, which uses c, which uses b;"), "{ring}");
    assert_eq!(paths("token = { source = \"a\" }\n[sources.a]\ntoken = { source = \"a\" }").len(), 2);
}

#[test]
fn a_chain_has_a_bound() {
    let chain = |length: usize| {
        let sources =
            (1..length).map(|index| format!("[sources.s{index}]\ntoken = {{ source = \"s{}\" }}\n", index + 1));
        let last = format!("[sources.s{length}]\ntoken = \"t\"\n");
        format!("token = {{ source = \"s1\" }}\n{}{last}", sources.collect::<String>())
    };
    assert!(ProviderConfig::from_toml(&chain(16)).unwrap().build().is_ok());
    let found = problems(&chain(10_000));
    let too_long = found.iter().find(|problem| problem.path() == "sources.s16.token.source").unwrap();
    assert!(too_long.message().starts_with("found a chain of more than 16 sources"), "{too_long}");
}

#[tokio::test]
async fn an_error_names_the_source_that_failed() {
    struct Refusing;
    impl Transport for Refusing {
        async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
            assert_eq!(request.uri().host(), Some("first.example.com"));
            let mut response = http::Response::new(Bytes::from_static(br#"{"error":"invalid_client"}"#));
            *response.status_mut() = http::StatusCode::UNAUTHORIZED;
            Ok(response)
        }
    }
    let toml = r#"
        [sources.identity.token_endpoint]
        url = "https://first.example.com/token"
        client = { id = "me" }
        [token_endpoint]
        url = "https://second.example.com/token"
        client = { id = "me", assertion = { source = "identity" } }
    "#;
    let provider = ProviderConfig::from_toml(toml).unwrap().transport(Refusing).build().unwrap();
    let error = provider.token().await.unwrap_err();
    assert_eq!(error.oauth_code(), Some("invalid_client"));
    assert!(error.to_string().contains("identity: the token endpoint at https://first.example.com"), "{error}");
}

#[tokio::test]
async fn variables_reach_into_sources() {
    let variables = [("APP_SOURCES__APP__JWT__ISSUER", "other"), ("APP_SOURCES__APP__JWT__KEY__VALUE", RSA)];
    let config = ProviderConfig::from_toml(CHAIN).unwrap().override_with_variables("APP_", variables);
    let error = config.transport(Recorder::default()).build().unwrap_err();
    assert!(error.problems().iter().any(|problem| problem.path() == "APP_SOURCES__APP__JWT__KEY__VALUE"), "{error}");

    let config = ProviderConfig::from_toml(CHAIN).unwrap().override_with_variables("APP_", [variables[0]]);
    let (_, form) = request_of(config).await;
    let sent = parameter(&form, "client_assertion").unwrap();
    assert_eq!(part(sent.strip_prefix("~").unwrap(), 1)["iss"], "other");
}
