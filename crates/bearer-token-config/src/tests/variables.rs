use super::*;

const PREFIX: &str = "APP_";

fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> ProviderConfig {
    ProviderConfig::from_variables(PREFIX, variables).transport(Recorder::default())
}

fn found(config: ProviderConfig) -> Vec<(String, String)> {
    let error = config.build().unwrap_err();
    let mut problems: Vec<_> =
        error.problems().iter().map(|problem| (problem.path().to_owned(), problem.message())).collect();
    problems.sort();
    problems
}

fn names(config: ProviderConfig) -> Vec<String> {
    found(config).into_iter().map(|(path, _)| path).collect()
}

#[test]
fn the_depth_of_tables_has_a_bound() {
    for (levels, expected) in [(60, "found nothing; expected"), (100_000, "found a field inside of")] {
        let name = format!("APP_JWT__CLAIMS{}", "__A".repeat(levels));
        let error = of([(name.as_str(), "x")]).build().unwrap_err();
        assert!(error.problems().iter().any(|problem| problem.message().contains(expected)), "{levels}");
    }
}

#[tokio::test]
async fn a_variable_can_set_every_kind_of_field() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("key.pem"), RSA).unwrap();
    let config = of([
        ("APP_ALLOW_ORIGINS", "https://a.example.com, https://b.example.com"),
        ("APP_REFUSE_OTHER_ORIGINS", "true"),
        ("APP_JWT__KEY__FILE", "key.pem"),
        ("APP_JWT__ALGORITHM", "RS256"),
        ("APP_JWT__ISSUER", "7"),
        ("APP_JWT__SUBJECT", "[\"x\"]"),
        ("APP_JWT__AUDIENCE", "[\"a\", \"b\"]"),
        ("APP_JWT__EXPIRY_SECONDS", "120"),
        ("APP_JWT__NOT_BEFORE", "true"),
        ("APP_JWT__CLAIMS__SCOPE", "read"),
        ("APP_JWT__CLAIMS__tenantId", "7"),
        ("APP_JWT__CLAIMS__CONTEXT__DEEP", "x"),
        ("APP_JWT__HEADERS", "{ \"x5t#S256\" = \"abc\", nested = [1, { on = true }] }"),
        ("APP_TOKEN_ENDPOINT__URL", "https://as.example.com/token"),
        ("APP_TOKEN_ENDPOINT__PARAMETERS__RESOURCE", "https://api.example.com/?a={b}"),
        ("APP_TOKEN_ENDPOINT__HEADERS", "{ x-api-key = \"k\" }"),
        ("APP_TOKEN_ENDPOINT__KEEP", "[\"instance_url\"]"),
        ("APP_TOKEN_ENDPOINT__CLIENT__METHOD", "public"),
        ("APP_TOKEN_ENDPOINT__CLIENT__ID", "{ me }"),
        ("APP_POLICY__JITTER", "false"),
        ("APP_POLICY__FETCH_TIMEOUT_SECONDS", "2.5"),
        ("APP_POLICY__TRANSIENT_BACKOFF", "{ first_seconds = 2, limit_seconds = 60 }"),
        ("APP_POLICY__TERMINAL_BACKOFF__FIRST_SECONDS", "2"),
        ("APP_POLICY__TERMINAL_BACKOFF__LIMIT_SECONDS", "60"),
        ("OTHER_JWT__ISSUER", "somebody else"),
        ("APPLE", "no prefix"),
    ]);
    let (request, form) = request_of(config.relative_to(directory.path())).await;
    assert_eq!(request.headers()["x-api-key"], "k");
    assert_eq!(parameter(&form, "resource"), Some("https://api.example.com/?a={b}"));
    assert_eq!(parameter(&form, "client_id"), Some("{ me }"));
    let jwt = parameter(&form, "assertion").unwrap();
    let (header, claims) = (part(jwt, 0), part(jwt, 1));
    assert_eq!((&header["x5t#S256"], &header["nested"][1]["on"]), (&"abc".into(), &true.into()));
    assert_eq!((&claims["iss"], &claims["sub"]), (&"7".into(), &"[\"x\"]".into()));
    assert_eq!(claims["aud"], serde_json::json!(["a", "b"]));
    assert_eq!((&claims["scope"], &claims["tenantId"]), (&"read".into(), &"7".into()));
    assert_eq!(claims["context"], serde_json::json!({"deep": "x"}));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 120);
    assert!(claims["nbf"].is_u64());
}

