//! What is wrong with a configuration, and what is never shown of it.

use super::*;

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
    assert_eq!(paths("allow_origins = []"), ["configuration"]);
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
fn an_alias_of_metadata_beside_a_url_is_a_problem() {
    let config = r#"
        token_endpoint = { url = "https://as.example.com/token", use_mtls_alias = true, client = { id = "x" } }
    "#;
    let error = ProviderConfig::from_toml(config).unwrap().transport(Recorder::default()).build().unwrap_err();
    let found: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
    let expected = "token_endpoint.use_mtls_alias: found beside a URL, which is used as it is: \
                    remove `token_endpoint.use_mtls_alias`";
    assert_eq!(found, [expected]);
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

#[test]
fn a_near_algorithm_is_suggested_once() {
    for (name, near) in [("rs256", "RS256"), ("RSA", "RS256"), ("ecdsa", "ES256"), ("Ed25519", "EdDSA")] {
        let text = problems(&format!("[jwt]\nalgorithm = \"{name}\"\nkey = \"x\""))[0].to_string();
        assert!(text.ends_with(&format!(": did you mean `{near}`?")), "{text}");
        assert_eq!(text.matches("did you mean").count(), 1, "{text}");
    }
}

#[test]
fn a_misspelt_member_of_a_value_is_one_problem() {
    let client = "token_endpoint.client";
    for (value, member) in [("{ fil = \"x\" }", "fil"), ("{ qqqqq = \"x\" }", "qqqqq"), ("{ flie = \"x\" }", "flie")] {
        let toml =
            format!("[token_endpoint]\nurl = \"https://as.example.com\"\nclient = {{ id = \"a\", secret = {value} }}");
        assert_eq!(paths(&toml), [format!("{client}.secret.{member}")], "{value}");
        assert_eq!(paths(&format!("token = {value}")), [format!("token.{member}")], "{value}");
    }
    // Another one is still a problem of its own.
    let toml =
        "[token_endpoint]\nurl = \"https://as.example.com\"\nclient = { id = { value = \"a\", x = 1 }, secret = {} }";
    assert_eq!(paths(toml), [format!("{client}.id.x"), format!("{client}.secret")]);
}

#[test]
fn what_belongs_into_a_table_is_said() {
    let endpoint = "[token_endpoint]\nurl = \"https://as.example.com\"";
    for (toml, path, expected) in [
        (
            format!("{endpoint}\nclient = \"planted:secret\""),
            "token_endpoint.client",
            "its fields are `method`, `id`, `secret`, ",
        ),
        ("jwt = \"planted\"".to_owned(), "jwt", " and others"),
        ("token = \"t\"\n[send]\nheaders = [\"x-version: planted\"]".to_owned(), "send.headers", "`{ NAME = \"..\" }`"),
        ("token = \"t\"\n[send]\nheaders = \"x-version: planted\"".to_owned(), "send.headers", "`{ NAME = \"..\" }`"),
    ] {
        let error = ProviderConfig::from_toml(&toml).unwrap().build().unwrap_err();
        let [problem] = error.problems() else { panic!("{toml}: {error}") };
        assert_eq!(problem.path(), path);
        assert!(problem.to_string().contains(expected) && !error.to_string().contains("planted"), "{error}");
    }
}

/// Text that cannot be read may have a secret in the place of a name.
#[test]
fn repeated_names_that_are_no_fields_are_not_shown() {
    for (text, expected) in [
        ("marker = 1\nmarker = 2\n", "a field is there more than once"),
        ("[token_endpoint]\nmarker = 1\nmarker = 2\n", "a field below `[token_endpoint]` is there more than once"),
        ("[marker]\nurl = 1\nurl = 2\n", "`url` is there more than once"),
        ("[marker]\n[marker]\n", "a table is there more than once"),
        ("[marker.jwt]\n[marker.jwt]\n", "a table is there more than once"),
        ("[jwt.key]\n[jwt.key]\n", "the table `jwt.key` is there more than once"),
    ] {
        let error = ProviderConfig::from_toml(text).err().unwrap().to_string();
        assert!(error.contains(expected) && !error.contains("marker"), "{text}: {error}");
    }
}
