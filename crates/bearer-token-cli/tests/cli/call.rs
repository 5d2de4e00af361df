use bearer_token_testing::{AuthorizationServer, Fault};

use crate::{Config, cli};

const TOKEN: &str = "planted-token-0123456789";

fn static_token(origin: &str) -> Config {
    Config::new("static.toml", format!("allow_origins = [\"{origin}\"]\ntoken = \"{TOKEN}\""))
}

#[tokio::test]
async fn bad_usage_is_explained_with_status_2() {
    for (line, named) in [
        (&["call", "http://127.0.0.1/"][..], "--config"),
        (&["token", "--config"], "--config"),
        (&["token", "--env", ""], "--env"),
        (&["token", "--config", "x", "--verbose"], "--verbose"),
        (&["token", "--config", "x", "--variable", "tenant"], "tenant=acme"),
        (&["token", "--config", "x", "--variable", "=acme"], "tenant=acme"),
        (&["call", "--config", "x", "api.example.com/path"], "https://api.example.com/orders"),
        (&["call", "--config", "x", "ftp://api.example.com"], "https://api.example.com/orders"),
        (&["check", "--config", "x", "--dry-run", "http://api.example.com"], "--dry-run"),
        (&["login", "--config", "x"], "--issuer"),
        (&["login", "--config", "x", "--device", "--authorization-url", "https://as.example.com"], "--device"),
        (&["tokens"], "token"),
        (&[], "Usage"),
    ] {
        let ended = cli(line).await;
        ended.assert_status(2);
        assert!(ended.out.is_empty() && ended.err.contains(named), "{line:?}: {}", ended.all());
    }
}

#[tokio::test]
async fn help_is_no_error_and_lists_the_exit_statuses() {
    for flag in ["-h", "--help"] {
        let ended = cli(&[flag]).await;
        ended.assert_status(0);
        assert!(ended.err.is_empty() && ended.out.contains("Exit status:"), "{}", ended.all());
    }
}

#[tokio::test]
async fn every_problem_has_a_line_with_its_field() {
    let config = Config::new(
        "bad.toml",
        r#"
        allow_origins = ["http://api.example.com"]
        surprise = 1
        [jwt]
        algorithm = "RS255"
        key = { file = "nowhere.pem" }
        [token_endpoint]
        url = "http://as.example.com/token"
        "#,
    );
    let ended = cli(&["token", "--config", &config.path]).await;
    ended.assert_status(3);
    assert!(ended.out.is_empty());
    let lines: Vec<&str> = ended.err.lines().collect();
    assert_eq!(lines[0], format!("5 problems in {}", config.path));
    for (path, found) in [
        ("allow_origins[0]", "http://api.example.com"),
        ("surprise", "a field that does not exist"),
        ("jwt.algorithm", "RS255"),
        ("jwt.key", "nowhere.pem"),
        ("token_endpoint.url", "http://"),
    ] {
        let line = lines.iter().find(|line| line.starts_with(&format!("  {path}: ")));
        assert!(line.is_some_and(|line| line.contains(found)), "{path}: {lines:#?}");
    }
    assert_eq!(lines.len(), 6, "{lines:#?}");
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_is_named() {
    let ended = cli(&["token", "--config", "nowhere.toml"]).await;
    ended.assert_status(3);
    assert!(ended.err.contains("`nowhere.toml` cannot be read"), "{}", ended.err);
    let config = Config::new("bad.toml", "allow_origins = [");
    let ended = cli(&["token", "--config", &config.path]).await;
    ended.assert_status(3);
    assert!(ended.err.contains("is not TOML"), "{}", ended.err);
}

#[tokio::test]
async fn without_a_url_it_shows_how_the_provider_stands() {
    let server = examples::server_in_a_box::start(0).unwrap();
    let config = Config::sample("box.toml", &server);
    let ended = cli(&["check", "--config", &config.path]).await;
    ended.assert_status(0);
    for expected in ["state    Fresh\n", "scope    read\n"] {
        assert!(ended.out.contains(expected), "{expected}: {}", ended.out);
    }
    // The remaining time depends on the load of the machine.
    assert!(ended.out.contains("GMT, in ") && ended.out.contains(" min "), "{}", ended.out);
    assert_eq!((server.count().token_requests, server.count().api_requests), (1, 0));
}

#[tokio::test]
async fn a_token_echoed_by_the_api_is_redacted() {
    let server = AuthorizationServer::start().unwrap();
    let config = static_token(&server.issuer());
    let echo = Fault::status(200).header("x-token", TOKEN).body(format!("you sent {TOKEN}"));
    server.api().always(echo);

    let ended = cli(&["call", "--config", &config.path, &server.api_url()]).await;
    ended.assert_status(0);
    assert!(!ended.all().contains(TOKEN), "{}", ended.all());
    assert!(ended.out.contains("> authorization: Bearer [redacted, 24 bytes]\n"), "{}", ended.out);
    assert!(ended.out.contains("< x-token: [redacted, 24 bytes]\n"), "{}", ended.out);
    assert!(ended.out.ends_with("\n\nyou sent [redacted, 24 bytes]\n"), "{}", ended.out);
    assert_eq!(server.requests()[0].header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));

    let ended = cli(&["call", "--show-token", "--config", &config.path, &server.api_url()]).await;
    ended.assert_status(0);
    assert!(ended.out.contains(&format!("> authorization: Bearer {TOKEN}\n")), "{}", ended.out);
    assert!(ended.out.ends_with(&format!("\n\nyou sent {TOKEN}\n")), "{}", ended.out);
}

