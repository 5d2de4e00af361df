//! What prints tokens, and where.

use bearer_token_testing::AuthorizationServer;
use serde_json::{Value, json};

use crate::{Config, cli, command, ended};

const TOKEN: &str = "planted-token-0123456789";

fn static_token(send: &str) -> Config {
    let text = format!("allow_origins = [\"https://api.example.com\"]\ntoken = \"{TOKEN}\"\n{send}");
    Config::new("static.toml", text)
}

/// The command with its output on a terminal, which `script` provides.
async fn on_a_terminal(line: &str) -> Option<crate::Ended> {
    let binary = env!("CARGO_BIN_EXE_bearer-token");
    let mut script = tokio::process::Command::new("script");
    script.args(["--quiet", "--return", "--command", &format!("{binary} {line}"), "/dev/null"]).kill_on_drop(true);
    script.stdin(std::process::Stdio::null());
    script.output().await.ok().map(|output| crate::Ended {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::new(),
    })
}

#[tokio::test]
async fn a_pipe_gets_the_token_and_nothing_else() {
    let config = static_token("");
    let ended = cli(&["token", "--config", &config.path]).await;
    ended.assert_status(0);
    assert_eq!((ended.out, ended.err), (format!("{TOKEN}\n"), String::new()));
}

#[tokio::test]
async fn a_terminal_gets_no_token_unless_asked() {
    let config = static_token("");
    for what in ["token", "header", "kube"] {
        let Some(refused) = on_a_terminal(&format!("{what} --config {}", config.path)).await else {
            println!("skipped: `script` is missing");
            return;
        };
        refused.assert_status(2);
        assert!(!refused.out.contains(TOKEN) && refused.out.contains("--show-token"), "{}", refused.out);
        let shown = on_a_terminal(&format!("{what} --show-token --config {}", config.path)).await.unwrap();
        shown.assert_status(0);
        assert!(shown.out.contains(TOKEN), "{}", shown.out);
    }
}

#[tokio::test]
async fn curl_gets_a_line_for_each_header() {
    let config = static_token("[send]\nheaders = { x-api-key = \"planted-key\" }");
    let ended = cli(&["header", "--config", &config.path]).await;
    ended.assert_status(0);
    let mut lines: Vec<&str> = ended.out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, [&format!("authorization: Bearer {TOKEN}"), "x-api-key: planted-key"]);
}

#[tokio::test]
async fn headers_are_for_allowed_origins_only() {
    let config = static_token("");
    for (url, status, is_printed, advice) in [
        ("https://api.example.com/orders", 0, true, ""),
        ("https://elsewhere.example.com/", 2, false, r#"add "https://elsewhere.example.com" to `allow_origins`"#),
        // Plain http is refused by the provider.
        ("http://api.example.com/", 4, false, "`allow_"),
    ] {
        let ended = cli(&["header", "--config", &config.path, "--for", url]).await;
        ended.assert_status(status);
        assert_eq!(ended.out.contains(TOKEN), is_printed, "{url}: {}", ended.out);
        assert!(ended.err.contains(advice), "{url}: {}", ended.err);
    }
}

#[tokio::test]
async fn kubectl_gets_a_credential_with_its_expiry() {
    let server = examples::server_in_a_box::start(0).unwrap();
    let config = Config::sample("box.toml", &server);
    for (info, version) in [
        (None, "client.authentication.k8s.io/v1"),
        (Some(r#"{"apiVersion":"client.authentication.k8s.io/v1beta1"}"#), "client.authentication.k8s.io/v1beta1"),
        (Some(r#"{"apiVersion":"example.com/v9"}"#), "client.authentication.k8s.io/v1"),
        (Some("no json"), "client.authentication.k8s.io/v1"),
    ] {
        let mut kube = command(&["kube", "--config", &config.path]);
        kube.env_remove("KUBERNETES_EXEC_INFO");
        if let Some(info) = info {
            kube.env("KUBERNETES_EXEC_INFO", info);
        }
        let ended = ended(kube).await;
        ended.assert_status(0);
        let credential: Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!(credential["apiVersion"], version);
        assert_eq!(credential["kind"], "ExecCredential");
        let request = reqwest::Client::builder().no_proxy().build().unwrap().get(server.api_url());
        let token = credential["status"]["token"].as_str().unwrap();
        assert_eq!(request.bearer_auth(token).send().await.unwrap().status(), 200);
        let expiry = credential["status"]["expirationTimestamp"].as_str().unwrap();
        let expiry = humantime::parse_rfc3339(expiry).unwrap();
        let now = bearer_token::platform::Platform::system().now().wall();
        let left = expiry.duration_since(now).unwrap().as_secs();
        assert!((3000..=3600).contains(&left), "{left} s");
    }
}

#[tokio::test]
async fn a_token_without_expiry_has_none_in_its_credential() {
    let ended = cli(&["kube", "--config", &static_token("").path]).await;
    ended.assert_status(0);
    let credential: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(credential["status"], json!({ "token": TOKEN }));
}

#[tokio::test]
async fn a_closed_pipe_is_not_a_panic() {
    let server = AuthorizationServer::start().unwrap();
    let config = static_token("");
    let mut child = command(&["check", "--config", &config.path, &server.api_url()]);
    let mut child = child.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
    assert!(output.status.code().is_some(), "{:?}", output.status);
}

#[tokio::test]
async fn a_closed_pipe_ends_the_command_silently() {
    let config = static_token("");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut token = command(&["token", "--config", &config.path]);
    token.stdout(writer).stderr(std::process::Stdio::piped());
    let output = token.spawn().unwrap().wait_with_output().await.unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(1), Vec::new()));
}

#[tokio::test]
async fn shells_get_completions_and_man_its_page() {
    for (shell, expected) in
        [("bash", "_bearer__token()"), ("zsh", "#compdef bearer-token"), ("fish", "complete -c bearer-token")]
    {
        let ended = cli(&["completions", shell]).await;
        ended.assert_status(0);
        assert!(ended.out.contains(expected) && ended.out.contains("kube"), "{shell}: {}", ended.out);
    }
    let page = cli(&["man"]).await;
    page.assert_status(0);
    for expected in [".TH bearer-token 1", "Exit status:", "BEARER-TOKEN LOGIN", "access_type=offline"] {
        assert!(page.out.contains(expected), "{expected}: {}", page.out);
    }
}
