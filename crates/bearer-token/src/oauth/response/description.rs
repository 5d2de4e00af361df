//! The server's own description of a refusal, for [`Error::server_description`](crate::Error::server_description).
//!
//! The string passes three gates. It must not repeat a part of the request (`sent.rs`). Its public parameters are
//! replaced by their names. What remains is cut to 256 printable ASCII characters. So a terminal cannot be controlled
//! and a log cannot be split by it.

use crate::{
    oauth::{request::sent::Sent, response::oauth_code::OAuthCode},
    token::json::{lossy_text, members},
};

/// The fields that describe an error, best first: of RFC 6749 section 5.2, of RFC 9457, and of well-known servers.
const NAMES: [&str; 8] =
    ["error_description", "detail", "message", "error_message", "errorSummary", "title", "error", "errorCode"];

/// The longest description, in bytes.
const DESCRIPTION_LIMIT: usize = 256;

/// The part of the server's string that may be shown, in characters. It is longer than the limit, because masks are
/// shorter than what they replace.
const CONSIDERED: usize = 2 * DESCRIPTION_LIMIT;

/// The part of the server's string that is searched for secrets, in characters. It is longer still, so a secret at the
/// limit is recognised as a whole.
const SEARCHED: usize = 2 * CONSIDERED;

/// Reads the description from the body of a refusal: printable ASCII of at most 256 bytes. None if it repeats a part of
/// what was sent.
pub(crate) fn description(body: &[u8], sent: &Sent) -> Option<String> {
    let found = find(body)?;
    let first = |count| found.chars().take(count).collect::<String>();
    let text = first(CONSIDERED);
    if OAuthCode::find(text.trim()).is_some() || sent.is_repeated_in(&first(SEARCHED)) {
        return None;
    }
    let masked = sent.mask(&text);
    let printable = |char: char| match char {
        ' '..='~' => char,
        _ if char.is_whitespace() => ' ',
        _ => '?',
    };
    let printed: String = masked.trim().chars().map(printable).take(DESCRIPTION_LIMIT).collect();
    Some(printed).filter(|text| !text.is_empty())
}

/// The best text among the fields, also of an object in the field `error`.
///
/// Google and others nest the text in an object `error`; its fields win over those at the top.
fn find(body: &[u8]) -> Option<String> {
    let mut found: [Option<String>; NAMES.len()] = Default::default();
    let mut nested = None;
    let mut collect = |name: &str, raw: &[u8]| {
        let place = NAMES.iter().position(|known| *known == name).and_then(|index| found.get_mut(index));
        if let Some(place) = place {
            *place = lossy_text(raw).filter(|text| !text.trim().is_empty());
        }
    };
    members(body, |name, raw| {
        if name == "error" && raw.starts_with(b"{") {
            nested = Some(raw);
        }
        collect(name, raw);
    })
    .ok()?;
    if let Some(raw) = nested {
        members(raw, collect).ok()?;
    }
    found.into_iter().flatten().next()
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::oauth::Parameters;

    fn sent() -> Sent {
        let parameters =
            Parameters::new("refresh_token").with("refresh_token", "planted-token").with("client_id", "app");
        Sent { parameters, headers: HeaderMap::new(), query: None }
    }

    #[test]
    fn the_best_field_describes_the_refusal() {
        for (body, expected) in [
            (r#"{"error":"invalid_grant","error_description":"The token is expired."}"#, Some("The token is expired.")),
            (r#"{"error_description":"","error":"token_revoked"}"#, Some("token_revoked")),
            (r#"{"type":"about:blank","title":"Forbidden","detail":"Ask your admin"}"#, Some("Ask your admin")),
            (r#"{"title":"Forbidden"}"#, Some("Forbidden")),
            (r#"{"message":"no such tenant","code":7}"#, Some("no such tenant")),
            (r#"{"error":{"code":403,"message":"quota"}}"#, Some("quota")),
            (r#"{"errorCode":"E1","errorSummary":"Invalid client"}"#, Some("Invalid client")),
            (r#"{"error_description":["x"],"error":{"code":1}}"#, None),
            (r#"{"error_description":null}"#, None),
            // The code is shown anyway.
            (r#"{"error":"invalid_grant"}"#, None),
            ("{}", None),
            ("", None),
            ("<p>The token is expired.</p>", None),
        ] {
            assert_eq!(description(body.as_bytes(), &sent()).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn a_description_is_short_and_printable() {
        for (body, expected) in [
            (&b"{\"error_description\":\"J\xf6rg\\u00e4\\u0007\\n b\tc \"}"[..], "J?rg??  b c"),
            (b"{\"error_description\":\"the client app is off\"}", "the client [client_id] is off"),
        ] {
            assert_eq!(description(body, &sent()).as_deref(), Some(expected));
        }
        let long = format!("{{\"error_description\":\"{}\"}}", "\u{20ac}".repeat(10_000));
        assert_eq!(description(long.as_bytes(), &sent()).unwrap(), "?".repeat(DESCRIPTION_LIMIT));
    }

    #[test]
    fn l38_what_repeats_a_secret_is_withheld() {
        for text in [
            "planted-token is unknown",
            "PLANTED-TOKEN",
            "token cGxhbnRlZC10b2tlbg==",
            "planted%2Dtoken",
            &format!("{}planted-token", "x".repeat(DESCRIPTION_LIMIT - 5)),
        ] {
            let body = serde_json::json!({"error": "invalid_grant", "error_description": text}).to_string();
            assert_eq!(description(body.as_bytes(), &sent()), None, "{text}");
        }
    }

    #[test]
    fn l38_a_secret_at_the_limit_is_withheld() {
        let scope = "s".repeat(300);
        let sent = Sent {
            parameters: Parameters::new("password").with("scope", &scope).with("password", "hunter2-xyz"),
            ..sent()
        };
        for before in CONSIDERED - 20..CONSIDERED {
            let text = format!("{scope}{}hunter2-xyz", "x".repeat(before - scope.len()));
            let body = serde_json::json!({"error": "invalid_grant", "error_description": text}).to_string();
            assert_eq!(description(body.as_bytes(), &sent), None, "{before}");
        }
    }

    #[test]
    fn l38_a_secret_whose_characters_were_damaged_is_withheld() {
        let sent = Sent { parameters: Parameters::new("password").with("password", "Winter-\u{fc}-2026\t"), ..sent() };
        for text in [
            "Winter-\u{fc}-2026",
            "Winter-\u{fffd}-2026",
            "Winter-?-2026",
            "Winter-\u{c3}\u{bc}-2026",
            "winter-??-2026 ",
        ] {
            let body = serde_json::json!({"error_description": format!("no user with {text} here")}).to_string();
            assert_eq!(description(body.as_bytes(), &sent), None, "{text}");
        }
    }
}
