//! What the rule decides about requests, and what it refuses in a configuration.

use http::Uri;

use super::*;
fn origins(allowed: &[&str]) -> Origins {
    let mut origins = Origins::default();
    let mut problems = Problems::default();
    for text in allowed {
        origins.allow(text, false, "allow_origin", &mut problems);
    }
    problems.into_result("origins").unwrap();
    origins
}

#[test]
fn usual_spellings_need_no_parser() {
    let named = origins(&["https://api.example.com", "https://b.example.com:443", "https://c.example.com:8443"]);
    let mut any = Origins::default();
    any.allow_any_https();
    let loopback = origins(&[]);
    for (rule, uri, expected) in [
        (&named, "https://api.example.com/", true),
        (&named, "https://api.example.com:443/", true),
        (&named, "https://API.example.com/", true),
        (&named, "https://b.example.com/", true),
        (&named, "https://c.example.com:8443/", true),
        (&named, "https://c.example.com/", false),
        (&named, "https://api.example.com:8443/", false),
        (&named, "http://api.example.com:443/", false),
        (&named, "http://127.0.0.1/", false),
        (&any, "https://api.example.com/", true),
        (&any, "http://api.example.com/", false),
        (&any, "https://user@api.example.com/", false),
        (&any, "http://127.0.0.1/", false),
        (&loopback, "http://127.0.0.1:8080/", true),
        (&loopback, "http://localhost/", true),
        (&loopback, "https://[::1]:8443/", true),
        (&loopback, "http://127.0.0.1:99999/", false),
        (&loopback, "http://127.0.0.1.example.com/", false),
        (&loopback, "https://api.example.com/", false),
        (&Origins::asked_elsewhere(), "http://127.0.0.1:8080/", false),
    ] {
        let parsed: Uri = uri.parse().unwrap();
        assert_eq!(rule.allow_as_spelled(Destination::from(&parsed)), expected, "{uri}");
    }
}

#[test]
fn a_url_as_text_begins_with_an_allowed_origin_as_it_was_written() {
    let named = origins(&["https://api.example.com", "https://c.example.com:8443", "http://127.0.0.1:8080"]);
    let mut any = Origins::default();
    any.allow_any_https();
    for (rule, url, expected) in [
        (&named, "https://api.example.com/", true),
        (&named, "https://api.example.com/orders?at=https://evil.example.net/", true),
        (&named, "https://c.example.com:8443/", true),
        (&named, "https://api.example.com", false),
        (&named, "https://api.example.com:443/", false),
        (&named, "https://api.example.com:8443/", false),
        (&named, "https://api.example.com.evil.example.net/", false),
        (&named, "https://api.example.com@evil.example.net/", false),
        (&named, "https://api.example.com\\@evil.example.net/", false),
        (&named, "https://api.example.com?@evil.example.net/", false),
        (&named, "https://user@api.example.com/", false),
        (&named, "HTTPS://api.example.com/", false),
        (&named, "http://api.example.com/", false),
        (&named, "http://127.0.0.1:8080/", false),
        (&named, "https://127.0.0.1:8080/", false),
        (&any, "https://api.example.com/", false),
        (&Origins::asked_elsewhere(), "https://api.example.com/", false),
    ] {
        assert_eq!(rule.allow_exactly_in(url), expected, "{url}");
    }
}

fn judged(origins: &Origins, uri: &str) -> &'static str {
    let uri: Uri = uri.parse().unwrap();
    let verdict = origins.judge(Destination::from(&uri));
    let is_authorized = matches!(verdict, OriginVerdict::Authorize);
    assert!(is_authorized || !origins.allow_as_spelled(Destination::from(&uri)), "{uri}");
    match verdict {
        OriginVerdict::Authorize => "authorize",
        OriginVerdict::Pass => "pass",
        OriginVerdict::Refuse(_) => "refuse",
    }
}

#[test]
fn text_after_the_authority_is_not_the_host() {
    let mut origins = Origins::default();
    origins.allow("https://api.example.com", false, "allow_origin", &mut Problems::default());
    for authority in ["evil.example.net/", "evil.example.net#", "evil.example.net?", "evil.example.net\\", " "] {
        let authority = format!("{authority}@api.example.com");
        let verdict = origins.judge(Destination::new("https", &authority));
        assert!(matches!(verdict, OriginVerdict::Refuse(_)), "{authority}");
    }
}

#[test]
fn an_origin_is_exactly_scheme_host_and_port() {
    let rule = origins(&["https://api.example.com", "http://127.0.0.1:8080"]);
    for (uri, expected) in [
        ("https://api.example.com/x?y", "authorize"),
        ("https://api.example.com:443/x", "authorize"),
        ("https://API.Example.COM/x", "authorize"),
        ("https://user@api.example.com/", "authorize"),
        ("http://127.0.0.1:8080/", "authorize"),
        ("https://api.example.com:8443/", "pass"),
        ("https://api.example.com.evil.example/", "pass"),
        ("https://api.example.com@evil.example/", "pass"),
        ("https://evil.example/api.example.com", "pass"),
        ("https://xapi.example.com/", "pass"),
        ("http://127.0.0.1:8081/", "pass"),
        ("http://api.example.com/", "refuse"),
        ("http://api.example.com:443/", "refuse"),
        ("http://other.example.com/", "refuse"),
        ("ftp://api.example.com/", "refuse"),
        ("/no/authority", "refuse"),
        ("api.example.com:443", "pass"),
        ("evil.example.com:80", "pass"),
    ] {
        assert_eq!(judged(&rule, uri), expected, "{uri}");
    }
}

