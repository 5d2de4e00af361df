use crate::{Config, cli, command, config_directory, ended};

async fn dry_run(config: &str) -> String {
    let ended = cli(&["check", "--dry-run", "--config", config]).await;
    ended.assert_status(0);
    assert!(ended.err.is_empty(), "{}", ended.err);
    assert!(ended.out.ends_with("\nThis was a dry run: nothing was sent.\n"), "{}", ended.out);
    ended.out
}

/// The warnings, without their prefix.
fn warnings(out: &str) -> Vec<&str> {
    out.lines().filter_map(|line| line.strip_prefix("warning: ")).collect()
}

#[tokio::test]
async fn request_and_jwt_are_shown_and_not_sent() {
    let server = examples::server_in_a_box::start(0).unwrap();
    let config = Config::sample("jwt-bearer.toml", &server);
    let out = dry_run(&config.path).await;
    assert!(out.starts_with(&format!("POST {}\n", server.token_url())), "{out}");
    for expected in [
        "\ncontent-type: application/x-www-form-urlencoded\n",
        "\naccept: application/json\n",
        "\nhost: 127.0.0.1:",
        "\ncontent-length: ",
        // As it is sent.
        "\ngrant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer\n",
        "\nassertion=[redacted, ",
        "\nscope=read\n",
        "\nassertion, header:\n{\n",
        "  \"alg\": \"RS256\"",
        "  \"kid\": \"example-rsa\"",
        "\nassertion, claims:\n{\n",
        "  \"iss\": \"integration@example.com\"",
        "    \"tenant\": 7",
        // The exact time depends on the load of the machine.
        " s ago)\n",
        " GMT (in ",
    ] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
    assert!(warnings(&out).is_empty(), "{out}");
    assert_eq!(server.count().token_requests, 0);

    // With the token shown, the server accepts exactly this request.
    let ended = cli(&["check", "--dry-run", "--show-token", "--config", &config.path]).await;
    let assertion = ended.out.lines().find_map(|line| line.strip_prefix("assertion=")).unwrap();
    assert_eq!(assertion.split('.').count(), 3, "{assertion}");
    // A JWT needs no percent-encoding.
    let form = format!("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion={assertion}");
    let request = reqwest::Client::builder().no_proxy().build().unwrap().post(server.token_url()).body(form);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let reply = request.send().await.unwrap();
    assert_eq!(reply.status(), 200);
}

#[tokio::test]
async fn no_sample_configuration_shows_a_secret() {
    let secret = std::fs::read_to_string(config_directory().join("keys/client-secret.txt")).unwrap();
    for (name, expected) in [
        ("client-credentials.toml", "\nauthorization: Basic [redacted, "),
        ("private-key-jwt.toml", "\nclient_assertion=[redacted, "),
        ("self-signed.toml", "\nauthorization: Bearer [redacted, "),
        ("box.toml", "\nassertion=[redacted, "),
        ("static.json", "\nauthorization: Bearer [redacted, 31 bytes]\n"),
    ] {
        let out = dry_run(config_directory().join(name).to_str().unwrap()).await;
        assert!(out.contains(expected), "{name}: {out}");
        assert!(!out.contains(secret.trim()) && !out.contains("somebody-else"), "{name}: {out}");
        // Every JWT starts like this, and so does each of its JSON parts.
        assert!(!out.contains("eyJ"), "{name}: {out}");
        assert!(warnings(&out).is_empty(), "{name}: {out}");
    }
}

#[tokio::test]
async fn l38_whatever_may_be_a_secret_is_redacted() {
    const MARKER: &str = "planted-secret-marker";
    let endpoint =
        format!("url = \"https://as.example.com/token?code={MARKER}\"\nheaders = {{ x-api-key = \"{MARKER}\" }}");
    let parameters = format!("parameters = {{ passcode = \"{MARKER}\", custom = \"{MARKER}\", resource = \"r\" }}");
    for client in [
        format!("method = \"basic\"\nid = \"me\"\nsecret = \"{MARKER}\""),
        format!("method = \"post\"\nid = \"me\"\nsecret = \"{MARKER}\""),
        format!("method = \"client_secret_jwt\"\nid = \"me\"\nsecret = \"{MARKER}, long enough to sign\""),
    ] {
        let text = format!("[token_endpoint]\n{endpoint}\n{parameters}\n[token_endpoint.client]\n{client}");
        let config = Config::new("secrets.toml", text);
        let out = dry_run(&config.path).await;
        assert!(!out.contains(MARKER) && !out.contains("cGxhbnRl"), "{out}");
        assert!(out.contains("\npasscode=[redacted, 21 bytes]\n") && out.contains("\nresource=r\n"), "{out}");
        assert!(out.contains("\nx-api-key: [redacted, 21 bytes]\n"), "{out}");
        let ended = cli(&["check", "--dry-run", "--show-token", "--config", &config.path]).await;
        assert!(ended.out.contains(&format!("\npasscode={MARKER}\n")), "{}", ended.out);
    }

    let refresh = format!("[refresh_token]\ninitial = \"{MARKER}\"\nreusable = true");
    let client = "[token_endpoint.client]\nid = \"me\"";
    let config = Config::new("refresh.toml", format!("{refresh}\n[token_endpoint]\n{endpoint}\n{client}"));
    let out = dry_run(&config.path).await;
    assert!(!out.contains(MARKER) && out.contains("\nrefresh_token=[redacted, 21 bytes]\n"), "{out}");
}

