//! What is signed: the fields of a JWT, and its key.

use super::*;

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

// shows: 7517/4
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
    const ENCRYPTED: &str = include_str!("../../../bearer-token/src/jwt/testdata/rsa2048.encrypted.pem");
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
    let client =
        format!("jwt.key = '''{ENCRYPTED}'''\njwt.passphrase = \"test\"\njwt.kid = \"k\"\njwt.algorithm = \"PS256\"");
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
    let encrypted = include_str!("../../../bearer-token/src/jwt/testdata/rsa2048.encrypted.pem");
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

#[tokio::test]
async fn nbf_has_a_back_date_apart_from_iat() {
    let config = |field: &str| {
        let key = r#"algorithm = "HS256", key = "0123456789abcdef0123456789abcdef""#;
        ProviderConfig::from_toml(&format!("jwt = {{ {key}, issuer = \"me\", backdate_seconds = 5, {field} }}"))
            .unwrap()
    };
    for (field, before_iat) in
        [("not_before = true", 0), ("not_before_backdate_seconds = 0", -5), ("not_before_backdate_seconds = 65", 60)]
    {
        let provider = config(field).build().unwrap();
        let claims = part(provider.token().await.unwrap().secret(), 1);
        assert_eq!(claims["iat"].as_i64().unwrap() - claims["nbf"].as_i64().unwrap(), before_iat, "{field}");
    }
    let error = config("not_before = false, not_before_backdate_seconds = 65").build().unwrap_err().to_string();
    let expected =
        "jwt.not_before_backdate_seconds: found beside `not_before`, which sets the same: remove one of the two";
    assert!(error.contains(expected), "{error}");
}