#[test]
fn l34_without_origins_only_loopback_and_bare_paths_are_authorized() {
    let rule = origins(&[]);
    for (uri, expected) in [
        ("/grpc.health.v1.Health/Check", "authorize"),
        ("http://localhost:3000/", "authorize"),
        ("http://127.8.9.1/", "authorize"),
        ("http://[::1]:80/", "authorize"),
        ("https://LOCALHOST/", "authorize"),
        // RFC 6761 section 6.3.
        ("http://api.localhost:3000/", "authorize"),
        ("http://a.b.LocalHost/", "authorize"),
        ("http://localhost./", "authorize"),
        ("http://notlocalhost/", "refuse"),
        ("http://localhost.evil.example/", "refuse"),
        ("https://api.example.com/", "refuse"),
        ("http://api.example.com/", "refuse"),
        ("http://localhost.example.com/", "refuse"),
        ("http://127.0.0.1.example.com/", "refuse"),
        ("http://[::2]/", "refuse"),
    ] {
        assert_eq!(judged(&rule, uri), expected, "{uri}");
    }
    let uri: Uri = "https://api.example.com:8443/x".parse().unwrap();
    let OriginVerdict::Refuse(error) = rule.judge(Destination::from(&uri)) else { panic!("must refuse") };
    assert!(error.to_string().contains(".allow_origin(\"https://api.example.com:8443\")"), "{error}");
}

// shows: 6749/10.3b
#[test]
fn l34_a_plaintext_origin_needs_an_explicit_opt_in() {
    let mut problems = Problems::default();
    let mut rule = Origins::default();
    rule.allow("http://api.example.com", false, "allow_origin", &mut problems);
    assert!(problems.into_result("x").unwrap_err().to_string().contains("allow_plaintext_origin"));
    let mut problems = Problems::default();
    rule.allow("http://api.example.com", true, "allow_plaintext_origin", &mut problems);
    assert!(problems.is_empty());
    assert_eq!(judged(&rule, "http://api.example.com/"), "authorize");
    assert_eq!(judged(&rule, "https://api.example.com/"), "pass");
}

#[test]
fn l34_named_origins_make_uris_without_authority_need_a_connection_origin() {
    let https = origins(&["https://api.example.com"]);
    let mut any = Origins::default();
    any.allow_any_https();
    for rule in [https, any] {
        let uri: Uri = "/orders".parse().unwrap();
        let OriginVerdict::Refuse(error) = rule.judge(Destination::from(&uri)) else { panic!("must refuse") };
        assert_eq!(error.kind(), ErrorKind::Origin);
        assert!(error.to_string().contains(".connection_origin(\"https://"), "{error}");
    }
}

#[test]
fn a_declared_connection_origin_decides_over_uris_without_authority() {
    for (declared, expected) in [
        ("https://api.example.com", "authorize"),
        ("https://x.example.com", "pass"),
        ("http://api.example.com", "refuse"),
    ] {
        let mut rule = origins(&["https://api.example.com"]);
        let mut problems = Problems::default();
        rule.connection(declared, &mut problems);
        assert!(problems.is_empty());
        assert_eq!(judged(&rule, "/path"), expected, "{declared}");
    }
}

#[test]
fn l34_a_connection_origin_must_be_an_allowed_one() {
    for (allowed, declared, found) in [
        (&["https://api.example.com"][..], "https://API.example.com:443", 0),
        (&["https://api.example.com"], "https://api.example.com:8443", 1),
        (&["https://api.example.com"], "http://api.example.com", 1),
        (&[], "https://api.example.com", 1),
        (&[], "http://127.0.0.1:50051", 0),
    ] {
        let mut rule = origins(allowed);
        let mut problems = Problems::default();
        rule.connection(declared, &mut problems);
        rule.check_connection(&mut problems);
        let problems = problems.into_result("x").map_or_else(|error| error.problems().to_vec(), |()| Vec::new());
        assert_eq!(problems.len(), found, "{declared}");
        assert!(problems.iter().all(|problem| problem.message().contains("origin(..)")), "{problems:?}");
    }
}

#[test]
fn anything_beside_the_origin_is_a_problem() {
    for text in [
        "",
        "api.example.com",
        "https://",
        "https://a.example.com/path",
        "https://u:hunter2@a.example.com",
        "ftp://a.example.com",
        "https://a.example.com:99999",
        "https://a.example.com/?hunter2",
        "https://a.example.com#hunter2",
        "https://*.example.com",
        "https://b\u{fc}cher.example.com/hunter2",
    ] {
        let mut problems = Problems::default();
        Origins::default().allow(text, false, "allow_origin", &mut problems);
        let error = problems.into_result("x").expect_err(text);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn other_origins_can_be_refused_instead_of_passed() {
    let mut rule = origins(&["https://api.example.com"]);
    rule.refuse_others();
    assert_eq!(judged(&rule, "https://other.example.com/"), "refuse");
    let mut rule = Origins::default();
    rule.allow_any_https();
    assert_eq!(judged(&rule, "https://other.example.com/"), "authorize");
    assert_eq!(judged(&rule, "http://other.example.com/"), "refuse");
}
