//! Causes among the errors of rustls.
//!
//! rustls has a type for each failure, so nothing is guessed here. An alert from the server is about this client: most
//! of all its certificate. An error of verification is about the server.

use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible, pki_types::UnixTime};

use super::kind::Cause;

/// The cause that an error of rustls shows. A record of another kind means that the port speaks something else, usually
/// plain HTTP.
pub(super) fn cause(error: &Error) -> Cause {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) => received(*alert),
        // The first bytes were not a TLS record; a message of an unexpected kind can be genuine TLS.
        Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion)
        | Error::PeerSentOversizedRecord
        | Error::InvalidMessage(InvalidMessage::MessageTooLarge | InvalidMessage::InvalidEmptyPayload) => Cause::NotTls,
        Error::PeerIncompatible(error) => match error {
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired => Cause::TlsVersion,
            _ => Cause::TlsAlgorithms,
        },
        _ => Cause::Tls,
    }
}

/// The cause that a failed verification of the server's certificate shows, with its dates if rustls gives them.
fn certificate(error: &CertificateError) -> Cause {
    match error {
        // `BadSignature`: signed by another CA that has the same name as a trusted one.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Cause::UnknownIssuer,
        CertificateError::Expired => Cause::Expired(None),
        CertificateError::ExpiredContext { time, not_after } => Cause::Expired(Some(between(*not_after, *time))),
        CertificateError::NotValidYet => Cause::NotYetValid(None),
        CertificateError::NotValidYetContext { time, not_before } => {
            Cause::NotYetValid(Some(between(*time, *not_before)))
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Cause::WrongName,
        CertificateError::Revoked => Cause::Revoked,
        // The verifier below has no variant for it, only this word.
        CertificateError::Other(error) if error.to_string().contains("CaUsedAsEndEntity") => Cause::CaAsServer,
        _ => Cause::Certificate,
    }
}

/// The server's alert about the handshake: one of a fixed set of codes (RFC 8446 section 6).
fn received(alert: AlertDescription) -> Cause {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => Cause::ClientCertificateRequired,
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA => Cause::ClientCertificateRejected,
        AlertDescription::ProtocolVersion => Cause::TlsVersion,
        AlertDescription::InsufficientSecurity => Cause::TlsAlgorithms,
        AlertDescription::UnrecognisedName => Cause::UnrecognizedName,
        AlertDescription::HandshakeFailure | AlertDescription::AccessDenied => Cause::HandshakeFailure,
        _ => Cause::Tls,
    }
}

fn between(earlier: UnixTime, later: UnixTime) -> Duration {
    Duration::from_secs(later.as_secs().saturating_sub(earlier.as_secs()))
}
