//! Configurations with variables.

use bearer_token::{KeyedProviders, RequestHead};
use http::{Extensions, HeaderMap, Method, StatusCode};

use super::*;

const TENANTS: &str = r#"
    allow_origins = ["https://api.example.com"]
    [sources.platform.token_endpoint]
    url = "https://platform.example.com/token"
    client = { id = "me" }
    [token_endpoint]
    url = { variable = "tenant", prefix = "https://as.example.com/", suffix = "/token" }
    headers = { x-user = { variable = "user" } }
    client = { id = "me", assertion = { source = "platform", suffix = "!" } }
"#;

fn keyed(toml: &str, recorder: &Recorder) -> Result<KeyedConfig, Error> {
    KeyedConfig::new(ProviderConfig::from_toml(toml).unwrap().transport(recorder.clone()))
}

/// The key of a request, and the variables of the application.
fn key(config: &KeyedConfig, variables: &[(&str, &str)]) -> Result<Variables, Error> {
    let (headers, extensions) = (HeaderMap::new(), Extensions::new());
    let head = RequestHead::new(&Method::GET, &headers, &extensions);
    let head = head.url("https", "api.example.com", "/orders", Some("page=1"));
    config.key(&head, variables.iter().copied())
}

async fn token(providers: &KeyedProviders<Variables>, key: &Variables) -> String {
    providers.get(key).unwrap().token().await.unwrap().secret().to_owned()
}

#[tokio::test]
async fn everything_that_reaches_the_server_is_in_the_key() {
    let recorder = Recorder::default();
    let config = keyed(TENANTS, &recorder).unwrap();
    assert_eq!(config.variables().collect::<Vec<_>>(), ["tenant", "user"]);
    let providers = config.providers().build().unwrap();
    for (tenant, user) in [("acme", "ann"), ("acme", "bob"), ("other", "ann"), ("acme", "ann")] {
        let key = key(&config, &[("tenant", tenant), ("user", user), ("unused", user)]).unwrap();
        token(&providers, &key).await;
    }
    let sent: Vec<_> = recorder
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|request| {
            let user = request.headers().get("x-user").map_or("", |user| user.to_str().unwrap()).to_owned();
            (request.uri().to_string(), user)
        })
        .collect();
    let of = |tenant: &str, user: &str| (format!("https://as.example.com/{tenant}/token"), user.to_owned());
    // What depends on no variable is shared: the platform is asked once.
    let platform = ("https://platform.example.com/token".to_owned(), String::new());
    assert_eq!(sent, [platform, of("acme", "ann"), of("acme", "bob"), of("other", "ann")]);
}

#[test]
fn a_variable_is_given_or_the_request_fails() {
    let config = keyed(TENANTS, &Recorder::default()).unwrap();
    let error = key(&config, &[("tenant", "acme")]).unwrap_err();
    assert!(error.to_string().contains("`user`"), "{error}");
    let shown = format!("{config:?} {:?}", key(&config, &[("tenant", "acme"), ("user", "planted")]).unwrap());
    assert!(!shown.contains("planted"), "{shown}");
}

#[test]
fn a_variable_cannot_lead_to_another_host() {
    let config = keyed(TENANTS, &Recorder::default()).unwrap();
    let providers = config.providers().build().unwrap();
    for tenant in ["../admin", "a/b", "x@evil.example.com", "a?b", "a#b", "", "%2e%2e"] {
        let key = key(&config, &[("tenant", tenant), ("user", "ann")]).unwrap();
        let error = providers.get(&key).unwrap_err();
        assert!(error.to_string().contains("token_endpoint.url"), "{tenant}: {error}");
    }
    let toml = "[token_endpoint]\nurl = { variable = \"region\", prefix = \"https://\", suffix = \".example.com/token\" }\n\
                client = { id = \"me\" }";
    let error = keyed(toml, &Recorder::default()).unwrap_err();
    assert!(error.to_string().contains("found a variable in the origin of the URL"), "{error}");
    let config = ProviderConfig::from_toml(toml).unwrap().transport(Recorder::default());
    let config = KeyedConfig::with_endpoint_hosts(config, ["eu.example.com", "us.example.com"]).unwrap();
    let providers = config.providers().build().unwrap();
    providers.get(&key(&config, &[("region", "eu")]).unwrap()).unwrap();
    let error = providers.get(&key(&config, &[("region", "xx")]).unwrap()).unwrap_err();
    assert!(error.to_string().contains("a host which is not listed"), "{error}");
}

#[test]
fn what_cannot_depend_on_a_variable_is_a_problem() {
    let client = "client = { id = \"me\" }";
    for (toml, path) in [
        ("token = { variable = \"t\" }\nallow_origins = [{ variable = \"host\" }]".to_owned(), "allow_origins[0]"),
        ("token = { variable = \"t\" }\n[send]\nheaders = { x = { variable = \"t\" } }".to_owned(), "send.headers"),
        (
            format!("[refresh_token]\nfile = \"f\"\n[token_endpoint]\nurl = \"https://as.example.com\"\n{client}"),
            "refresh_token.file",
        ),
    ] {
        let error = keyed(&toml, &Recorder::default()).unwrap_err();
        assert!(error.problems().iter().any(|problem| problem.path() == path), "{toml}: {error}");
    }
    // And without a selector, each of them.
    let found = paths("token = { variable = \"t\" }");
    assert_eq!(found, ["token.variable"]);
}

#[tokio::test]
async fn a_jwt_for_each_request_is_cached_for_its_facts() {
    let toml = format!(
        "allow_origins = [\"https://api.example.com\"]\nsend = {{ reject_on = [403] }}\n\
         [jwt]\nalgorithm = \"RS256\"\nkey = '''{RSA}'''\n\
         computed = {{ uri = \"{{request.method}} {{request.host}}{{request.path}}\" }}"
    );
    let config = keyed(&toml, &Recorder::default()).unwrap();
    assert_eq!(config.variables().collect::<Vec<_>>(), ["request.host", "request.method", "request.path"]);
    let providers = config.providers().build().unwrap();
    let one = key(&config, &[]).unwrap();
    let first = token(&providers, &one).await;
    assert_eq!(part(&first, 1)["uri"], "GET api.example.com/orders");
    assert_eq!(first, token(&providers, &one.clone()).await);
    assert_eq!(providers.len(), 1);
    let provider = providers.get(&one).unwrap();
    assert!(provider.is_rejection(StatusCode::FORBIDDEN, &HeaderMap::new()));
}
