//! How a request identified the client, and what to change when the server refuses it.
//!
//! Servers say `invalid_client` for a dozen different mistakes. What the request looked like narrows them down: with a
//! signature the audience is the usual suspect, with HTTP Basic it is the encoding. The advice names at most two
//! alternatives, the likelier one first.

use crate::oauth::client_auth::Audience;

/// The encoding of the id and the secret before they are joined by a colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BasicEncoding {
    Form,
    Raw,
}

/// The kind of client authentication in a request.
///
/// Computed once, when the endpoint is built. It holds nothing secret, because it ends up in an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Presented {
    #[default]
    Nothing,
    /// `client_id` alone.
    Id,
    /// `special` if the encoding changes the id or the secret.
    Basic {
        encoding: BasicEncoding,
        special: bool,
    },
    /// `client_id` and `client_secret` in the body.
    Body,
    /// With the audience, if it is not that of a template.
    SignedByKey(Option<Audience>),
    SignedBySecret(Option<Audience>),
    /// An assertion from elsewhere: neither its key nor its audience is known here.
    FromSource,
}

impl Presented {
    /// What to check or to change, as a clause.
    ///
    /// Names a builder's method and the configuration's field: an error does not know which of the two the user sees.
    pub(crate) fn advice(&self) -> String {
        let base = match self {
            Presented::Nothing => {
                "check whether the server requires client authentication, as this request had none: set one with \
                 `.client_auth(..)`"
            }
            Presented::Id => {
                "check the client id, and whether the server requires a client secret, as this request had none"
            }
            Presented::Basic { .. } => {
                "check the client secret and the client id, and whether the server expects them in the body instead of \
                 HTTP Basic: try `ClientAuth::post` (in a configuration, `method = \"post\"`)"
            }
            Presented::Body => {
                "check the client secret and the client id, and whether the server expects them by HTTP Basic instead \
                 of the body: try `ClientAuth::basic` (in a configuration, `method = \"basic\"`)"
            }
            Presented::SignedByKey(_) => {
                "check the client id, the key that the server knows for it, the assertion's audience and lifetime, and the \
                 clock of this machine"
            }
            Presented::SignedBySecret(_) => {
                "check the client id, the client secret that signs the assertion, its audience and lifetime, and the clock of \
                 this machine"
            }
            Presented::FromSource => {
                "check the client id, the issuer, subject and audience of assertions that the server trusts, and whether it \
                 accepts an assertion more than once"
            }
        };
        let further = match self {
            Presented::SignedByKey(Some(audience)) | Presented::SignedBySecret(Some(audience)) => {
                return format!("{base}. {}", about_audience(audience));
            }
            Presented::Basic { encoding: BasicEncoding::Form, special: true } => {
                ". The client id or secret has characters that are form-encoded for HTTP Basic (RFC 6749 section \
                 2.3.1), and some servers do not decode them: try `ClientAuth::basic_raw` (in a configuration, `method \
                 = \"basic_raw\"`)"
            }
            Presented::Basic { encoding: BasicEncoding::Raw, special: true } => {
                ". The client id or secret has characters that most servers expect form-encoded in HTTP Basic (RFC \
                 6749 section 2.3.1): try `ClientAuth::basic` (in a configuration, `method = \"basic\"`)"
            }
            _ => "",
        };
        [base, further].concat()
    }
}

/// The audience that was sent, and the other one that servers expect (`L57`).
fn about_audience(audience: &Audience) -> String {
    // A query may hold the key of a gateway.
    let sent = audience.as_str().split(['?', '#']).next().unwrap_or_default();
    match audience {
        Audience::Issuer(_) => format!(
            "The audience was the issuer `{sent}`, and servers compare it byte for byte. If the server expects the URL of \
             its token endpoint, set that with `ClientAuth::audience` (in a configuration, `client.jwt.audience`)"
        ),
        Audience::Other(_) => format!(
            "The audience was `{sent}`, and servers compare it byte for byte. If the server expects its issuer, set that \
             with `ClientAuth::audience_issuer` (in a configuration, `token_endpoint.issuer`)"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{oauth::ClientAuth, problem::Problems};

    // shows: 7521/4.2.1
    #[test]
    fn l57_advice_names_the_audience_that_was_sent_and_the_other_one() {
        let (url, issuer) = ("https://as.example.com/token?key=marker", "https://as.example.com/");
        for (audience, named) in [
            (Audience::Other(url.to_owned()), ["`https://as.example.com/token`", "`ClientAuth::audience_issuer`"]),
            (Audience::Issuer(issuer.to_owned()), ["the issuer `https://as.example.com/`", "`ClientAuth::audience`"]),
        ] {
            for presented in [Presented::SignedByKey(Some(audience.clone())), Presented::SignedBySecret(Some(audience))]
            {
                let text = presented.advice();
                assert!(named.iter().all(|part| text.contains(part)), "{text}");
                assert!(text.contains("lifetime") && text.contains("clock") && !text.contains("marker"), "{text}");
            }
        }
        assert!(Presented::SignedByKey(None).advice().contains("the assertion's audience"));
        assert!(Presented::FromSource.advice().contains("more than once"));
    }

    #[test]
    fn l57_advice_names_the_other_ways_to_authenticate() {
        for (auth, named, not_named) in [
            (ClientAuth::none(), &["requires client authentication"][..], &["client secret"][..]),
            (ClientAuth::public("id"), &["the client id", "client secret"], &["::post"]),
            (ClientAuth::basic("id", "secret-1.2_3*"), &["the client secret", "`ClientAuth::post`"], &["basic_raw"]),
            (ClientAuth::basic("id", "se/cret"), &["`ClientAuth::post`", "`ClientAuth::basic_raw`"], &[]),
            (ClientAuth::basic("i d", "secret"), &["`ClientAuth::basic_raw`", "\"basic_raw\""], &[]),
            (ClientAuth::basic_raw("id", "se/cret"), &["`ClientAuth::post`", "`ClientAuth::basic`"], &["basic_raw"]),
            (ClientAuth::basic_raw("id", "secret"), &["`ClientAuth::post`"], &["`ClientAuth::basic`"]),
            (ClientAuth::post("i d", "se/cret"), &["the client secret", "`ClientAuth::basic`"], &["basic_raw"]),
        ] {
            let text = auth.prepare(None, &mut Problems::default()).presented.advice();
            assert!(named.iter().all(|part| text.contains(part)), "{auth:?}: {text}");
            assert!(!not_named.iter().any(|part| text.contains(part)), "{auth:?}: {text}");
            assert!(!text.contains("se/cret") && !text.contains("i d;"), "{text}");
        }
    }
}
