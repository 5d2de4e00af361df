//! How a request identified the client, and what to change when the server refuses it.

/// The encoding of the id and the secret before they are joined by a colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BasicEncoding {
    Form,
    Raw,
}

/// The kind of client authentication in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Presented {
    #[default]
    Nothing,
    Id,
    /// `special` if the encoding changes the id or the secret.
    Basic {
        encoding: BasicEncoding,
        special: bool,
    },
    Body,
    SignedByKey,
    SignedBySecret,
    FromSource,
}

impl Presented {
    /// What to check or to change, as a clause.
    pub(crate) fn advice(self) -> String {
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
            Presented::SignedByKey => {
                "check the client id, the key that the server knows for it, and the assertion's audience and lifetime"
            }
            Presented::SignedBySecret => {
                "check the client id, the client secret that signs the assertion, and its audience and lifetime"
            }
            Presented::FromSource => {
                "check the client id, and the issuer, subject and audience of assertions that the server trusts"
            }
        };
        let encoding = match self {
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
        [base, encoding].concat()
    }
}

#[cfg(test)]
mod tests {
    use crate::{oauth::ClientAuth, problem::Problems};

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