#[tokio::test]
async fn l38_another_header_and_its_echo_are_redacted() {
    let server = AuthorizationServer::start().unwrap();
    let text = format!(
        "allow_origins = [\"{}\"]\ntoken = \"{TOKEN}\"\n\
         [send]\nheader = \"x-vault-token\"\nscheme = \"\"\nheaders = {{ x-more = \"planted-as-well\", x-v = \"2\" }}",
        server.issuer()
    );
    let config = Config::new("send.toml", text);
    server.api().always(Fault::status(200).header("x-token", TOKEN).body(format!("2 {TOKEN} planted-as-well")));
    let ended = cli(&["call", "--config", &config.path, &server.api_url()]).await;
    ended.assert_status(0);
    assert!(ended.out.contains("> x-vault-token: [redacted, 24 bytes]\n"), "{}", ended.out);
    assert!(!ended.all().contains(TOKEN) && !ended.all().contains("planted-as-well"), "{}", ended.all());
    assert!(ended.out.ends_with("\n\n2 [redacted, 24 bytes] [redacted, 15 bytes]\n"), "{}", ended.out);
}

#[tokio::test]
async fn a_long_body_is_cut_without_showing_a_token() {
    let server = AuthorizationServer::start().unwrap();
    let config = static_token(&server.issuer());
    const LIMIT: usize = 64 * 1024;
    for (before, after, noted) in [(LIMIT - 10, 100, true), (LIMIT, 0, true), (LIMIT - 24, 0, false)] {
        server.api().always(Fault::status(200).body(format!("{}{TOKEN}{}", "x".repeat(before), "y".repeat(after))));
        let ended = cli(&["call", "--config", &config.path, &server.api_url()]).await;
        ended.assert_status(0);
        assert!(!ended.out.contains(&TOKEN[..8]), "{before}");
        assert_eq!(ended.out.contains("longer than 64 KiB"), noted, "{before}");
        assert!(ended.out.len() < LIMIT + 1000 && ended.out.contains(&"x".repeat(before)), "{before}");
    }
}

#[tokio::test]
async fn statuses_from_400_fail_and_redirects_are_shown() {
    let server = AuthorizationServer::start().unwrap();
    let config = static_token(&server.issuer());
    for (fault, status) in [
        (Fault::status(204), 0),
        (Fault::redirect("https://elsewhere.example.com/"), 0),
        (Fault::status(400), 1),
        (Fault::status(503), 1),
    ] {
        server.api().next(fault);
        cli(&["call", "--config", &config.path, &server.api_url()]).await.assert_status(status);
    }
    assert_eq!(server.count().api_requests, 4);
}

