//! The placeholders of computed members: `{expiry:ms}`, `{key.sha256:base64}`. The list is closed, and pure.

use bearer_token::Problem;

/// A string with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Computed(Vec<Piece>);

/// A part of such a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    /// The time of `iat`, and of `exp`.
    Now(Unit),
    Expiry(Unit),
    Uuid,
    /// Sixteen random bytes in hex.
    Random,
    KeySha256(Form),
    CertificateSha1(Form),
    CertificateSha256(Form),
    /// A fact about the request to the API, by its whole name: `request.host`.
    Request(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Milliseconds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Base64,
    Base64url,
    Hex,
}

/// Every placeholder.
const KNOWN: [(&str, Piece); 19] = [
    ("now", Piece::Now(Unit::Seconds)),
    ("now:ms", Piece::Now(Unit::Milliseconds)),
    ("expiry", Piece::Expiry(Unit::Seconds)),
    ("expiry:ms", Piece::Expiry(Unit::Milliseconds)),
    ("uuid", Piece::Uuid),
    ("random:hex16", Piece::Random),
    ("key.sha256:base64", Piece::KeySha256(Form::Base64)),
    ("key.sha256:base64url", Piece::KeySha256(Form::Base64url)),
    ("key.sha256:hex", Piece::KeySha256(Form::Hex)),
    ("certificate.sha1:base64url", Piece::CertificateSha1(Form::Base64url)),
    ("certificate.sha1:hex", Piece::CertificateSha1(Form::Hex)),
    ("certificate.sha256:base64", Piece::CertificateSha256(Form::Base64)),
    ("certificate.sha256:base64url", Piece::CertificateSha256(Form::Base64url)),
    ("certificate.sha256:hex", Piece::CertificateSha256(Form::Hex)),
    ("request.method", Piece::Request("request.method")),
    ("request.scheme", Piece::Request("request.scheme")),
    ("request.host", Piece::Request("request.host")),
    ("request.path", Piece::Request("request.path")),
    ("request.url", Piece::Request("request.url")),
];

impl Computed {
    /// Reads a string in which `{{` is a brace.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            literal.push_str(before);
            if let Some(after) = after.strip_prefix('{') {
                literal.push('{');
                rest = after;
                continue;
            }
            let (name, after) = after.split_once('}').ok_or_else(unclosed)?;
            let piece = KNOWN.iter().find(|(known, _)| *known == name).ok_or_else(|| unknown(name))?;
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(piece.1.clone());
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Computed(pieces))
    }

    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.0
    }
}

fn unclosed() -> Problem {
    Problem::new("", "found `{` without `}`").expecting("a placeholder such as `{uuid}`, or `{{` for a brace")
}

/// The problem with an unknown placeholder. Its name is repeated only if it resembles a known one, because it may be
/// part of a secret.
fn unknown(name: &str) -> Problem {
    let known: Vec<_> = KNOWN.iter().map(|(known, _)| *known).collect();
    let near = crate::nearest::nearest(name, known.iter().copied());
    let list: Vec<_> = known.iter().map(|known| format!("`{{{known}}}`")).collect();
    let problem = Problem::new("", "found an unknown placeholder")
        .expecting(format!("one of {}, or `{{{{` for a brace", list.join(", ")));
    match near {
        Some(near) => problem.advise(bearer_token::Advice::text(format!("did you mean `{{{near}}}`?"))),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_split_at_its_placeholders() {
        let text = |text: &str| Piece::Text(text.to_owned());
        for (given, expected) in [
            ("", vec![text("")]),
            ("plain }", vec![text("plain }")]),
            ("{uuid}", vec![Piece::Uuid]),
            ("{{uuid}", vec![text("{uuid}")]),
            ("{{{uuid}}", vec![text("{"), Piece::Uuid, text("}")]),
            (
                "a{now}b{expiry:ms}",
                vec![text("a"), Piece::Now(Unit::Seconds), text("b"), Piece::Expiry(Unit::Milliseconds)],
            ),
            ("A.U.SHA256:{key.sha256:base64}", vec![text("A.U.SHA256:"), Piece::KeySha256(Form::Base64)]),
            (
                "{request.method} {request.host}",
                vec![Piece::Request("request.method"), text(" "), Piece::Request("request.host")],
            ),
        ] {
            assert_eq!(Computed::parse(given).unwrap().pieces(), expected, "{given}");
        }
        for (name, piece) in KNOWN {
            assert_eq!(Computed::parse(&format!("{{{name}}}")).unwrap().pieces(), [piece], "{name}");
        }
    }

    #[test]
    fn what_is_no_placeholder_is_named_with_what_is() {
        for (given, message) in [
            ("{", "found `{` without `}`; expected a placeholder such as `{uuid}`, or `{{` for a brace"),
            ("x {now", "found `{` without `}`"),
            ("{}", "found an unknown placeholder; expected one of `{now}`, `{now:ms}`"),
            ("{nwo}", "did you mean `{now}`?"),
            ("{expiry:s}", "did you mean `{expiry:ms}`?"),
            ("{key.sha256}", "found an unknown placeholder"),
            ("{random:hex8}", "did you mean `{random:hex16}`?"),
            ("{planted-marker}", "found an unknown placeholder"),
        ] {
            let found = Computed::parse(given).unwrap_err().message();
            assert!(found.contains(message) && !found.contains("planted"), "{given}: {found}");
        }
    }
}
