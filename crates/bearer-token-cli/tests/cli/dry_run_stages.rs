//! Dry runs of configurations with several stages, of discovery, and of computed members.

use std::path::PathBuf;

use crate::{Config, cli, examples};

const MARKER: &str = "planted-secret-marker";

fn recipes() -> PathBuf {
    examples().join("providers")
}

/// Runs a configuration, and checks that the output has these parts in this order, and nothing of a secret.
async fn assert_shown(path: &str, parts: &[&str]) {
    let ended = cli(&["check", "--dry-run", "--config", path]).await;
    ended.assert_status(0);
    let mut rest = ended.out.as_str();
    for part in parts {
        let found = rest.split_once(part);
        assert!(found.is_some(), "{path}: no {part:?} in {rest}");
        rest = found.unwrap().1;
    }
    assert!(ended.out.ends_with("\nThis was a dry run: nothing was sent.\n"), "{}", ended.out);
    assert!(!ended.out.contains(MARKER), "{path}: {}", ended.out);
    // Every JWT starts like this, and so does each of its JSON parts.
    assert!(!ended.out.contains("eyJ"), "{path}: {}", ended.out);
    for file in ["rsa.pem", "account.json"] {
        let key = std::fs::read_to_string(recipes().join("keys").join(file)).unwrap();
        let line = key.split("\\n").flat_map(str::lines).find(|line| line.starts_with("MII")).unwrap();
        assert!(!ended.out.contains(&line[..20]), "{path}: {}", ended.out);
    }
}

#[tokio::test]
async fn l38_each_stage_of_a_recipe_is_shown_without_secrets() {
    for (recipe, parts) in [
        (
            "github-installation",
            &[
                "== sources.app ==\n\nThere is no token request",
                "\ntoken, header:\n{\n  \"alg\": \"RS256\"",
                "  \"iss\": \"Iv23liExample\"",
                "\n== token_endpoint ==\n\nPOST https://api.github.com/app/installations/7/access_tokens\n",
                "authorization: Bearer [redacted, ",
            ][..],
        ),
        (
            "google-impersonation",
            &[
                "== sources.caller ==\n\nPOST https://oauth2.googleapis.com/token\n",
                "\nassertion=[redacted, ",
                "  \"iss\": \"reports@example.iam.gserviceaccount.com\"",
                "\n== token_endpoint ==\n\nPOST https://iamcredentials.googleapis.com/",
                "authorization: Bearer [redacted, ",
                "\nscope:\n  - \"https://www.googleapis.com/auth/devstorage.read_only\"\n",
            ],
        ),
        (
            "uk-open-banking",
            &[
                "GET https://auth.bank.example.com/.well-known/oauth-authorization-server\n",
                "[The metadata has the URL",
                "POST https://auth.bank.example.com/token-endpoint-of-the-metadata\n",
                "\nclient_assertion, header:\n",
                "\"typ\": \"client-authentication+jwt\"",
                "\"aud\": \"https://auth.bank.example.com\"",
            ],
        ),
        (
            "snowflake-key-pair",
            &["There is no token request", "\"iss\": \"ACCT.REPORTS.SHA256:", "\"sub\": \"ACCT.REPORTS\""],
        ),
    ] {
        let path = recipes().join(recipe).with_extension("toml");
        assert_shown(path.to_str().unwrap(), parts).await;
    }
}

#[tokio::test]
async fn l38_an_identity_from_the_environment_is_redacted() {
    let recipe = std::fs::read_to_string(recipes().join("crates-io-trusted-publishing.toml")).unwrap();
    // The environment of a test cannot be changed safely.
    let url = format!("\"https://ci.example.com/token?session={MARKER}\"");
    let recipe = recipe.replace("{ env = \"ACTIONS_ID_TOKEN_REQUEST_URL\" }", &url);
    let recipe = recipe.replace("env = \"ACTIONS_ID_TOKEN_REQUEST_TOKEN\"", &format!("value = \"{MARKER}\""));
    let config = Config::new("publish.toml", recipe);
    assert_shown(
        &config.path,
        &[
            "== sources.job ==\n\nGET https://ci.example.com/token?session=[redacted, 21 bytes]&audience=crates.io\n",
            "authorization: Bearer [redacted, 21 bytes]\n",
            "\n== token_endpoint ==\n\nPOST https://crates.io/api/v1/trusted_publishing/tokens\n",
            "\njwt: [redacted, ",
        ],
    )
    .await;
}

