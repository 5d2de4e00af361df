use std::sync::{Arc, Mutex};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bearer_token::Problem;
use bytes::Bytes;

use super::*;

mod variables;

const RSA: &str = include_str!("../../bearer-token/src/jwt/testdata/rsa2048.pem");

/// Keeps the token requests, and returns the same response to all.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<http::Request<Bytes>>>>);

impl Transport for Recorder {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
        self.0.lock().unwrap().push(request);
        let reply = r#"{"access_token":"minted","token_type":"Bearer","expires_in":3600,"instance_url":"https://x.example.com"}"#;
        Ok(http::Response::new(Bytes::from_static(reply.as_bytes())))
    }
}

async fn request_of(config: ProviderConfig) -> (http::Request<Bytes>, Vec<(String, String)>) {
    let recorder = Recorder::default();
    let provider = config.transport(recorder.clone()).build().unwrap();
    assert_eq!(provider.token().await.unwrap().secret(), "minted");
    let request = recorder.0.lock().unwrap().remove(0);
    let form = form_urlencoded::parse(request.body()).into_owned().collect();
    (request, form)
}

fn parameter<'a>(form: &'a [(String, String)], name: &str) -> Option<&'a str> {
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// The header or the claims of a JWT.
fn part(jwt: &str, number: usize) -> Value {
    let text = BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').nth(number).unwrap()).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn problems(toml: &str) -> Vec<Problem> {
    let config = ProviderConfig::from_toml(toml).unwrap().transport(Recorder::default());
    config.build().expect_err(toml).problems().to_vec()
}

fn paths(toml: &str) -> Vec<String> {
    let mut paths: Vec<_> = problems(toml).iter().map(|problem| problem.path().to_owned()).collect();
    paths.sort();
    paths
}

#[tokio::test]
async fn every_jwt_field_reaches_the_token_request() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("key.pem"), RSA).unwrap();
    let config = r#"
        allow_origins = ["https://api.example.com"]
        [jwt]
        key = { file = "key.pem" }
        algorithm = "RS256"
        expiry_seconds = 120
        issuer = "the issuer"
        subject = "the subject"
        audience = "https://as.example.com"
        headers = { kid = "k1", x5t = "abc" }
        claims = { scope = "read", nested = { list = [1, true, "x"] }, "https://example.com/flag" = true }
        [token_endpoint]
        url = "https://as.example.com/token?tenant=7"
        grant_type = "urn:example:custom"
        scope = "read write"
        parameters = { audience = "https://api.example.com/" }
        headers = { x-api-key = "k" }
        keep = ["instance_url"]
    "#;
    let file = directory.path().join("provider.toml");
    std::fs::write(&file, config).unwrap();
    let (request, form) = request_of(ProviderConfig::load(&file).unwrap()).await;

    assert_eq!(request.uri(), "https://as.example.com/token?tenant=7");
    assert_eq!(request.headers()["x-api-key"], "k");
    assert_eq!(parameter(&form, "grant_type"), Some("urn:example:custom"));
    assert_eq!(parameter(&form, "scope"), Some("read write"));
    assert_eq!(parameter(&form, "audience"), Some("https://api.example.com/"));
    let jwt = parameter(&form, "assertion").unwrap();
    let header = part(jwt, 0);
    assert_eq!((&header["alg"], &header["kid"], &header["x5t"]), (&"RS256".into(), &"k1".into(), &"abc".into()));
    let claims = part(jwt, 1);
    assert_eq!(claims["iss"], "the issuer");
    assert_eq!(claims["sub"], "the subject");
    assert_eq!(claims["aud"], "https://as.example.com");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 120);
    assert_eq!(claims["nested"]["list"][2], "x");
    assert_eq!(claims["https://example.com/flag"], true);
    assert!(claims["jti"].is_string());
}

#[tokio::test]
async fn without_a_token_endpoint_the_jwt_is_the_bearer() {
    let json = r#"{"jwt": {"algorithm": "HS256", "key": {"value": "6b6579206f662033322062797465732c20616e64206e6f742061206c657373", "encoding": "hex"},
        "allow_short_secret": true, "issuer": "me", "audience": ["a", "b"], "jwt_id": false, "not_before": true}}"#;
    let provider = ProviderConfig::from_json(json).unwrap().build().unwrap();
    let bearer = provider.token().await.unwrap();
    let claims = part(bearer.secret(), 1);
    assert_eq!(claims["aud"], serde_json::json!(["a", "b"]));
    assert!(claims["nbf"].is_u64() && claims["jti"].is_null());
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
}

