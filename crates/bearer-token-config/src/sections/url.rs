//! The fields `token_endpoint.url` and `token_endpoint.issuer`.

use bearer_token::Problem;
use zeroize::Zeroizing;

use super::context::Context;
use crate::{
    given::Given,
    values::{Origin, ValueField},
};

/// The URL, if nothing is wrong with it.
///
/// A variable in it is untrusted input: it may be one segment of the path, or a part of a host that is listed.
pub(super) fn read(path: &str, field: &ValueField, cx: &mut Context<'_>) -> Option<Zeroizing<String>> {
    let text = cx.text(path, field)?;
    let Origin::Variable(name) = &field.origin else { return Some(text) };
    let prefix = field.steps.prefix.as_ref().map_or("", |prefix| prefix.as_str());
    let suffix = field.steps.suffix.as_ref().map_or("", |suffix| suffix.as_str());
    // After the other steps: a value that is decoded may contain anything.
    let value = text.strip_prefix(prefix).and_then(|text| text.strip_suffix(suffix)).unwrap_or_default();
    let is_in_path = prefix.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    let problem = if !is_in_path && cx.hosts.is_empty() {
        let problem = Problem::new(path, "found a variable in the origin of the URL");
        problem.expecting("a `prefix` with scheme and host, or hosts that are listed by `with_endpoint_hosts`")
    } else if !is_segment(value) {
        let problem = Problem::new(path, format!("found a value of `{name}` that is not one segment of a path"));
        problem.expecting("letters, digits, `-`, `_`, `~` and dots between them")
    } else if !is_in_path && !matches!(cx.given, Given::Rehearsal) && !is_listed(&text, cx.hosts) {
        Problem::new(path, format!("found a value of `{name}` that gives a host which is not listed"))
    } else {
        return Some(text);
    };
    cx.report.add(problem);
    None
}

fn is_segment(value: &str) -> bool {
    let is_plain = value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '~' | '.'));
    is_plain && !value.is_empty() && !value.starts_with('.') && !value.ends_with('.') && !value.contains("..")
}

fn is_listed(url: &str, hosts: &[String]) -> bool {
    let uri = url.parse::<http::Uri>().ok();
    uri.as_ref()
        .and_then(http::Uri::host)
        .is_some_and(|host| hosts.iter().any(|listed| listed.eq_ignore_ascii_case(host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_leads_nowhere_else() {
        for value in ["acme", "a-b_c~d.e", "7"] {
            assert!(is_segment(value), "{value}");
        }
        for value in ["", ".", "..", "a/b", "a..b", "a?b", "a#b", "a@b", "a:b", "%2e", "a b", "\u{e4}", "a\\b"] {
            assert!(!is_segment(value), "{value}");
        }
    }

    #[test]
    fn only_a_listed_host_is_used() {
        let hosts = ["eu.example.com".to_owned(), "us.example.com".to_owned()];
        assert!(is_listed("https://eu.example.com/token", &hosts) && is_listed("https://US.example.com:444/", &hosts));
        assert!(!is_listed("https://x.example.com/token", &hosts) && !is_listed("not a url", &hosts));
    }
}
