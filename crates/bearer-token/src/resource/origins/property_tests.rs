//! What the rule holds for whatever destination it is asked about.

use http::Uri;
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

/// What confuses readers of authorities.
const PIECES: [&str; 27] = [
    "127.0.0.1",
    "localhost",
    "[::1]",
    "api.example.com",
    "API.EXAMPLE.COM",
    "api.example.com",
    "evil.example.net",
    "example.com",
    "api",
    ".",
    "@",
    "@",
    ":",
    ":",
    "443",
    "8443",
    "0443",
    "65979",
    "[",
    "]",
    "::1",
    "#",
    "/",
    "\\",
    "?",
    "%40",
    " ",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_destination_on_another_host_is_authorized(
        scheme in select(vec!["https", "HTTPS", "http", "ftp", ""]),
        authority in prop_oneof![
            2 => vec(select(PIECES.to_vec()), 0..6).prop_map(|pieces| pieces.concat()),
            2 => vec(select(PIECES.to_vec()), 0..3).prop_map(|pieces| pieces.concat() + "@api.example.com"),
            1 => any::<String>(),
        ],
    ) {
        let mut origins = Origins::default();
        origins.allow("https://api.example.com", false, "allow_origin", &mut Problems::default());
        let to = Destination::new(scheme, &authority);
        let is_authorized = matches!(origins.judge(to), OriginVerdict::Authorize);
        prop_assert!(is_authorized || !origins.allow_as_spelled(to), "{}", authority);
        let rest = format!("{authority}/");
        let judged = Destination::new("https", rest.split('/').next().unwrap());
        let is_judged_so = matches!(origins.judge(judged), OriginVerdict::Authorize);
        prop_assert!(is_judged_so || !origins.allow_exactly_in(&format!("https://{rest}")), "{}", authority);
        // The other rules, too, allow nothing as spelled that their parser would not.
        let mut any = Origins::default();
        any.allow_any_https();
        for rule in [any, Origins::default()] {
            let is_authorized = matches!(rule.judge(to), OriginVerdict::Authorize);
            prop_assert!(is_authorized || !rule.allow_as_spelled(to), "{}", authority);
        }
        if is_authorized {
            // The same by the parser that clients use.
            let uri: Uri = format!("{scheme}://{authority}/").parse().unwrap();
            prop_assert!(uri.host().unwrap().eq_ignore_ascii_case("api.example.com"), "{}", authority);
            prop_assert_eq!((uri.scheme_str(), uri.port_u16().unwrap_or(443)), (Some("https"), 443));
        }
    }

    #[test]
    fn an_origin_is_allowed_in_every_spelling(
        host in "[a-z]{1,8}(\\.[a-z]{1,8}){0,2}", other in "[a-z]{1,8}(\\.[a-z]{1,8}){0,2}", port in 1..=u16::MAX,
    ) {
        let mut origins = Origins::default();
        let mut problems = Problems::default();
        origins.allow(&format!("https://{host}:{port}"), false, "allow_origin", &mut problems);
        prop_assert!(problems.is_empty());
        for spelling in [host.clone(), host.to_uppercase(), format!("user:password@{host}")] {
            let verdict = origins.judge(Destination::new("https", &format!("{spelling}:{port}")));
            prop_assert!(matches!(verdict, OriginVerdict::Authorize));
        }
        for elsewhere in [format!("{other}x:{port}"), format!("{host}.{other}:{port}"), format!("{other}.{host}:{port}")] {
            let differs = elsewhere != format!("{host}:{port}");
            let verdict = origins.judge(Destination::new("https", &elsewhere));
            prop_assert!(!differs || !matches!(verdict, OriginVerdict::Authorize), "{}", elsewhere);
        }
    }
}