#[tokio::test]
async fn l38_url_queries_are_redacted_in_every_spelling() {
    for (query, audience) in [
        ("key=MARK%20QUERY", "https://as.example.com/token?key=MARK QUERY"),
        ("key=MARK%20QUERY", "https://as.example.com/token?key=MARK%20QUERY"),
        (r"k=MARK\\x", r"https://as.example.com/token?k=MARK\\x"),
    ] {
        let url = format!("[token_endpoint]\nurl = \"https://as.example.com/token?{query}\"");
        let resource = format!("scope = \"a b\"\nparameters = {{ resource = \"{audience}\" }}");
        let jwt = "algorithm = \"HS256\"\nkey = \"correct horse battery staple, twice\"";
        let text = format!("[jwt]\n{jwt}\naudience = \"{audience}\"\n{url}\n{resource}");
        let config = Config::new("query.toml", text);
        let out = dry_run(&config.path).await;
        assert!(!out.contains("MARK"), "{query}: {out}");
        assert!(out.contains("\"aud\": \"https://as.example.com/token?[redacted, "), "{out}");
        assert!(out.contains("\nscope=a+b\n") && out.contains("\nhost: as.example.com\n"), "{out}");
        let ended = cli(&["check", "--dry-run", "--show-token", "--config", &config.path]).await;
        assert!(ended.out.contains("MARK"), "{}", ended.out);
    }
}

#[tokio::test]
async fn what_servers_often_refuse_is_warned_of() {
    const SECRET: &str = "algorithm = \"HS256\"\nkey = \"correct horse battery staple, twice\"";
    const CLAIMS: &str = "issuer = \"i\"\nsubject = \"s\"";
    const URL: &str = "[token_endpoint]\nurl = \"https://as.example.com/token\"";
    for (jwt, rest, expected) in [
        (format!("{CLAIMS}\naudience = \"https://as.example.com/token\""), URL, &[][..]),
        (format!("{CLAIMS}\naudience = \"https://as.example.com/\""), URL, &[]),
        (format!("{CLAIMS}\naudience = \"https://as.example.com/token/\""), URL, &["the slash at the end"]),
        (
            format!("{CLAIMS}\naudience = [\"a\", \"https://as.example.com/token/\"]"),
            "[token_endpoint]\nurl = \"https://as.example.com/token\"",
            &["the slash at the end"],
        ),
        (
            format!("{CLAIMS}\naudience = \"https://as.example.com\""),
            "[token_endpoint]\nurl = \"https://as.example.com\"",
            &[],
        ),
        ("expiry_seconds = 7300".to_owned(), URL, &["`iss`", "`sub`", "`aud`", "`exp` is 2 h ahead"]),
        (
            format!("{CLAIMS}\naudience = \"a\""),
            "[token_endpoint]\nurl = \"http://as.example.com/token\"\nallow_plaintext = true",
            &["`http:`"],
        ),
        (format!("{CLAIMS}\naudience = \"a\""), "[token_endpoint]\nurl = \"http://127.0.0.1:1/token\"", &[]),
        ("audience = \"a\"\nexpiration_time = false".to_owned(), "", &["there is no `exp`"]),
        ("audience = \"a\"\nexpiry_seconds = 864000".to_owned(), "", &[]),
    ] {
        let config = Config::new("warn.toml", format!("[jwt]\n{SECRET}\n{jwt}\n{rest}"));
        let out = dry_run(&config.path).await;
        let found = warnings(&out);
        assert_eq!(found.len(), expected.len(), "{jwt} {rest}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{expected}: {found}");
        }
    }
}

