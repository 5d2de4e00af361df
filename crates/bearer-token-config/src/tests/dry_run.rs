use super::*;

async fn stages(toml: &str) -> Vec<DryRun> {
    ProviderConfig::from_toml(toml).unwrap().dry_run().await.unwrap()
}

#[tokio::test]
async fn sources_come_before_what_they_feed() {
    // `z` feeds `a`, which feeds the configuration.
    let stages = stages(
        r#"
        [sources.a.token_endpoint]
        url = "https://a.example.com/token"
        grant_type = ""
        headers = { authorization = { source = "z" } }
        response = { token = "" }
        [sources.z]
        token = "made elsewhere"
        [token_endpoint]
        url = "https://as.example.com/token"
        assertion = { source = "a", fresh = true }
        client = { id = "me" }
        "#
        .replace("made elsewhere", "elsewhere")
        .as_str(),
    )
    .await;
    let paths: Vec<_> = stages.iter().map(DryRun::stage).collect();
    assert_eq!(paths, ["sources.z", "sources.a", "token_endpoint"]);
    let counts: Vec<_> = stages.iter().map(|stage| stage.requests().len()).collect();
    assert_eq!(counts, [0, 1, 1], "each request once, although `a` is asked again");
    assert_eq!(stages[1].requests()[0].headers()["authorization"], "elsewhere");
    let form = String::from_utf8_lossy(stages[2].requests()[0].body());
    assert!(form.contains("assertion=stand-in-for-the-token-of-sources.a"), "{form}");
}

#[tokio::test]
async fn every_form_of_a_response_has_a_stand_in() {
    for response in [
        "{}",
        "{ token = \"\" }",
        "{ token = \"/a/0/b~1c\", expires_in = \"/a/0/ttl\", unit = \"ms\" }",
        "{ token = \"/iamToken\", expires_at = \"/expiresAt\", never = 0 }",
    ] {
        let endpoint = "url = \"https://as.example.com/token\"\nclient = { id = \"me\" }";
        let stages = stages(&format!("[token_endpoint]\n{endpoint}\nresponse = {response}")).await;
        let token = stages[0].token().unwrap_or_else(|error| panic!("{response}: {error}"));
        assert_eq!(token.secret(), "stand-in-for-the-token-of-token_endpoint", "{response}");
    }
}

#[tokio::test]
async fn metadata_is_asked_for_before_the_token() {
    let endpoint = "issuer = \"https://as.example.com/tenant\"\nclient = { id = \"me\" }";
    let stages = stages(&format!("[token_endpoint]\n{endpoint}")).await;
    let urls: Vec<_> = stages[0].requests().iter().map(|request| request.uri().to_string()).collect();
    assert_eq!(
        urls,
        [
            "https://as.example.com/.well-known/oauth-authorization-server/tenant",
            "https://as.example.com/tenant/token-endpoint-of-the-metadata",
        ]
    );
}

#[tokio::test]
async fn a_refresh_token_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let toml = r#"
        refresh_token = { file = "refresh.json", initial = "planted-first" }
        [token_endpoint]
        url = "https://as.example.com/token"
        response = { refresh_token = "/access_token" }
        client = { id = "me" }
    "#;
    let config = ProviderConfig::from_toml(toml).unwrap().relative_to(directory.path());
    let stages = config.dry_run().await.unwrap();
    assert!(String::from_utf8_lossy(stages[0].requests()[0].body()).contains("refresh_token=planted-first"));
    assert!(stages[0].token().is_ok());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing was written");
    let shown = format!("{stages:?}");
    assert!(!shown.contains("planted"), "{shown}");
}

#[tokio::test]
async fn problems_are_reported_as_by_build() {
    let error = ProviderConfig::from_toml("tokn = \"x\"").unwrap().dry_run().await.unwrap_err();
    assert_eq!(error.problems()[0].path(), "tokn");
}

#[tokio::test]
async fn variables_are_given_or_named() {
    let config = || {
        ProviderConfig::from_toml(
            r#"
            [jwt]
            algorithm = "HS256"
            key = "0123456789abcdef0123456789abcdef"
            issuer = { variable = "tenant" }
            computed = { host = "{request.host}" }
            [token_endpoint]
            url = { variable = "tenant", prefix = "https://as.example.com/", suffix = "/token" }
            "#,
        )
        .unwrap()
    };
    let variables = [("tenant", "acme"), ("request.host", "api.example.com")];
    let stages = config().dry_run_with(variables).await.unwrap();
    let request = &stages[0].requests()[0];
    assert_eq!(request.uri(), "https://as.example.com/acme/token");
    let form: Vec<_> = form_urlencoded::parse(request.body()).into_owned().collect();
    let claims = part(parameter(&form, "assertion").unwrap(), 1);
    assert_eq!((&claims["iss"], &claims["host"]), (&"acme".into(), &"api.example.com".into()));
    let error = config().dry_run_with([("tenant", "acme")]).await.unwrap_err();
    assert_eq!(error.problems()[0].path(), "jwt.computed.host");
    assert!(error.to_string().contains("`request.host`"), "{error}");
}