#[test]
fn a_list_is_read_with_commas_and_as_toml() {
    for (text, good) in [
        ("https://a.example.com", true),
        ("https://a.example.com,https://b.example.com,", true),
        ("[\"https://a.example.com\"]", true),
        ("", true),
        ("[https://a.example.com]", false),
        ("[\"https://a.example.com\", 7]", false),
        ("a.example.com", false),
    ] {
        let built = of([("APP_TOKEN", "t"), ("APP_ALLOW_ORIGINS", text)]).build();
        assert_eq!(built.is_ok(), good, "{text}: {built:?}");
    }
}

#[test]
fn every_problem_is_reported_with_its_variable() {
    let config = of([
        ("APP_ALLOW_ORIGINS", "https://fine.example.com,http://api.example.com"),
        ("APP_CONNECTION_ORIGIN", "nowhere"),
        ("APP_SURPRISE", "1"),
        ("APP_", "1"),
        ("APP_JWT__", "1"),
        ("APP_JWT__ISUER", "me"),
        ("APP_JWT__ALGORITHM", "RS255"),
        ("APP_JWT__KEY__FILE", "nowhere.pem"),
        ("APP_JWT__JWT_ID", "yes"),
        ("APP_JWT__CLAIMS__exp", "5"),
        ("APP_JWT__HEADERS", "{ alg = \"none\" }"),
        ("APP_POLICY", "{ jitter = 7, surprise = 1 }"),
        ("APP_TOKEN_ENDPOINT__CLIENT__SECRET__VALUE", "x"),
        ("APP_TOKEN_ENDPOINT__CLIENT__SECRET__FILE", "y"),
    ]);
    assert_eq!(
        names(config),
        [
            "APP_",
            "APP_ALLOW_ORIGINS[1]",
            "APP_CONNECTION_ORIGIN",
            "APP_JWT__",
            "APP_JWT__ALGORITHM",
            "APP_JWT__CLAIMS__exp",
            "APP_JWT__HEADERS.alg",
            "APP_JWT__ISUER",
            "APP_JWT__JWT_ID",
            "APP_JWT__KEY__FILE",
            "APP_POLICY.jitter",
            "APP_POLICY.surprise",
            "APP_SURPRISE",
            "APP_TOKEN_ENDPOINT__CLIENT__ID",
            "APP_TOKEN_ENDPOINT__CLIENT__SECRET__VALUE",
            "APP_TOKEN_ENDPOINT__URL",
        ]
    );
}

#[test]
fn without_variables_a_problem_names_one() {
    assert_eq!(names(of([("PATH", "/usr/bin")])), ["environment"]);
    let config = ProviderConfig::from_variables("", [("TOKEN", "x")]);
    assert!(found(config).iter().any(|(path, message)| path == "environment" && message.contains("no prefix")));
}

#[test]
fn a_named_variable_with_the_prefix_is_explained() {
    let toml = "allow_origins = [\"https://api.example.com\"]\n[token_endpoint]\nurl = \"https://as.example.com/token\"\n\
                client = { id = \"a\", secret = { env = \"APP_CLIENT_SECRET\" } }";
    let config = ProviderConfig::from_toml(toml).unwrap();
    let variables = [("APP_CLIENT_SECRET", "planted"), ("APP_NAME", "billing")];
    let error = config.override_with_variables(PREFIX, variables).build().unwrap_err().to_string();
    for part in [
        "APP_CLIENT_SECRET: found the variable of `token_endpoint.client.secret` with the prefix `APP_`",
        "expected a name that begins in another way",
        "rename the variable, and write its new name there",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!error.contains("does not exist") && !error.contains("planted"), "{error}");

    // Named by a variable, and like an existing field: the secret does not become the provider's name.
    let variables = [
        ("APP_TOKEN_ENDPOINT__URL", "https://as.example.com/token"),
        ("APP_TOKEN_ENDPOINT__CLIENT__ID", "a"),
        ("APP_TOKEN_ENDPOINT__CLIENT__SECRET__ENV", "APP_NAME"),
        ("APP_NAME", "planted"),
    ];
    let error = of(variables).build().unwrap_err().to_string();
    assert!(error.contains("APP_NAME: found the variable of `token_endpoint.client.secret`"), "{error}");
    assert!(!error.contains("planted"), "{error}");

    // The same field, once by its name and once by its prefix: both mean the same value.
    let config = ProviderConfig::from_toml("token = { env = \"APP_TOKEN\" }").unwrap();
    config.override_with_variables(PREFIX, [("APP_TOKEN", "t")]).build().unwrap();
}

