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

#[tokio::test]
async fn a_chain_of_shared_sources_serves_every_key() {
    let toml = r#"
        allow_origins = ["https://api.example.com"]
        [sources.first.token_endpoint]
        url = "https://first.example.com/token"
        client = { id = "me" }
        [sources.second.token_endpoint]
        url = "https://second.example.com/token"
        client = { id = "me", assertion = { source = "first", suffix = "!" } }
        [token_endpoint]
        url = { variable = "tenant", prefix = "https://as.example.com/" }
        client = { id = "me", assertion = { source = "second", suffix = "?" } }
    "#;
    let recorder = Recorder::default();
    let config = keyed(toml, &recorder).unwrap();
    let providers = config.providers().build().unwrap();
    for tenant in ["acme", "other", "third"] {
        token(&providers, &key(&config, &[("tenant", tenant)]).unwrap()).await;
    }
    assert_eq!(recorder.0.lock().unwrap().len(), 5);
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
fn a_variable_that_is_decoded_cannot_leave_its_segment() {
    let config = |encoding: &str| {
        let toml = format!(
            "allow_origins = [\"https://api.example.com\"]\n[token_endpoint]\nclient = {{ id = \"me\" }}\n\
             url = {{ variable = \"t\", prefix = \"https://as.example.com/\", suffix = \"/token\", {encoding} }}"
        );
        keyed(&toml, &Recorder::default()).unwrap()
    };
    // "acme", "../", "a/b", "" and "..".
    for (value, is_usable) in [("61636d65", true), ("2e2e2f", false), ("612f62", false), ("", false), ("2e2e", false)] {
        let config = config("encoding = \"hex\"");
        let found = config.providers().build().unwrap().get(&key(&config, &[("t", value)]).unwrap());
        assert_eq!(found.is_ok(), is_usable, "{value}");
        let error = found.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(is_usable || error.contains("token_endpoint.url"), "{value}: {error}");
    }
    for (value, is_usable) in [("user@acme", true), ("user@../x", false), ("acme", false)] {
        let config = config("part = \"after @\"");
        let found = config.providers().build().unwrap().get(&key(&config, &[("t", value)]).unwrap());
        assert_eq!(found.is_ok(), is_usable, "{value}");
    }
    for (value, is_usable) in [(r#"{"a":"acme"}"#, true), (r#"{"a":".."}"#, false), ("x", false)] {
        let config = config("member = \"/a\"");
        let found = config.providers().build().unwrap().get(&key(&config, &[("t", value)]).unwrap());
        assert_eq!(found.is_ok(), is_usable, "{value}");
    }
}

#[tokio::test]
async fn a_key_may_be_a_variable_that_is_decoded_once() {
    let toml = "allow_origins = [\"https://api.example.com\"]\n[jwt]\nalgorithm = \"HS256\"\nissuer = \"me\"\n\
                key = { variable = \"key\", encoding = \"hex\" }";
    let config = keyed(toml, &Recorder::default()).unwrap();
    let providers = config.providers().build().unwrap();
    let of = |value: &str| key(&config, &[("key", value)]).unwrap();
    let signature = |jwt: String| jwt.rsplit('.').next().unwrap().to_owned();
    let (one, other) = (token(&providers, &of(&"61".repeat(32))).await, token(&providers, &of(&"62".repeat(32))).await);
    assert_ne!(signature(one), signature(other));
    let error = providers.get(&of("planted")).unwrap_err().to_string();
    assert!(error.contains("jwt.key") && !error.contains("planted"), "{error}");
}

/// `x` in place of a variable is neither a key nor a certificate.
#[test]
fn a_rehearsal_checks_what_depends_on_no_variable() {
    const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
    let of = |more: &str| {
        let toml = format!("allow_origins = ['https://api.example.com']\n{more}");
        KeyedConfig::new(ProviderConfig::from_toml(&toml).unwrap())
    };
    let jwt = |more: &str| of(&format!("[jwt]\nissuer = 'me'\n{more}"));
    let jwk = |kid: &str| serde_json::json!({ "kty": "oct", "alg": "HS256", "kid": kid, "k": SECRET });
    let keys = serde_json::json!({ "keys": [jwk("a"), jwk("b")] });
    let config = jwt(&format!("key = '{keys}'\nkid = {{ variable = 't' }}")).unwrap();
    let providers = config.providers().build().unwrap();
    for (kid, is_known) in [("a", true), ("b", true), ("c", false)] {
        let found = providers.get(&key(&config, &[("t", kid)]).unwrap());
        assert_eq!(found.is_ok(), is_known, "{kid}: {found:?}");
    }
    let rsa = format!("algorithm = 'RS256'\nkey = '''{RSA}'''");
    let certified = "certificate_chain = true\ncomputed_headers = { x5t = '{certificate.sha1:base64url}' }";
    for fields in [
        format!("{rsa}\nkid = {{ variable = 't' }}"),
        format!("{rsa}\ncertificate = {{ variable = 't' }}\n{certified}"),
        format!("algorithm = 'RS256'\nkey = {{ variable = 't' }}\ncertificate = '''{CERTIFICATE}'''\n{certified}"),
        "algorithm = 'RS256'\nkey = { variable = 't' }\ncomputed = { a = '{key.sha256:base64}' }".to_owned(),
    ] {
        jwt(&fields).expect(&fields);
    }
    // What is wrong with every value of the variable is a problem already.
    for (fields, path) in [
        ("algorithm = 'RS256'\nkey = 'neither'\nkid = { variable = 't' }".to_owned(), "jwt.key"),
        (format!("key = '''{RSA}'''\nkid = {{ variable = 't' }}"), "jwt.algorithm"),
        (format!("{rsa}\ncertificate = 'neither'\ncomputed = {{ a = '{{request.host}}' }}"), "jwt.certificate"),
    ] {
        let error = jwt(&fields).unwrap_err();
        assert!(error.problems().iter().any(|problem| problem.path() == path), "{fields}: {error}");
    }
    let client = |fields: &str| {
        of(&format!("[token_endpoint]\nurl = 'https://as.example.com/token'\nclient = {{ id = 'me', {fields} }}"))
    };
    for fields in [
        "jwt = { algorithm = 'PS256', key = { variable = 't' } }",
        "jwt = { key = { variable = 't' } }",
        "method = 'client_secret_jwt', secret = { variable = 't' }",
    ] {
        client(fields).expect(fields);
    }
    let error = client("jwt = { algorithm = 'HS256', key = { variable = 't' } }").unwrap_err();
    assert_eq!(error.problems()[0].path(), "token_endpoint.client.jwt.algorithm", "{error}");
}

#[cfg(feature = "encrypted-keys")]
#[test]
fn a_passphrase_may_be_a_variable() {
    let pem = include_str!("../../../bearer-token/src/jwt/testdata/p256.aes128.encrypted.pem");
    let toml = format!(
        "allow_origins = ['https://api.example.com']\n[jwt]\nalgorithm = 'ES256'\nkey = '''{pem}'''\n\
         passphrase = {{ variable = 't' }}"
    );
    let config = keyed(&toml, &Recorder::default()).unwrap();
    let providers = config.providers().build().unwrap();
    providers.get(&key(&config, &[("t", "test")]).unwrap()).unwrap();
    let error = providers.get(&key(&config, &[("t", "other")]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("does not open the private key"), "{error}");
}

#[cfg(feature = "http-transport")]
#[test]
fn a_ca_may_be_a_variable() {
    let toml = "allow_origins = ['https://api.example.com']\n[token_endpoint]\nurl = 'https://as.example.com/token'\n\
                client = { id = 'me' }\ntls = { only_ca = { variable = 't' } }";
    let config = KeyedConfig::new(ProviderConfig::from_toml(toml).unwrap()).unwrap();
    let providers = config.providers().build().unwrap();
    providers.get(&key(&config, &[("t", CERTIFICATE)]).unwrap()).unwrap();
    let error = providers.get(&key(&config, &[("t", "planted")]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("token_endpoint.tls.only_ca") && !error.contains("planted"), "{error}");
}

/// A pipe is empty for the second set of variables.
#[cfg(unix)]
#[test]
fn what_can_be_read_only_once_is_a_problem() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (toml, path) in [
        ("[jwt]\nalgorithm = 'HS256'\nkey = { file = 'pipe' }\nissuer = { variable = 't' }", "jwt.key"),
        (
            "[token_endpoint]\nurl = 'https://as.example.com'\nscope = { variable = 't' }\n\
             client = { id = 'me', secret = { file = 'pipe' } }",
            "token_endpoint.client.secret",
        ),
    ] {
        let config = ProviderConfig::from_toml(toml).unwrap().relative_to(directory.path());
        let error = KeyedConfig::new(config.transport(Recorder::default())).unwrap_err();
        let problem = error.problems().iter().find(|problem| problem.path() == path);
        assert!(problem.is_some_and(|problem| problem.found().starts_with("found a pipe")), "{toml}: {error}");
    }
}

#[tokio::test]
async fn variables_in_claims_and_headers_are_in_the_key() {
    let jwt = "allow_origins = [\"https://api.example.com\"]\n[jwt]\nalgorithm = \"HS256\"\n\
               key = \"0123456789abcdef0123456789abcdef\"\n";
    for (fields, number, pointer, expected) in [
        ("claims = { a = { variable = \"t\" } }", 1, "/a", "acme"),
        ("claims = { a = { variable = \"t\", prefix = \"t-\" } }", 1, "/a", "t-acme"),
        ("claims = { a = { b = [1, { c = { variable = \"t\" } }] } }", 1, "/a/b/1/c", "acme"),
        ("headers = { a = { variable = \"t\" } }", 0, "/a", "acme"),
        ("headers = { a = [{ variable = \"t\" }] }", 0, "/a/0", "acme"),
    ] {
        let config = keyed(&format!("{jwt}{fields}"), &Recorder::default()).expect(fields);
        let providers = config.providers().build().unwrap();
        let other = token(&providers, &key(&config, &[("t", "other")]).unwrap()).await;
        let acme = token(&providers, &key(&config, &[("t", "acme")]).unwrap()).await;
        assert_eq!(part(&acme, number).pointer(pointer).unwrap(), expected, "{fields}");
        assert_ne!(part(&acme, number).pointer(pointer), part(&other, number).pointer(pointer), "{fields}");
    }
    for (fields, path) in [
        ("claims = { a = { variable = \"t\", sufix = \"x\" } }", "jwt.claims.a.sufix"),
        ("claims = { a = { variable = \"t\", env = \"X\" } }", "jwt.claims.a"),
        ("claims = { a = [{ variable = 7 }] }", "jwt.claims.a[0].variable"),
    ] {
        let error = keyed(&format!("{jwt}{fields}"), &Recorder::default()).unwrap_err();
        assert!(error.problems().iter().any(|problem| problem.path() == path), "{fields}: {error}");
    }
    // Without a selector it is a problem; an object that only has a member of this name is one.
    assert_eq!(paths(&format!("{jwt}claims = {{ a = {{ variable = \"t\" }} }}")), ["jwt.claims.a.variable"]);
    let other = format!("{jwt}claims = {{ a = {{ variable = \"t\", unit = \"m\" }}, b = {{ value = \"x\" }} }}");
    ProviderConfig::from_toml(&other).unwrap().build().unwrap();
}

#[test]
fn elsewhere_a_variable_is_read_or_a_problem() {
    let endpoint = "[token_endpoint]\nurl = \"https://as.example.com\"\nclient = { id = \"me\" }\n";
    for field in [
        "keep = [{ variable = \"t\" }]",
        "accept_token_types = [{ variable = \"t\" }]",
        "response = { token = { variable = \"t\" } }",
        "response = { unit = { variable = \"t\" } }",
        "grant_type = { variable = \"t\" }",
        "[policy]\nreserve_seconds = { variable = \"t\" }",
        "[policy.transient_backoff]\nfirst_seconds = { variable = \"t\" }\nlimit_seconds = 7",
        "[send]\nheader = { variable = \"t\" }",
        "[send]\nreject_on = [{ variable = \"t\" }]",
    ] {
        let toml = format!("allow_origins = [\"https://api.example.com\"]\n{endpoint}{field}");
        match keyed(&toml, &Recorder::default()) {
            Ok(config) => assert_eq!(config.variables().collect::<Vec<_>>(), ["t"], "{field}"),
            Err(error) => assert!(!error.problems().is_empty(), "{field}: {error}"),
        }
    }
    let error = keyed(&format!("allow_origins = [\"https://api.example.com\"]\n{endpoint}"), &Recorder::default());
    let error = error.unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
    assert!(error.to_string().contains("variables: found no variable, so all keys would share one token"), "{error}");
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
    // The store of a fleet is one for all tenants.
    let endpoint =
        format!("[token_endpoint]\nurl = \"https://as.example.com\"\n{client}\nscope = {{ variable = \"t\" }}");
    let url = "url = { variable = \"region\", prefix = \"redis://\", suffix = \".example.com\" }";
    let shared = format!("[shared]\n{url}\nkey = {{ variable = \"key\" }}\n{endpoint}");
    assert_eq!(paths(&shared), ["shared.key.variable", "shared.url.variable", "token_endpoint.scope.variable"]);
    let error = keyed(&shared, &Recorder::default()).unwrap_err();
    let found: Vec<_> = error.problems().iter().map(Problem::path).collect();
    assert_eq!(found, ["shared.url.variable", "shared.key.variable"], "{error}");
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

/// The file is gone before the second request: a provider that parsed the key by itself would not be built.
#[tokio::test]
async fn a_jwt_for_each_request_shares_the_parsed_key() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key.pem");
    std::fs::write(&file, RSA).unwrap();
    let toml = "allow_origins = [\"https://api.example.com\"]\n\
                [jwt]\nalgorithm = \"RS256\"\nkey = { file = \"key.pem\" }\n\
                computed = { uri = \"{request.method} {request.host}{request.path}\" }";
    let config = ProviderConfig::from_toml(toml).unwrap().relative_to(directory.path());
    let config = KeyedConfig::new(config.transport(Recorder::default())).unwrap();
    let providers = config.providers().build().unwrap();
    let (headers, extensions) = (HeaderMap::new(), Extensions::new());
    for path in ["/orders", "/orders/1", "/orders/2", "/bills"] {
        let head = RequestHead::new(&Method::GET, &headers, &extensions).url("https", "api.example.com", path, None);
        let key = config.key::<&str, &str>(&head, []).unwrap();
        let jwt = token(&providers, &key).await;
        assert_eq!(part(&jwt, 1)["uri"], format!("GET api.example.com{path}"));
        let _ = std::fs::remove_file(&file);
    }
    assert_eq!(providers.len(), 4);
}

#[test]
fn a_fact_is_that_of_the_request() {
    let toml = "allow_origins = [\"https://api.example.com\"]\n[jwt]\nalgorithm = \"HS256\"\n\
                key = \"0123456789abcdef0123456789abcdef\"\ncomputed = { host = \"{request.host}\" }";
    let config = keyed(toml, &Recorder::default()).unwrap();
    let given = key(&config, &[("request.host", "evil.example.com")]).unwrap();
    assert_eq!(given, key(&config, &[]).unwrap());
    // A client without URLs has no such fact, and the application cannot make one up.
    let (headers, extensions) = (HeaderMap::new(), Extensions::new());
    let head = RequestHead::new(&Method::GET, &headers, &extensions);
    let error = config.key(&head, [("request.host", "evil.example.com")]).unwrap_err();
    assert!(error.to_string().contains("request.host"), "{error}");
}

#[test]
fn l39_a_variable_is_one_word_of_a_scope() {
    let toml = "[token_endpoint]\nurl = \"https://as.example.com\"\nclient = { id = \"app\" }\n\
                scope = [\"read write\", { variable = \"tenant\", prefix = \"orders:\" }]";
    let build = |tenant: &str| ProviderConfig::from_toml(toml).unwrap().build_with([("tenant", tenant)]);
    build("acme").unwrap();
    for tenant in ["acme admin", " admin", "acme\u{2003}admin"] {
        let error = build(tenant).map(drop).unwrap_err();
        assert_eq!(error.problems()[0].path(), "token_endpoint.scope[1].variable", "{error}");
        assert!(!error.to_string().contains("admin"), "{error}");
    }
}

#[tokio::test]
async fn a_provider_can_be_built_for_one_set_of_variables() {
    let toml = "[token_endpoint]\nurl = { variable = \"tenant\", prefix = \"https://as.example.com/\" }\n\
                client = { id = \"app\" }";
    let build = |variables: &[(&str, &str)]| {
        let recorder = Recorder::default();
        let config = ProviderConfig::from_toml(toml).unwrap().transport(recorder.clone());
        config.build_with(variables.iter().copied()).map(|provider| (provider, recorder))
    };
    let (provider, recorder) = build(&[("tenant", "acme")]).unwrap();
    provider.token().await.unwrap();
    assert_eq!(recorder.0.lock().unwrap()[0].uri(), "https://as.example.com/acme");
    assert_eq!(build(&[("user", "u")]).map(drop).unwrap_err().problems()[0].path(), "token_endpoint.url.variable");
}