#[tokio::test]
async fn a_token_that_has_expired_is_found_out() {
    // {"alg":"none"}.{"exp":1}
    let config = Config::new("old.toml", "token = \"eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln\"");
    let out = dry_run(&config.path).await;
    assert!(out.contains("\n  exp  Thu, 01 Jan 1970 00:00:01 GMT ("), "{out}");
    assert!(warnings(&out)[0].starts_with("it expired "), "{out}");
}

#[tokio::test]
async fn what_is_wrong_is_explained_as_without_it() {
    let config = Config::new("bad.toml", "[jwt]\nalgorithm = \"RS255\"");
    let ended = cli(&["check", "--dry-run", "--config", &config.path]).await;
    ended.assert_status(3);
    assert!(ended.out.is_empty() && ended.err.contains("jwt.algorithm"), "{}", ended.all());
    let refresh = "[refresh_token]\nfile = \"none\"\n[token_endpoint]\nurl = \"https://as.example.com/\"";
    let config = Config::new("none.toml", format!("{refresh}\n[token_endpoint.client]\nid = \"me\""));
    let ended = cli(&["check", "--dry-run", "--config", &config.path]).await;
    ended.assert_status(4);
    assert!(ended.out.contains("no refresh token in the store"), "{}", ended.all());
    assert!(ended.out.contains("\nfix: run `bearer-token login` first\n"), "{}", ended.all());
}

#[tokio::test]
async fn the_configuration_can_come_from_the_environment() {
    let mut bad = command(&["check", "--dry-run", "--env", "APP_"]);
    bad.env("APP_VERSION", "1").env("APP_TOKEN", "t");
    let bad = ended(bad).await;
    bad.assert_status(3);
    assert_eq!(bad.err.lines().next(), Some("1 problem in the variables APP_*"), "{}", bad.err);
    assert!(bad.err.contains("\n  APP_VERSION: found a field that does not exist"), "{}", bad.err);
    let config = Config::new("static.toml", "token = \"from-the-file\"");
    let mut both = command(&["token", "--env", "APP_", "--config", &config.path]);
    both.env("APP_TOKEN", "from-a-variable");
    let both = ended(both).await;
    assert_eq!(both.out, "from-a-variable\n", "{}", both.err);
}

#[tokio::test]
async fn l38_a_json_body_and_a_query_are_redacted() {
    const MARKER: &str = "planted-secret-marker";
    let endpoint = "[token_endpoint]\nurl = \"https://as.example.com/token\"\ngrant_type = \"\"";
    let parameters =
        format!("parameters = {{ scope = \"read\", jwt = \"{MARKER}\", deep = {{ list = [\"{MARKER}\"] }} }}");
    let out = dry_run(&Config::new("json.toml", format!("{endpoint}\nbody = \"json\"\n{parameters}")).path).await;
    assert!(!out.contains(MARKER), "{out}");
    assert!(out.contains("\nscope: \"read\"\n") && out.contains("\njwt: [redacted, 21 bytes]\n"), "{out}");
    assert!(out.contains("\ndeep:\n  list:\n    - [redacted, 21 bytes]\n"), "{out}");

    let query = format!("method = \"GET\"\nbody = \"query\"\nparameters = {{ key = \"{MARKER}\" }}");
    let out = dry_run(&Config::new("query.toml", format!("{endpoint}\n{query}")).path).await;
    assert!(!out.contains(MARKER) && out.starts_with("GET https://as.example.com/token?key=[redacted, "), "{out}");
    assert!(!out.contains("content-length"), "{out}");
}

#[tokio::test]
async fn a_length_is_shown_once() {
    let endpoint = "[token_endpoint]\nurl = \"https://as.example.com/token\"\ngrant_type = \"\"\nbody = \"none\"";
    let out = dry_run(&Config::new("none.toml", endpoint).path).await;
    assert_eq!(out.matches("content-length").count(), 1, "{out}");
}

#[tokio::test]
async fn a_known_token_is_shown_as_it_is_sent() {
    let config = "allow_origins = [\"https://api.example.com\"]\ntoken = { value = \"planted-secret-marker\" }";
    let send = "[send]\nheader = \"x-token\"\nscheme = \"\"\nheaders = { x-client = \"planted-second-marker\" }";
    let out = dry_run(&Config::new("send.toml", format!("{config}\n{send}")).path).await;
    assert!(out.contains("\nx-token: [redacted, 21 bytes]\nx-client: [redacted, 21 bytes]\n"), "{out}");
    assert!(!out.contains("planted"), "{out}");
}