#[test]
fn a_list_is_never_read_as_a_table() {
    for (json, path) in [
        (r#"[["https://api.example.com"]]"#, "configuration"),
        ("[]", "configuration"),
        (r#"{ "jwt": ["HS256"] }"#, "jwt"),
        (r#"{ "jwt": [] }"#, "jwt"),
        (r#"{ "refresh_token": ["file"], "token_endpoint": { "url": "https://as.example.com" } }"#, "refresh_token"),
        (r#"{ "token_endpoint": ["https://as.example.com/token"] }"#, "token_endpoint"),
        (
            r#"{ "token_endpoint": { "url": "https://as.example.com", "client": ["public", "id"] } }"#,
            "token_endpoint.client",
        ),
        (r#"{ "token": "t", "policy": [1, 2] }"#, "policy"),
        (r#"{ "token": "t", "policy": { "terminal_backoff": [1, 2] } }"#, "policy.terminal_backoff"),
    ] {
        let config = ProviderConfig::from_json(json).unwrap().transport(Recorder::default());
        let error = config.build().expect_err(json);
        let problem =
            error.problems().iter().find(|problem| problem.path() == path).unwrap_or_else(|| panic!("{error}"));
        assert_eq!(problem.message(), "found a list; expected a table of fields", "{json}");
    }
}

#[tokio::test]
async fn each_client_authentication_can_be_configured() {
    for (client, header, body) in [
        (
            r#"method = "basic"
            id = "a b"
            secret = "c:d""#,
            Some("Basic YStiOmMlM0Fk"),
            &[][..],
        ),
        (
            r#"id = "a"
            secret = "b""#,
            Some("Basic YTpi"),
            &[],
        ),
        (
            r#"method = "basic_raw"
            id = "a b"
            secret = "c:d""#,
            Some("Basic YSBiOmM6ZA=="),
            &[],
        ),
        (
            r#"method = "post"
            id = "a"
            secret = "b""#,
            None,
            &[("client_id", "a"), ("client_secret", "b")],
        ),
        (r#"id = "a""#, None, &[("client_id", "a")]),
        (r#"method = "none""#, None, &[]),
    ] {
        let toml =
            format!("[token_endpoint]\nurl = \"https://as.example.com/token\"\n[token_endpoint.client]\n{client}");
        let (request, form) = request_of(ProviderConfig::from_toml(&toml).unwrap()).await;
        let sent = request.headers().get("authorization").map(|value| value.to_str().unwrap());
        assert_eq!(sent, header, "{client}");
        assert_eq!(parameter(&form, "grant_type"), Some("client_credentials"));
        for (name, value) in body {
            assert_eq!(parameter(&form, name), Some(*value), "{client}");
        }
        assert_eq!(form.len(), 1 + body.len(), "{client}: {form:?}");
    }
}

#[tokio::test]
async fn a_client_signs_with_its_key_or_secret() {
    let key =
        format!("method = \"private_key_jwt\"\nalgorithm = \"PS256\"\nheaders = {{ kid = \"k\" }}\nkey = '''{RSA}'''");
    let secret = "method = \"client_secret_jwt\"\nsecret = \"0123456789abcdef0123456789abcdef\"\naudience = \"https://as.example.com\"";
    for (client, algorithm, audience) in
        [(key.as_str(), "PS256", "https://as.example.com/token"), (secret, "HS256", "https://as.example.com")]
    {
        let toml = format!(
            "[token_endpoint]\nurl = \"https://as.example.com/token?key=planted\"\n[token_endpoint.client]\nid = \"me\"\n{client}"
        );
        let (_, form) = request_of(ProviderConfig::from_toml(&toml).unwrap()).await;
        let jwt = parameter(&form, "client_assertion").unwrap();
        assert_eq!(part(jwt, 0)["alg"], algorithm);
        let claims = part(jwt, 1);
        assert_eq!((&claims["iss"], &claims["sub"], &claims["aud"]), (&"me".into(), &"me".into(), &audience.into()));
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
    }
}

#[tokio::test]
async fn l24_a_client_secret_in_a_file_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    for (encoding, first, second) in
        [("text", "one\n", "two"), ("base64", "b25l\n", "dHdv"), ("hex", "6f6e65", "74776f\n")]
    {
        std::fs::write(&path, first).unwrap();
        let toml = format!(
            "token_endpoint.url = \"https://as.example.com/token\"\ntoken_endpoint.client = {{ method = \"post\", id = \
             \"me\", secret = {{ file = \"secret\", encoding = \"{encoding}\" }} }}"
        );
        let recorder = Recorder::default();
        let config = ProviderConfig::from_toml(&toml).unwrap().relative_to(directory.path());
        let provider = config.transport(recorder.clone()).build().unwrap();
        provider.token().await.unwrap();
        std::fs::write(&path, second).unwrap();
        provider.refresh_now().await.unwrap();
        std::fs::write(&path, if encoding == "text" { "\u{7}" } else { "~" }).unwrap();
        provider.refresh_now().await.unwrap();
        let bodies: Vec<_> = recorder.0.lock().unwrap().iter().map(|request| request.body().clone()).collect();
        for (body, secret) in bodies.iter().zip(["one", "two", "two"]) {
            assert!(body.ends_with(format!("client_secret={secret}").as_bytes()), "{encoding}: {body:?}");
        }
        assert_eq!(bodies.len(), 3);
    }
}

#[tokio::test]
async fn another_program_can_keep_the_assertion_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("token"), "projected\n").unwrap();
    for method in ["", "method = \"assertion\""] {
        let toml = format!(
            "token_endpoint.url = \"https://as.example.com/token\"\n[token_endpoint.client]\nid = \"me\"\n{method}\n\
             assertion_file = \"token\""
        );
        let config = ProviderConfig::from_toml(&toml).unwrap().relative_to(directory.path());
        let (request, form) = request_of(config).await;
        assert!(!request.headers().contains_key("authorization"));
        assert_eq!(parameter(&form, "client_id"), Some("me"));
        assert_eq!(parameter(&form, "client_assertion"), Some("projected"));
        assert!(parameter(&form, "client_assertion_type").is_some());
    }
    for (client, found) in [
        ("assertion_file = \"no-such-file\"", &["assertion_file", "id"][..]),
        ("id = \"me\"\nmethod = \"assertion\"", &["assertion_file"]),
        ("id = \"me\"\nmethod = \"public\"\nassertion_file = \"x\"", &["assertion_file"]),
        ("id = \"me\"\nmethod = \"assertion\"\nassertion_file = \"x\"\nsecret = \"s\"", &["assertion_file", "secret"]),
    ] {
        let toml = format!("token_endpoint.url = \"https://as.example.com/token\"\n[token_endpoint.client]\n{client}");
        let found: Vec<_> = found.iter().map(|field| format!("token_endpoint.client.{field}")).collect();
        assert_eq!(paths(&toml), found, "{client}");
    }
}

#[tokio::test]
async fn a_refresh_token_is_kept_beside_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let toml = r#"
        [refresh_token]
        file = "refresh.json"
        initial = { value = "first" }
        retry_previous = true
        [token_endpoint]
        url = "https://as.example.com/token"
        [token_endpoint.client]
        id = "app"
        secret = "s"
    "#;
    let config = || ProviderConfig::from_toml(toml).unwrap().relative_to(directory.path());
    let (request, form) = request_of(config()).await;
    assert_eq!(parameter(&form, "grant_type"), Some("refresh_token"));
    assert_eq!(parameter(&form, "refresh_token"), Some("first"));
    assert_eq!(request.headers()["authorization"], "Basic YXBwOnM=");
    let file = directory.path().join("refresh.json");
    assert!(std::fs::read_to_string(&file).unwrap().contains("first"));
    // The file comes before what is configured.
    std::fs::write(file, r#"{"refresh_token":"second"}"#).unwrap();
    let (_, form) = request_of(config()).await;
    assert_eq!(parameter(&form, "refresh_token"), Some("second"));

    // One that is never replaced needs no file.
    let toml =
        "[refresh_token]\ninitial = \"kept\"\nreusable = true\n[token_endpoint]\nurl = \"https://as.example.com\"";
    let (_, form) = request_of(ProviderConfig::from_toml(toml).unwrap()).await;
    assert_eq!(parameter(&form, "refresh_token"), Some("kept"));
}

#[test]
fn refresh_token_problems_are_reported_with_the_rest() {
    for (refresh, rest, found) in [
        ("", "", &["refresh_token.file", "token_endpoint"][..]),
        ("file = \"x\"", "", &["token_endpoint"]),
        ("reusable = true", "[token_endpoint]", &["refresh_token.file", "token_endpoint.url"]),
        ("initial = \"x\"", "[token_endpoint]\nurl = \"https://as.example.com\"", &["refresh_token.file"]),
        (
            "initial = { env = \"BEARER_TOKEN_TEST_NO_SUCH_VARIABLE\" }\nfile = 5\nrotate = 1",
            "[token_endpoint]\nurl = \"https://as.example.com\"\nscope = 1",
            &["refresh_token.file", "refresh_token.initial", "refresh_token.rotate", "token_endpoint.scope"],
        ),
        (
            "file = \"x\"",
            "[jwt]\nalgorithm = \"HS256\"\nkey = \"k\"\n[token_endpoint]\nurl = \"https://as.example.com\"",
            &["refresh_token"],
        ),
    ] {
        assert_eq!(paths(&format!("[refresh_token]\n{refresh}\n{rest}")), found, "{refresh} {rest}");
    }
}

#[test]
fn every_problem_is_reported_with_its_field() {
    let found = paths(
        r#"
        allow_origins = ["http://api.example.com", "https://fine.example.com"]
        surprise = 1
        [jwt]
        algorithm = "RS255"
        key = { file = "nowhere.pem", encodng = "text" }
        audience = 7
        claims = { exp = 5 }
        [token_endpoint]
        url = "http://as.example.com/token"
        scope = 7
        [token_endpoint.client]
        method = "bearer"
        id = "x"
        secret = { env = "BEARER_TOKEN_TEST_NO_SUCH_VARIABLE" }
        [policy]
        fetch_timeout_seconds = -1
        default_lifetime_seconds = 0
        transient_backoff = { first_seconds = 10, limit_seconds = 1 }
    "#,
    );
    assert_eq!(
        found,
        [
            "allow_origins[0]",
            "jwt.algorithm",
            "jwt.audience",
            "jwt.claims.exp",
            "jwt.key",
            "jwt.key.encodng",
            "policy.default_lifetime_seconds",
            "policy.fetch_timeout_seconds",
            "policy.transient_backoff",
            "surprise",
            "token_endpoint.client.method",
            "token_endpoint.client.secret",
            "token_endpoint.scope",
            "token_endpoint.url",
        ]
    );
}

#[test]
fn unread_fields_are_not_missing_too() {
    assert_eq!(paths("allow_origins = []"), ["jwt"]);
    assert_eq!(paths("[jwt]"), ["jwt.algorithm", "jwt.key"]);
    assert_eq!(paths("[jwt]\nkey = 5\nalgorithm = 6"), ["jwt.algorithm", "jwt.key"]);
    assert_eq!(paths("[token_endpoint]\nurl = \"https://as.example.com\""), ["token_endpoint.client"]);
    assert_eq!(paths("token = \"x\"\n[jwt]\nalgorithm = \"HS256\"\nkey = \"y\""), ["token"]);
    assert_eq!(
        paths("[token_endpoint.client]\nmethod = \"basic\""),
        ["token_endpoint.client.id", "token_endpoint.client.secret", "token_endpoint.url"]
    );
}

#[test]
fn an_error_names_key_and_algorithm_that_differ() {
    let of = |key: &str, algorithm: &str| {
        let toml = format!("[jwt]\nalgorithm = \"{algorithm}\"\nkey = '''{key}'''");
        let found = problems(&toml);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].path(), "jwt.key");
        found[0].message()
    };
    let message = of(RSA, "ES256");
    assert!(message.contains("RSA") && message.contains("ES256"), "{message}");
    let message = of("too short", "HS256");
    assert!(message.contains("32"), "{message}");
    let message = of(RSA, "HS256");
    assert!(message.contains("PEM"), "{message}");
}

#[test]
fn l38_no_secret_of_a_configuration_is_ever_shown() {
    const MARKER: &str = "planted-secret-marker";
    for toml in [
        format!("token = \"{MARKER}\"\n[jwt]\nkey = {{ value = \"{MARKER}\" }}\nalgorithm = \"{MARKER}\""),
        format!("[jwt]\nkey = [\"{MARKER}\"]\nalgorithm = \"HS256\""),
        format!("[jwt]\nkey = {{ vaule = \"{MARKER}\" }}\nalgorithm = \"HS512\""),
        format!("[jwt]\nkey = {{ value = \"{MARKER}\", encoding = \"hex\" }}\nalgorithm = \"HS512\""),
        format!("[jwt]\nkey = {{ value = \"{MARKER}\", encoding = \"{MARKER}\" }}\nalgorithm = \"HS512\""),
        format!("[token_endpoint]\nurl = \"https://u:{MARKER}@as.example.com/\"\nheaders = {{ x = \"{MARKER}\\n\" }}"),
        format!("[token_endpoint]\nurl = \"https://as.example.com/\"\nclient = \"{MARKER}\""),
        format!(
            "[token_endpoint.client]\nid = \"a\"\nmethod = \"{MARKER}\"\nsecret = {{ value = \"{MARKER}\", file = \"x\" }}"
        ),
        format!("policy = \"{MARKER}\""),
        format!("[policy]\nfetch_timeout_seconds = \"as expected {MARKER}\""),
        format!("allow_origins = [\"https://api.example.com/{MARKER}\", \"{MARKER}\"]"),
        format!("[refresh_token]\ninitial = \"{MARKER}\"\nfile = [\"{MARKER}\"]"),
    ] {
        let config = ProviderConfig::from_toml(&toml).unwrap();
        assert!(!format!("{config:?} {config:#?}").contains(MARKER), "{config:?}");
        let error = config.build().expect_err(&toml);
        assert!(!format!("{error} {error:?} {error:#?}").contains(MARKER), "{toml}: {error:?}");
    }
    for broken in [format!("token = {MARKER}"), format!("token = \"{MARKER}\nx"), format!("a = 1\na = \"{MARKER}\"")] {
        for error in [ProviderConfig::from_toml(&broken).unwrap_err(), ProviderConfig::from_json(&broken).unwrap_err()]
        {
            assert!(!format!("{error} {error:?}").contains(MARKER), "{error:?}");
        }
    }
}

#[test]
fn a_missing_secret_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("token"), "abc\r\n").unwrap();
    std::fs::write(directory.path().join("empty"), "\n").unwrap();
    let build = |toml: &str| ProviderConfig::from_toml(toml).unwrap().relative_to(directory.path()).build();
    build("token = { file = \"token\" }").unwrap();
    let error = build("token = { file = \"empty\" }").unwrap_err();
    assert!(error.to_string().contains("found an empty string"), "{error}");
    let error = build("token = { file = \"absent\" }").unwrap_err();
    assert!(error.to_string().contains("absent"), "{error}");
    assert!(
        ProviderConfig::load(directory.path().join("absent.toml")).unwrap_err().to_string().contains("absent.toml")
    );
}

#[test]
fn values_that_json_cannot_express_are_problems() {
    let found = paths(
        r#"
        [jwt]
        algorithm = "HS256"
        key = "0123456789abcdef0123456789abcdef"
        claims = { born = 1979-05-27, ratio = nan, list = [1, 2020-01-01] }
        [policy]
        fetch_timeout_seconds = inf
    "#,
    );
    assert_eq!(found, ["jwt.claims.born", "jwt.claims.list[1]", "jwt.claims.ratio", "policy.fetch_timeout_seconds"]);
    assert_eq!(paths("token = \"two words\""), ["token"]);
}

#[test]
fn client_fields_that_the_method_does_not_use_are_problems() {
    let of = |client: &str| {
        paths(&format!("[token_endpoint]\nurl = \"https://as.example.com\"\n[token_endpoint.client]\n{client}"))
    };
    let secret = "token_endpoint.client.secret";
    assert_eq!(of("method = \"none\"\nid = \"a\"\nsecret = \"b\""), [secret]);
    assert_eq!(
        of("id = \"a\"\nsecret = \"b\"\naudience = \"c\"\nexpiry_seconds = 5"),
        ["token_endpoint.client.audience", "token_endpoint.client.expiry_seconds"]
    );
}

#[test]
fn problems_name_fields_and_not_methods() {
    let toml = r#"
        allow_origins = ["http://api.example.com"]
        [jwt]
        algorithm = "HS256"
        key = "short"
        [token_endpoint]
        url = "http://as.example.com"
    "#;
    let text = ProviderConfig::from_toml(toml).unwrap().build().unwrap_err().to_string();
    for word in ["allow_plaintext_origins", "allow_short_secret = true", "allow_plaintext = true"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains("(..)") && !text.contains("::"), "{text}");
}

#[test]
fn it_deserializes_as_part_of_a_larger_configuration() {
    #[derive(Deserialize)]
    struct Service {
        name: String,
        auth: ProviderConfig,
    }
    let service: Service = serde_json::from_str(r#"{"name": "x", "auth": {"token": "t"}}"#).unwrap();
    assert_eq!(service.name, "x");
    service.auth.build().unwrap();
}

#[test]
fn no_text_makes_it_panic() {
    for text in [
        "",
        "[]",
        "null",
        "7",
        "\"x\"",
        "{\"jwt\":null}",
        "{\"jwt\":[]}",
        "{\"policy\":{\"reserve_seconds\":1e400}}",
        "{\"policy\":{\"reserve_seconds\":1e300}}",
        "{\"jwt\":{\"claims\":[1]}}",
        "{\"\":1}",
        "{\"jwt\":{\"key\":{}}}",
        "{\"a.b\":1,\"a\":{\"b\":2}}",
    ] {
        if let Ok(config) = ProviderConfig::from_json(text) {
            assert!(config.build().is_err(), "{text}");
        }
    }
}

#[tokio::test]
async fn l23_a_jwk_brings_its_algorithm_and_id() {
    let jwk = |kid: &str| {
        format!(
            r#"{{"kty": "OKP", "crv": "Ed25519", "kid": "{kid}", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}"#
        )
    };
    let set = format!(r#"{{"keys": [{}, {}]}}"#, jwk("a"), jwk("b"));
    for (toml, kid) in [
        (format!("key = '''{}'''", jwk("own")), "own"),
        (format!("key = '''{set}'''\nkid = \"b\""), "b"),
        (format!("key = '''{}'''\nheaders = {{ kid = \"mine\" }}", jwk("own")), "mine"),
        (format!("key = '''{RSA}'''\nalgorithm = \"RS256\"\nkid = \"named\""), "named"),
    ] {
        let provider = ProviderConfig::from_toml(&format!("[jwt]\n{toml}")).unwrap().build().unwrap();
        let header = part(provider.token().await.unwrap().secret(), 0);
        assert_eq!(header["kid"], kid, "{toml}");
    }
    for (toml, path, message) in [
        (format!("key = '''{set}'''\nkid = \"c\""), "jwt.key", r#"with `kid` "a", "b"; expected"#),
        (format!("key = '''{set}'''"), "jwt.key", "expected to be told the `kid`"),
        (format!("key = '''{}'''\nalgorithm = \"ES256\"", jwk("a")), "jwt.key", "found an Ed25519 key; ES256 needs"),
        (format!("key = '''{RSA}'''"), "jwt.algorithm", "only a JWK can name its own"),
        (format!("key = '''{set}'''\nkid = \"b\"\nheaders = {{ kid = \"d\" }}"), "jwt.headers.kid", "found another"),
        (r#"key = { value = "!", encoding = "hex" }"#.to_owned(), "jwt.key.encoding", "is not hex"),
    ] {
        let found = problems(&format!("[jwt]\n{toml}"));
        assert_eq!(found.len(), 1, "{toml}: {found:?}");
        assert_eq!(found[0].path(), path, "{toml}");
        assert!(found[0].message().contains(message), "{toml}: {found:?}");
    }
}

#[cfg(feature = "encrypted-keys")]
#[tokio::test]
async fn l23_an_encrypted_key_opens_with_its_passphrase() {
    const ENCRYPTED: &str = include_str!("../../bearer-token/src/jwt/testdata/rsa2048.encrypted.pem");
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("passphrase"), "test\n").unwrap();
    let of = |passphrase: &str| {
        let toml = format!("[jwt]\nalgorithm = \"RS256\"\nkey = '''{ENCRYPTED}'''\n{passphrase}");
        ProviderConfig::from_toml(&toml).unwrap().relative_to(directory.path()).build()
    };
    of("passphrase = { file = \"passphrase\" }").unwrap().token().await.unwrap();
    for (passphrase, path, message) in [
        ("passphrase = \"Test\"", "jwt.key", "found a passphrase that does not open the private key"),
        ("passphrase = { file = \"none\" }", "jwt.passphrase", "none` cannot be read"),
        ("", "jwt.key", "label ENCRYPTED PRIVATE KEY"),
    ] {
        let error = of(passphrase).unwrap_err();
        assert_eq!(error.problems()[0].path(), path, "{error}");
        assert!(error.problems()[0].message().contains(message), "{error}");
    }
    let client = format!("key = '''{ENCRYPTED}'''\npassphrase = \"test\"\nkid = \"k\"\nalgorithm = \"PS256\"");
    let toml = format!(
        "[token_endpoint]\nurl = \"https://as.example.com/token\"\n[token_endpoint.client]\nid = \"me\"\n{client}"
    );
    let (_, form) = request_of(ProviderConfig::from_toml(&toml).unwrap()).await;
    assert_eq!(part(parameter(&form, "client_assertion").unwrap(), 0)["kid"], "k");
}

#[tokio::test]
async fn l24_keys_and_tokens_in_files_are_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| std::fs::write(directory.path().join(name), content).unwrap();
    let build = |toml: &str| ProviderConfig::from_toml(toml).unwrap().relative_to(directory.path()).build().unwrap();
    let renewed = async |provider: &TokenProvider| provider.refresh_now().await.unwrap().secret().to_owned();

    write("token", "first\n");
    let provider = build("token = { file = \"token\" }");
    assert_eq!(renewed(&provider).await, "first");
    write("token", "second\n");
    assert_eq!(renewed(&provider).await, "second");

    let jwk = |kid: &str| format!(r#"{{"kty": "oct", "alg": "HS256", "kid": "{kid}", "k": "{}"}}"#, "A".repeat(43));
    write("key.json", &jwk("first"));
    let provider = build("[jwt]\nkey = { file = \"key.json\" }");
    assert_eq!(part(&renewed(&provider).await, 0)["kid"], "first");
    write("key.json", &jwk("second"));
    assert_eq!(part(&renewed(&provider).await, 0)["kid"], "second");

    // Not what is written in another way than the source reads it.
    write("token.b64", "Zmlyc3Q=");
    let provider = build("token = { file = \"token.b64\", encoding = \"base64\" }");
    assert_eq!(renewed(&provider).await, "first");
}

#[test]
fn key_problems_name_fields() {
    let ec = r#"{"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM", "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}"#;
    let oct =
        r#"{"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1"}"#;
    let set = &format!("{{\"keys\": [{ec}, {oct}]}}");
    let encrypted = include_str!("../../bearer-token/src/jwt/testdata/rsa2048.encrypted.pem");
    let passphrase = if cfg!(feature = "encrypted-keys") {
        "set `jwt.passphrase`, or decrypt it"
    } else {
        "enable the feature `encrypted-keys`, or decrypt it"
    };
    for (key, algorithm, expected) in [
        (encrypted, Some("RS256"), passphrase),
        (set, None, "the one to sign with: set `jwt.kid`"),
        (oct, None, "fits HS256, HS384, HS512; expected the name of the one to sign with: set `jwt.algorithm`"),
        (RSA, Some("HS256"), "choose the algorithm that it was made for"),
        (ec, Some("HS256"), "found an EC P-256 key; HS256 needs a shared secret"),
        (oct, Some("RS256"), "RS256 signs with a private key: give a private key, or choose"),
        ("short", Some("HS256"), "use a longer one, or set `jwt.allow_short_secret = true`"),
    ] {
        let algorithm = algorithm.map(|algorithm| format!("algorithm = \"{algorithm}\"")).unwrap_or_default();
        let found = problems(&format!("[jwt]\n{algorithm}\nkey = '''{key}'''"));
        assert_eq!(found.len(), 1, "{found:?}");
        let message = found[0].message();
        assert!(message.contains(expected), "expected {expected:?} in: {message}");
        assert!(!message.contains("SigningKey") && !message.contains("KeyReader"), "{message}");
    }
}