#[test]
fn two_variables_for_one_field_are_a_problem() {
    for (one, other) in
        [("APP_TOKEN", "APP_token"), ("APP_TOKEN", "APP_TOKEN__FILE"), ("APP_TOKEN__FILE", "APP_TOKEN__FILE__X")]
    {
        let problems = found(of([(other, "x"), (one, "x")]));
        let expected = format!("found beside `{one}`");
        assert!(problems.iter().any(|(path, message)| path == other && message.starts_with(&expected)), "{problems:?}");
    }
}

#[tokio::test]
async fn variables_are_put_over_a_file_field_by_field() {
    let toml = r#"
        [jwt]
        key = { value = "not hex", encoding = "hex" }
        algorithm = "HS256"
        issuer = "file"
        subject = "file"
        claims = { one = "file", two = "file" }
        headers = { one = "file" }
    "#;
    let config = ProviderConfig::from_toml(toml).unwrap().override_with_variables(
        PREFIX,
        [
            ("APP_JWT__KEY__VALUE", "correct horse battery staple, twice"),
            ("APP_JWT__SUBJECT", "variable"),
            ("APP_JWT__CLAIMS__TWO", "variable"),
            ("APP_JWT__HEADERS", "{ two = \"variable\" }"),
        ],
    );
    // A later one goes over the earlier.
    let config = config.override_with_variables("APP_2_", [("APP_2_JWT__CLAIMS__TWO", "later")]);
    let jwt = config.build().unwrap().token().await.unwrap();
    let (header, claims) = (part(jwt.secret(), 0), part(jwt.secret(), 1));
    assert_eq!((&claims["iss"], &claims["sub"]), (&"file".into(), &"variable".into()));
    assert_eq!((&claims["one"], &claims["two"]), (&"file".into(), &"later".into()));
    assert_eq!((&header["one"], &header["two"]), (&Value::Null, &"variable".into()));
}

#[test]
fn problems_name_file_or_variable() {
    let toml = "surprise = 1\npolicy = 7\n[jwt]\nalgorithm = \"HS256\"\nissuer = 5";
    let variables =
        [("APP_JWT__AUDIENCE", "7"), ("APP_JWT__ISSUER", "me"), ("APP_SURPRISES", "1"), ("APP_POLICY__JITTER", "true")];
    let config = ProviderConfig::from_toml(toml).unwrap().override_with_variables(PREFIX, variables);
    assert_eq!(names(config), ["APP_SURPRISES", "jwt.key", "policy", "surprise"]);
    let config = ProviderConfig::from_json("7").unwrap().override_with_variables(PREFIX, variables);
    assert_eq!(names(config)[0], "configuration");
}

#[test]
fn l38_no_value_of_a_variable_is_shown() {
    const MARKER: &str = "planted-secret-marker";
    let table = format!("{{ value = \"{MARKER}\", vaule = \"{MARKER}\" }}");
    for name in [
        "APP_TOKEN",
        "APP_SURPRISE",
        "APP_JWT",
        "APP_JWT__KEY",
        "APP_JWT__KEY__ENCODING",
        "APP_JWT__ALGORITHM",
        "APP_JWT__NOT_BEFORE",
        "APP_POLICY__RESERVE_SECONDS",
        "APP_ALLOW_ORIGINS__X",
        "APP_TOKEN_ENDPOINT__CLIENT__METHOD",
    ] {
        for text in [MARKER, &table] {
            let config = of([(name, text), ("APP_TOKEN_ENDPOINT__CLIENT", text), ("APP_REFRESH_TOKEN", text)]);
            assert!(!format!("{config:?} {config:#?}").contains(MARKER));
            let error = config.build().unwrap_err();
            let shown = format!("{error} {error:?} {error:#?}");
            assert!(!shown.contains(MARKER), "{name}: {error:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_utf8_is_a_problem() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};
    let text = OsString::from_vec(vec![0xff]);
    let config = ProviderConfig::from_variables(PREFIX, [(OsString::from("APP_TOKEN"), text)]);
    let problems = found(config);
    assert!(problems.contains(&("APP_TOKEN".to_owned(), "found a value that is not UTF-8".to_owned())), "{problems:?}");
}

#[test]
fn the_environment_is_read() {
    // What is there cannot be changed without danger, so nothing of ours is in it.
    let prefix = "BEARER_TOKEN_TEST_NO_SUCH_PREFIX_";
    assert_eq!(names(ProviderConfig::from_env(prefix)), ["environment"]);
    ProviderConfig::from_toml("token = \"t\"").unwrap().override_with_env(prefix).build().unwrap();
    // Cargo sets some.
    let names = names(ProviderConfig::from_env("CARGO_PKG_"));
    assert!(names.iter().any(|name| name == "CARGO_PKG_VERSION"), "{names:?}");
}
