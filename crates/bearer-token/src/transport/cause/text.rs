//! Causes that can be told only from the words of other libraries.
//!
//! The last resort, for OpenSSL, platform verifiers and clients that turn errors into strings. The words are compared
//! and never repeated. So a server that chooses them can only choose among our sentences.

use std::{
    error::Error as StdError,
    fmt::{self, Write},
};

use super::kind::Cause;

/// Words of hyper-util, reqwest, rustls, OpenSSL and the C library, in lower case, and what they mean. The first row
/// that matches counts.
///
/// Specific rows come before general ones: "invalid peer certificate" precedes every reason that rustls adds.
const CAUSE_WORDS: [(&str, Cause); 46] = [
    ("dns error", Cause::NameNotFound),
    ("failed to lookup address", Cause::NameNotFound),
    ("name or service not known", Cause::NameNotFound),
    ("nodename nor servname", Cause::NameNotFound),
    ("no such host", Cause::NameNotFound),
    ("proxy authorization required", Cause::ProxyCredentials),
    ("tunnel error", Cause::Proxy),
    ("socks", Cause::Proxy),
    ("connection refused", Cause::Refused),
    ("connection reset", Cause::Reset),
    ("network is unreachable", Cause::Unreachable),
    ("not valid for name", Cause::WrongName),
    ("notvalidforname", Cause::WrongName),
    ("hostname mismatch", Cause::WrongName),
    ("ip address mismatch", Cause::WrongName),
    ("unknownissuer", Cause::UnknownIssuer),
    ("unknown issuer", Cause::UnknownIssuer),
    ("unable to get local issuer", Cause::UnknownIssuer),
    ("self-signed certificate", Cause::UnknownIssuer),
    ("self signed certificate", Cause::UnknownIssuer),
    ("causedasendentity", Cause::CaAsServer),
    ("certificate expired", Cause::Expired(None)),
    ("certificate has expired", Cause::Expired(None)),
    ("not valid yet", Cause::NotYetValid(None)),
    ("not yet valid", Cause::NotYetValid(None)),
    ("badsignature", Cause::UnknownIssuer),
    ("revoked", Cause::Revoked),
    ("certificate required", Cause::ClientCertificateRequired),
    ("certificaterequired", Cause::ClientCertificateRequired),
    ("alert: unknownca", Cause::ClientCertificateRejected),
    ("alert: badcertificate", Cause::ClientCertificateRejected),
    ("unknown ca", Cause::ClientCertificateRejected),
    ("unrecognisedname", Cause::UnrecognizedName),
    ("unrecognized name", Cause::UnrecognizedName),
    ("invalidcontenttype", Cause::NotTls),
    ("wrong version number", Cause::NotTls),
    ("unsupported protocol", Cause::TlsVersion),
    ("protocolversion", Cause::TlsVersion),
    ("insufficientsecurity", Cause::TlsAlgorithms),
    ("no shared cipher", Cause::TlsAlgorithms),
    ("handshakefailure", Cause::HandshakeFailure),
    ("handshake failure", Cause::HandshakeFailure),
    ("invalid peer certificate", Cause::Certificate),
    ("certificate verify failed", Cause::Certificate),
    ("received fatal alert", Cause::Tls),
    ("timed out", Cause::TimedOut),
];

/// The cause that an error's message shows. The message may be a server's, so it is only compared, up to a limit.
pub(super) fn find(error: &(dyn StdError + 'static)) -> Option<Cause> {
    let mut words = Lowercase { words: String::new() };
    // Ends early with an error once there is enough.
    write!(words, "{error}").unwrap_or_default();
    CAUSE_WORDS.iter().find(|(part, _)| words.words.contains(part)).map(|(_, cause)| *cause)
}

/// The beginning of what is written, in lower case.
///
/// A message may be as long as its author likes, so only its beginning is kept.
struct Lowercase {
    words: String,
}

impl Write for Lowercase {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        const LONGEST: usize = 1024;
        for character in piece.chars() {
            if self.words.len() >= LONGEST {
                return Err(fmt::Error);
            }
            self.words.push(character.to_ascii_lowercase());
        }
        Ok(())
    }
}