#[tokio::test]
async fn a_403_that_says_nothing_is_explained() {
    let server = AuthorizationServer::start().unwrap();
    let config = static_token(&server.issuer());
    let silent = || Fault::status(403).body("");
    for (fault, is_silent) in [
        (silent(), true),
        (Fault::status(403).body("no quota"), false),
        (silent().header("www-authenticate", "Bearer error=\"insufficient_scope\""), false),
        (Fault::status(404).body(""), false),
    ] {
        for (command, prefix) in [("call", "\nnote: "), ("check", "\nfix: ")] {
            server.api().always(fault.clone());
            let ended = cli(&[command, "--config", &config.path, &server.api_url()]).await;
            ended.assert_status(1);
            let explained = format!("{prefix}the API does not say why it refuses.");
            assert_eq!(ended.out.contains(&explained), is_silent, "{command}: {}", ended.all());
            assert!(!is_silent || ended.out.contains("`send.reject_on = [403]`"), "{}", ended.out);
        }
    }
}

#[tokio::test]
async fn a_token_error_shows_its_kind_and_advice() {
    let server = examples::server_in_a_box::start(0).unwrap();
    let config = Config::sample("box.toml", &server);
    for (status, fault, expected) in [
        (5, Fault::status(503).header("retry-after", "7"), &["503", "kind:  Unavailable\n", "wait for 7s\n"][..]),
        (
            4,
            Fault::oauth_error(400, "invalid_grant"),
            &["kind:  Refused\n", "code:  invalid_grant\n", "retry: only after a change"],
        ),
        (5, Fault::html(), &["kind:  Response\n", "retry: later"]),
    ] {
        server.token_endpoint().next(fault);
        let ended = cli(&["call", "--config", &config.path, &server.api_url()]).await;
        ended.assert_status(status);
        assert!(ended.out.is_empty(), "{}", ended.out);
        for expected in expected {
            assert!(ended.err.contains(expected), "{expected}: {}", ended.err);
        }
    }
    assert_eq!(server.count().api_requests, 0);

    server.stop();
    let ended = cli(&["token", "--config", &config.path]).await;
    ended.assert_status(5);
    assert!(ended.err.contains("kind:  Transport\n") && ended.err.contains("\ncause: "), "{}", ended.err);
}

#[tokio::test]
async fn a_request_without_a_token_says_so() {
    let server = AuthorizationServer::start().unwrap();
    let config = static_token("https://api.example.com");
    let ended = cli(&["call", "--config", &config.path, &server.api_url()]).await;
    ended.assert_status(1);
    assert!(ended.out.contains("> (no token: ") && ended.out.contains("< HTTP/1.1 401"), "{}", ended.out);
    assert_eq!(server.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_refused_request_names_the_field_to_change() {
    let config = Config::new("static.toml", format!("token = \"{TOKEN}\""));
    let ended = cli(&["call", "--config", &config.path, "https://api.example.com/"]).await;
    ended.assert_status(4);
    assert!(ended.out.is_empty(), "{}", ended.out);
    for expected in ["kind:  Origin\n", "https://api.example.com", "`allow_origins` in its configuration"] {
        assert!(ended.err.contains(expected), "{expected}: {}", ended.err);
    }
}

#[tokio::test]
async fn an_unreachable_api_is_an_error_with_causes() {
    let server = AuthorizationServer::start().unwrap();
    let config = static_token(&server.issuer());
    server.stop();
    let ended = cli(&["call", "--config", &config.path, &server.api_url()]).await;
    ended.assert_status(1);
    assert!(ended.out.contains("> authorization: Bearer [redacted"), "{}", ended.out);
    assert!(ended.err.starts_with("error: ") && ended.err.contains("\ncause: "), "{}", ended.err);
}
