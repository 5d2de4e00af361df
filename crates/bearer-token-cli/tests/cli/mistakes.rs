//! Twelve mistakes in a configuration, against the server in a box: `check` finds each and names what to change.

use crate::{Config, Ended, cli};

/// How each configuration begins, without the mistake.
const JWT: &str = r#"
    allow_origins = ["ORIGIN"]
    [jwt]
    algorithm = "RS256"
    key = { file = "keys/rsa.pem" }
    issuer = "integration@example.com"
    subject = "alice@example.com"
    audience = "ORIGIN/token"
    [token_endpoint]
    url = "ORIGIN/token"
    scope = "read"
"#;

const CLIENT: &str = r#"
    allow_origins = ["ORIGIN"]
    [token_endpoint]
    url = "ORIGIN/token"
    scope = "read"
    client = { id = "billing", secret = { file = "keys/client-secret.txt" } }
"#;

const SELF_SIGNED: &str = r#"
    allow_origins = ["ORIGIN"]
    [jwt]
    algorithm = "ES256"
    key = { file = "keys/p256.pem" }
    issuer = "reports@example.com"
    subject = "reports@example.com"
    audience = "https://api.example.com/"
"#;

/// Checks a configuration in which `right` is replaced by `wrong`.
async fn check(config: &str, right: &str, wrong: &str) -> Ended {
    let server = examples::server_in_a_box::start(0).unwrap();
    assert!(config.contains(right), "{right}");
    let text = config.replacen(right, wrong, 1).replace("ORIGIN", &server.issuer());
    let config = Config::with_keys("mistake.toml", text);
    cli(&["check", "--config", &config.path, &format!("{}/orders", server.api_url())]).await
}

#[tokio::test]
async fn a_configuration_without_a_mistake_passes() {
    for config in [JWT, CLIENT, SELF_SIGNED] {
        let ended = check(config, "ORIGIN", "ORIGIN").await;
        ended.assert_status(0);
        assert!(ended.out.ends_with("\nAll is well.\n") && !ended.all().contains("fix: "), "{}", ended.all());
    }
}

#[tokio::test]
async fn twelve_of_twelve_mistakes_are_found_with_their_fix() {
    for (config, right, wrong, status, first) in [
        // In the file, before anything is sent.
        (JWT, "[token_endpoint]", "[token_endpont]", 3, "token_endpont: found a field that does not exist"),
        (JWT, "\"RS256\"", "\"ES256\"", 3, "jwt.key: the file `"),
        (JWT, "keys/rsa.pem", "rsa.pem", 3, "jwt.key: "),
        (CLIENT, "url = \"ORIGIN/token\"", "url = \"http://as.example.com/token\"", 3, "token_endpoint.url: "),
        // At the authorization server.
        (JWT, "ORIGIN/token", "ORIGIN/token/", 4, "fix: `jwt.audience`: "),
        (JWT, "integration@", "intergration@", 4, "fix: `jwt.issuer`: "),
        (JWT, "issuer =", "expiry_seconds = 86400\n    issuer =", 4, "fix: `jwt.expiry_seconds`: "),
        (
            CLIENT,
            "{ file = \"keys/client-secret.txt\" }",
            "\"another-secret\"",
            4,
            "fix: `token_endpoint.client.id` and `.secret`",
        ),
        (CLIENT, "\"read\"", "\"read admin\"", 4, "fix: `token_endpoint.scope`: "),
        (CLIENT, "ORIGIN/token", "ORIGIN/oauth/token", 4, "fix: `token_endpoint.url`: its path"),
        // At the API.
        (CLIENT, "[\"ORIGIN\"]", "[\"https://api.example.com\"]", 1, "fix: `allow_origins`: add \"http://127.0.0.1:"),
        (SELF_SIGNED, "https://api.example.com/", "https://api.example.com", 1, "fix: `jwt.audience`: "),
        // More than the twelve.
        (
            CLIENT,
            "client =",
            "grant_type = \"client_credential\"\n    client =",
            4,
            "fix: `token_endpoint.grant_type`: ",
        ),
        (CLIENT, "url = \"ORIGIN", "url = \"https://127.0.0.1:9", 5, "fix: `token_endpoint.url`: its scheme"),
        (CLIENT, "[token_endpoint]", "send = { scheme = \"Token\" }\n[token_endpoint]", 1, "fix: `send.scheme`"),
    ] {
        let ended = check(config, right, wrong).await;
        ended.assert_status(status);
        let found = ended.all();
        let lines: Vec<&str> = found.lines().map(str::trim_start).collect();
        let fixes = lines.iter().filter(|line| line.starts_with("fix: ") || status == 3);
        assert!(fixes.clone().any(|line| line.starts_with(first)), "{wrong}: {first}: {found}");
        assert!(!found.contains("eyJ") && !found.contains("another-secret"), "{wrong}: {found}");
    }
}