#[tokio::test]
async fn l38_a_chain_of_three_shows_no_secret_of_any() {
    let key = format!("{MARKER}, which is long enough to sign");
    let config = Config::new(
        "chain.toml",
        format!(
            r#"
            [sources.first.jwt]
            algorithm = "HS256"
            key = {{ value = "{key}" }}
            issuer = "first"
            [sources.second.token_endpoint]
            url = "https://second.example.com/token"
            body = "json"
            grant_type = ""
            headers = {{ x-api-key = "{MARKER}" }}
            parameters = {{ login = {{ jwt = {{ source = "first" }}, pin = "{MARKER}" }} }}
            response = {{ token = "/auth/0/token", expires_in = "/auth/0/lease", unit = "ms" }}
            [token_exchange]
            subject_token = {{ source = "second", fresh = true }}
            subject_token_type = "jwt"
            [token_endpoint]
            url = "https://third.example.com/token"
            client = {{ id = "me", secret = "{MARKER}" }}
            "#
        ),
    );
    assert_shown(
        &config.path,
        &[
            "== sources.first ==\n",
            "\"iss\": \"first\"",
            "\n== sources.second ==\n\nPOST https://second.example.com/token\n",
            "x-api-key: [redacted, 21 bytes]\n",
            "\nlogin:\n  jwt: [redacted, ",
            "\n== token_endpoint ==\n\nPOST https://third.example.com/token\n",
            "authorization: Basic [redacted, ",
            "\nsubject_token=[redacted, ",
            "\nsubject_token_type=urn",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_stage_without_a_request_explains_why() {
    let text = r#"
        [sources.job]
        token = "not-a-json-document"
        [token_endpoint]
        url = "https://as.example.com/token"
        grant_type = ""
        headers = { x-identity = { source = "job", member = "/id" } }
    "#;
    let config = Config::new("member.toml", text);
    let ended = cli(&["check", "--dry-run", "--config", &config.path]).await;
    ended.assert_status(4);
    assert!(ended.out.contains("== sources.job ==") && ended.out.contains("`job`"), "{}", ended.all());
}

const KEY: &str = "algorithm = \"HS256\"\nkey = \"correct horse battery staple, twice\"";

#[tokio::test]
async fn l38_the_headers_to_the_api_are_those_of_the_configuration() {
    let send = format!("header = \"x-key\"\nscheme = \"\"\nheaders = {{ x-more = \"{MARKER}\" }}");
    let config = Config::new("send.toml", format!("[send]\n{send}\n[jwt]\n{KEY}"));
    assert_shown(&config.path, &["\n\nx-key: [redacted, ", "\nx-more: [redacted, 21 bytes]\n"]).await;
}

#[tokio::test]
async fn variables_can_be_given() {
    let toml = format!(
        "[jwt]\n{KEY}\nissuer = {{ variable = \"tenant\" }}\nsubject = \"s\"\naudience = \"a\"\n\
         computed = {{ host = \"{{request.host}}\" }}\n\
         [token_endpoint]\nurl = {{ variable = \"tenant\", prefix = \"https://as.example.com/\", suffix = \"/token\" }}"
    );
    let config = Config::new("keyed.toml", toml);
    let line = ["check", "--dry-run", "--config", &config.path, "--variable", "tenant=acme"];
    let ended = cli(&[&line[..], &["--variable", "request.host=api.example.com"]].concat()).await;
    ended.assert_status(0);
    for expected in ["POST https://as.example.com/acme/token\n", "\"iss\": \"acme\"", "\"host\": \"api.example.com\""] {
        assert!(ended.out.contains(expected), "{expected}: {}", ended.out);
    }
    let ended = cli(&line).await;
    ended.assert_status(3);
    assert!(ended.err.contains("jwt.computed.host: found the variable `request.host`"), "{}", ended.err);
}

/// What a recipe needs that is not here: variables, and files of a platform.
const ABSENT: [&str; 3] = ["which is not set", "cannot be read", "no refresh token in the store"];

#[tokio::test]
async fn each_recipe_shows_its_requests_or_what_it_lacks() {
    let recipes = std::fs::read_dir(recipes()).unwrap().map(|entry| entry.unwrap().path());
    let recipes = recipes.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let facts =
        ["method=GET", "scheme=https", "host=api.example.com", "path=/orders", "url=https://api.example.com/orders"];
    let facts = facts.map(|fact| format!("request.{fact}"));
    let (mut shown, mut lacking) = (0, 0);
    for recipe in recipes {
        let mut line = vec!["check", "--dry-run", "--config", recipe.to_str().unwrap()];
        if std::fs::read_to_string(&recipe).unwrap().contains("{request.") {
            line.extend(facts.iter().flat_map(|fact| ["--variable", fact]));
        }
        let ended = cli(&line).await;
        assert!(!ended.all().contains("eyJ"), "{}: {}", recipe.display(), ended.all());
        if ended.status == 0 {
            shown += 1;
        } else {
            assert!(ABSENT.iter().any(|absent| ended.all().contains(absent)), "{}: {}", recipe.display(), ended.all());
            lacking += 1;
        }
    }
    assert!(shown > 40 && lacking < 15, "{shown} shown, {lacking} without what they need");
}
