//! How the client authenticates.

use super::*;

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
    let key = format!(
        "method = \"private_key_jwt\"\njwt.algorithm = \"PS256\"\njwt.headers = {{ kid = \"k\" }}\njwt.key = '''{RSA}'''"
    );
    let secret = "method = \"client_secret_jwt\"\nsecret = \"0123456789abcdef0123456789abcdef\"\njwt.audience = \"https://as.example.com\"";
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
             assertion = {{ file = \"token\" }}"
        );
        let config = ProviderConfig::from_toml(&toml).unwrap().relative_to(directory.path());
        let (request, form) = request_of(config).await;
        assert!(!request.headers().contains_key("authorization"));
        assert_eq!(parameter(&form, "client_id"), Some("me"));
        assert_eq!(parameter(&form, "client_assertion"), Some("projected"));
        assert!(parameter(&form, "client_assertion_type").is_some());
    }
    for (client, found) in [
        ("assertion = { file = \"no-such-file\" }", &["assertion", "id"][..]),
        ("id = \"me\"\nmethod = \"assertion\"", &["assertion"]),
        ("id = \"me\"\nmethod = \"public\"\nassertion = { file = \"x\" }", &["assertion"]),
        ("id = \"me\"\nmethod = \"assertion\"\nassertion = { file = \"x\" }\nsecret = \"s\"", &["assertion", "secret"]),
    ] {
        let toml = format!("token_endpoint.url = \"https://as.example.com/token\"\n[token_endpoint.client]\n{client}");
        let found: Vec<_> = found.iter().map(|field| format!("token_endpoint.client.{field}")).collect();
        assert_eq!(paths(&toml), found, "{client}");
    }
}

#[test]
fn client_fields_that_the_method_does_not_use_are_problems() {
    let of = |client: &str| {
        paths(&format!("[token_endpoint]\nurl = \"https://as.example.com\"\n[token_endpoint.client]\n{client}"))
    };
    let secret = "token_endpoint.client.secret";
    assert_eq!(of("method = \"none\"\nid = \"a\"\nsecret = \"b\""), [secret]);
    let jwt = "jwt = { algorithm = \"HS256\", key = \"0123456789abcdef0123456789abcdef\" }";
    let secret_jwt = "id = \"a\"\nmethod = \"client_secret_jwt\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n";
    assert_eq!(of(&format!("{secret_jwt}{jwt}")), ["token_endpoint.client.jwt.key"]);
    assert_eq!(
        of("id = \"a\"\nsecret = \"b\"\nmethod = \"post\"\njwt = { audience = \"c\" }"),
        ["token_endpoint.client.jwt"]
    );
}

// shows: 7523/bis-typ
#[tokio::test]
async fn a_server_with_an_issuer_gets_it_as_audience() {
    let toml = format!(
        "[token_endpoint]\nurl = \"https://as.example.com/token\"\nissuer = \"https://as.example.com/\"\n\
         [token_endpoint.client]\nid = \"me\"\njwt.algorithm = \"RS256\"\njwt.key = '''{RSA}'''"
    );
    for (more, audience, typ) in [
        ("", "https://as.example.com/", "client-authentication+jwt"),
        ("\njwt.audience = \"other\"\njwt.headers = { typ = \"JWT\" }", "other", "JWT"),
    ] {
        let (_, form) = request_of(ProviderConfig::from_toml(&format!("{toml}{more}")).unwrap()).await;
        let jwt = parameter(&form, "client_assertion").unwrap();
        assert_eq!((&part(jwt, 1)["aud"], &part(jwt, 0)["typ"]), (&audience.into(), &typ.into()), "{more}");
    }
    let without_url = toml.replace("url = \"https://as.example.com/token\"\n", "");
    ProviderConfig::from_toml(&without_url).unwrap().transport(Recorder::default()).build().unwrap();
    assert_eq!(paths(&without_url.replace("https://as", "http://as")), ["token_endpoint.issuer"]);
}

#[tokio::test]
async fn the_endpoint_for_clients_with_a_certificate_is_used_by_choice() {
    struct Bank(Recorder);
    impl Transport for Bank {
        async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
            let is_metadata = request.method() == http::Method::GET;
            let response = self.0.send(request).await;
            let metadata = br#"{"issuer":"https://as.example.com","token_endpoint":"https://as.example.com/token",
                "mtls_endpoint_aliases":{"token_endpoint":"https://mtls.example.com/token"}}"#;
            if is_metadata { Ok(http::Response::new(Bytes::from_static(metadata))) } else { response }
        }
    }
    let toml = "[token_endpoint]\nissuer = \"https://as.example.com\"\nclient = { id = \"me\" }\n";
    for (more, host) in [("", "as.example.com"), ("use_mtls_alias = true", "mtls.example.com")] {
        let recorder = Recorder::default();
        let config = ProviderConfig::from_toml(&format!("{toml}{more}")).unwrap();
        config.transport(Bank(recorder.clone())).build().unwrap().token().await.unwrap();
        assert_eq!(recorder.0.lock().unwrap()[1].uri().host(), Some(host), "{more}");
    }
    let with_url = toml.replace("issuer = \"https://as.example.com\"", "url = \"https://as.example.com/token\"");
    assert_eq!(paths(&format!("{with_url}use_mtls_alias = true")), ["token_endpoint.use_mtls_alias"]);
}

#[tokio::test]
async fn an_assertion_may_be_of_another_type() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("svid"), "projected\n").unwrap();
    let spiffe = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
    let toml = format!(
        "[token_endpoint]\nurl = \"https://as.example.com/token\"\n[token_endpoint.client]\nid = \"spiffe://example.org/me\"\n\
         assertion = {{ file = \"svid\" }}\nassertion_type = \"{spiffe}\""
    );
    let (_, form) = request_of(ProviderConfig::from_toml(&toml).unwrap().relative_to(directory.path())).await;
    assert_eq!(parameter(&form, "client_assertion_type"), Some(spiffe));
    let unused = toml.replace("assertion = { file = \"svid\" }", "secret = \"s\"");
    assert_eq!(paths(&unused), ["token_endpoint.client.assertion_type"]);
}

#[tokio::test]
async fn l24_a_secret_that_is_part_of_a_file_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("client.json");
    let write = |secret: &str| std::fs::write(&path, format!(r#"{{"pair":"{secret}"}}"#)).unwrap();
    write("me:one");
    let toml = r#"
        [token_endpoint]
        url = "https://as.example.com/token"
        client = { method = "post", id = "me", secret = { file = "client.json", member = "/pair", part = "after :" } }
    "#;
    let recorder = Recorder::default();
    let config = ProviderConfig::from_toml(toml).unwrap().relative_to(directory.path());
    let provider = config.transport(recorder.clone()).build().unwrap();
    provider.token().await.unwrap();
    write("me:two");
    provider.refresh_now().await.unwrap();
    write("unusable");
    provider.refresh_now().await.unwrap();
    let requests = recorder.0.lock().unwrap();
    for (request, secret) in requests.iter().zip(["one", "two", "two"]) {
        assert!(request.body().ends_with(format!("client_secret={secret}").as_bytes()));
    }
    assert_eq!(requests.len(), 3);
}

#[tokio::test]
async fn the_secret_can_be_the_token_of_a_source() {
    let toml = r#"
        [sources.vault]
        token = "leased"
        [token_endpoint]
        url = "https://as.example.com/token"
        client = { method = "post", id = "me", secret = { source = "vault" } }
    "#;
    let (_, form) = request_of(ProviderConfig::from_toml(toml).unwrap()).await;
    assert_eq!(parameter(&form, "client_secret"), Some("leased"));
}