#[tokio::test]
async fn other_mistakes_are_found_with_their_fix() {
    let rsa = "\"RS256\"\n    key = { file = \"keys/rsa.pem\" }";
    let p256 = "\"ES256\"\n    key = { file = \"keys/p256.pem\" }";
    let credentials = "client = { id = \"billing\", secret = { file = \"keys/client-secret.txt\" } }";
    let secret = "{ file = \"keys/client-secret.txt\" }";
    for (config, right, wrong, status, told) in [
        // In the file.
        (
            CLIENT,
            "\"billing\"",
            "\"<client-id>\"",
            3,
            &["token_endpoint.client.id: ", "put it in the placeholder's"][..],
        ),
        (CLIENT, "scope =", "scope = \"write\"\n    scope =", 3, &["`scope` below `[token_endpoint]`", "remove all"]),
        (CLIENT, "allow_origins =", "refuse_other_origins = \"yes\"\n    allow_origins =", 3, &["write `true`"]),
        (CLIENT, "[\"ORIGIN\"]", "[\"ORIGIN/orders\"]", 3, &["allow_origins[0]: ", "remove it"]),
        (
            CLIENT,
            secret,
            "{ env = \"BILLING_SECRET_UNSET\" }",
            3,
            &["token_endpoint.client.secret: ", "set it for this"],
        ),
        // At the authorization server.
        (
            CLIENT,
            "\"billing\"",
            "\"your-client-id\"",
            4,
            &["warning: `client_id` looks", "fix: `token_endpoint.client.id`"],
        ),
        (CLIENT, "\"read\"", "\"read,write\"", 4, &["warning: `scope` has a comma", "fix: `token_endpoint.scope`: "]),
        (
            CLIENT,
            credentials,
            "grant_type = \"client_credentials\"",
            3,
            &["token_endpoint.client: ", "set `token_endpoint.client`"],
        ),
        (CLIENT, "ORIGIN/token", "ORIGIN", 4, &["fix: `token_endpoint.url`: its path"]),
        (
            CLIENT,
            "ORIGIN/token",
            "http://127.0.0.1:1/token",
            5,
            &["fix: `token_endpoint.url`: its scheme, host and port"],
        ),
        (
            CLIENT,
            "client =",
            "response = { token = \"/data/token\" }\n    client =",
            5,
            &["fix: `token_endpoint.response`: name the field"],
        ),
        (JWT, rsa, p256, 4, &["fix: `jwt.algorithm`: ", "its `key`"]),
        (
            JWT,
            "issuer =",
            "backdate_seconds = 7200\n    issuer =",
            3,
            &["jwt.expiry_seconds: ", "set `jwt.backdate_seconds`"],
        ),
        (
            JWT,
            "\"ORIGIN/token\"\n",
            "\"ORIGIN/token,ORIGIN\"\n",
            4,
            &["warning: `aud` has a comma", "fix: `jwt.audience`: "],
        ),
        // At the API.
        (
            CLIENT,
            "[token_endpoint]",
            "send = { header = \"x-token\" }\n[token_endpoint]",
            1,
            &["fix: `send.scheme` and"],
        ),
        (SELF_SIGNED, "issuer = \"reports@", "issuer = \"report@", 1, &["or `jwt.issuer`"]),
    ] {
        let ended = check(config, right, wrong).await;
        ended.assert_status(status);
        let found = ended.all();
        for part in told {
            assert!(found.contains(part), "{wrong}: {part}: {found}");
        }
        assert!(!found.contains("eyJ"), "{wrong}: {found}");
    }
}