#[tokio::test]
async fn words_that_most_servers_refuse_are_warned_of() {
    let client = "client = { id = \"a\", secret = { value = \"planted-secret\" } }";
    let endpoint = format!("[token_endpoint]\nurl = \"https://as.example.com/token\"\n{client}");
    for (words, expected) in [
        ("grant_type = \"client_credential\"", vec!["`client_credentials`"]),
        ("grant_type = \"client-credentials\"\nscope = \"read,write\"", vec!["`client_credentials`", "comma"]),
        ("grant_type = \"account_credentials\"\nscope = \"read write\"", vec![]),
        ("scope = \"read\"", vec![]),
        ("parameters = { audience = \"https://a.example.com,https://b.example.com\" }", vec!["`audience` has a comma"]),
        ("grant_type = \"authorization_code\"", vec!["`[refresh_token]`"]),
    ] {
        let out = dry_run(&Config::new("words.toml", format!("{endpoint}\n{words}")).path).await;
        let found = warnings(&out);
        assert_eq!(found.len(), expected.len(), "{out}");
        assert!(found.iter().zip(&expected).all(|(found, expected)| found.contains(expected)), "{out}");
    }
}

#[tokio::test]
async fn l38_the_headers_for_the_api_follow_the_last_request() {
    let send = "[send]\nscheme = \"Token\"\nheaders = { x-key = { value = \"planted key of two\" } }";
    let login = "[sources.login.token_endpoint]\nurl = \"https://login.example.com/token\"\nclient = { id = \"a\" }";
    let endpoint = "[token_endpoint]\nurl = \"https://as.example.com/token\"\nclient = { id = \"a\" }";
    let header = "headers = { x-login = { source = \"login\" } }";
    let out = dry_run(&Config::new("api.toml", format!("{send}\n{login}\n{endpoint}\n{header}")).path).await;
    let (requests, api) = out.split_once("\n[Each request to the API gets these headers").unwrap();
    assert!(
        requests.contains("https://login.example.com/token") && requests.contains("\nx-login: [redacted, "),
        "{out}"
    );
    assert!(api.contains("\nauthorization: Token [redacted, "), "{out}");
    assert!(api.contains("\nx-key: [redacted, 18 bytes]\n") && !out.contains("planted"), "{out}");
    assert_eq!(out.matches("[Each request to the API").count(), 1, "{out}");
}

#[tokio::test]
async fn placeholders_of_examples_are_warned_of() {
    for (id, secret, expected) in [
        ("reports", "s3cret-of-the-client", &[][..]),
        ("your-client-id", "s3cret-of-the-client", &["`client_id` looks"]),
        ("YOUR_CLIENT_ID", "changeme", &["`client_id` looks", "`client_secret` looks"]),
        ("reports", "Change-Me", &["`client_secret` looks"]),
        ("reports", "xxxxxxxx", &["`client_secret` looks"]),
        ("{{client}}", "s3cret-of-the-client", &["`client_id` looks"]),
        ("client", "secret", &[]),
        ("yourcompany", "mysterious", &[]),
    ] {
        for method in ["basic", "post"] {
            let client =
                format!("client = {{ method = \"{method}\", id = \"{id}\", secret = {{ value = \"{secret}\" }} }}");
            let text = format!("[token_endpoint]\nurl = \"https://as.example.com/token\"\n{client}");
            let out = dry_run(&Config::new("placeholder.toml", text).path).await;
            let found = warnings(&out);
            assert_eq!(found.len(), expected.len(), "{id}: {out}");
            assert!(found.iter().zip(expected).all(|(found, expected)| found.starts_with(expected)), "{id}: {out}");
            assert!(secret == "secret" || !out.contains(secret), "{id}: {out}");
        }
    }
}

#[tokio::test]
async fn claims_with_commas_and_placeholders_are_warned_of() {
    let jwt = "algorithm = \"HS256\"\nkey = \"correct horse battery staple, twice\"\nsubject = \"s\"";
    let url = "[token_endpoint]\nurl = \"https://as.example.com/token\"";
    for (claims, expected) in [
        ("issuer = \"your-issuer-id\"\naudience = \"a\"", "`iss` looks like a placeholder"),
        ("issuer = \"i\"\naudience = \"https://a.example.com,https://b.example.com\"", "`aud` has a comma"),
    ] {
        let out = dry_run(&Config::new("claims.toml", format!("[jwt]\n{jwt}\n{claims}\n{url}")).path).await;
        let found = warnings(&out);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{out}");
    }
}
