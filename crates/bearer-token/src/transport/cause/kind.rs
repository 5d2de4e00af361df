//! The causes of failed connections, and the words for each.
//!
//! Each cause has two clauses: what was found, and what to change. They are joined with the stage at which it happened
//! ("no connection to the proxy .."). A cause also knows whether the server can have received the request. That decides
//! whether a refresh token is used up.

use std::time::Duration;

/// What went wrong between this machine and the server.
///
/// Each variant has a sentence of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The name service does not know the host.
    NameNotFound,
    /// Nothing listens on the port.
    Refused,
    /// The connection broke while it was in use.
    Reset,
    /// The server closed the connection early.
    Closed,
    /// There is no route to the host.
    Unreachable,
    /// The operating system forbids the connection.
    NotPermitted,
    /// The operating system gave up, usually after minutes.
    TimedOut,
    /// No CA that the client trusts issued the server's certificate.
    UnknownIssuer,
    /// The server's certificate is one of a CA, as most self-signed ones are.
    CaAsServer,
    /// The server's certificate expired, as long ago as this if that is known.
    Expired(Option<Duration>),
    /// The server's certificate is not valid yet. It will be after this time, if that is known.
    NotYetValid(Option<Duration>),
    /// The server's certificate is for other host names.
    WrongName,
    /// The CA has withdrawn the server's certificate.
    Revoked,
    /// The server's certificate failed in another way.
    Certificate,
    /// What the server sent is not TLS.
    NotTls,
    /// The server speaks TLS 1.1 or older only.
    TlsVersion,
    /// Client and server share no algorithm.
    TlsAlgorithms,
    /// The server knows no site of this name.
    UnrecognizedName,
    /// The server wants a client certificate, and the transport has none.
    ClientCertificateRequired,
    /// The server does not accept the transport's certificate: it is unknown, expired, or of a CA that it does not
    /// trust.
    ClientCertificateRejected,
    /// The server ended the handshake without a reason; a missing client certificate is the usual one.
    HandshakeFailure,
    /// Another failure of TLS.
    Tls,
    /// Something between here and the server, of which no more is known.
    Proxy,
    /// The proxy responded with 407.
    ProxyCredentials,
    /// The server sent far more than one response.
    TooMuch,
}

impl Cause {
    /// Whether the server has certainly not received the request.
    ///
    /// False where there is doubt. A request that is counted as sent costs one retry; a refresh token that is sent
    /// twice costs a consent.
    pub(crate) fn is_before_the_request(self) -> bool {
        match self {
            Cause::NameNotFound | Cause::Refused | Cause::Unreachable | Cause::NotPermitted => true,
            Cause::UnknownIssuer | Cause::CaAsServer | Cause::WrongName | Cause::Revoked | Cause::Certificate => true,
            Cause::Expired(_) | Cause::NotYetValid(_) => true,
            Cause::NotTls | Cause::TlsVersion | Cause::TlsAlgorithms | Cause::UnrecognizedName => true,
            Cause::ProxyCredentials => true,
            // TLS 1.3 reports a missing or rejected client certificate after the request was sent.
            Cause::ClientCertificateRequired | Cause::ClientCertificateRejected | Cause::HandshakeFailure => false,
            Cause::Reset | Cause::Closed | Cause::TimedOut | Cause::Tls | Cause::Proxy | Cause::TooMuch => false,
        }
    }

    /// What was found, and what to change.
    pub(crate) fn words(self) -> (String, &'static str) {
        const CLOCK: &str = "renew it on the server, or correct this machine's clock";
        let (found, change) = match self {
            Cause::NameNotFound => {
                ("its host name could not be resolved", "check the host in the URL, and the DNS of this machine")
            }
            Cause::Refused => ("connection refused", "check the port, and that the server is running"),
            Cause::Reset => ("the connection was reset", "check the port, and the firewalls and proxies on the way"),
            Cause::Closed => {
                ("the server closed the connection early", "check the port, and the firewalls and proxies on the way")
            }
            Cause::Unreachable => {
                ("the network cannot reach it", "check the routes and firewalls of this machine's network")
            }
            Cause::NotPermitted => {
                ("the operating system did not permit it", "check the sandbox and firewall rules of this process")
            }
            Cause::TimedOut => ("it timed out", "check the host and port, and firewalls that drop packets on the way"),
            Cause::UnknownIssuer => (
                "its certificate was issued by a CA that is not trusted here",
                "add the CA to the transport's `ca`, or point `SSL_CERT_FILE` to a file that contains it",
            ),
            Cause::CaAsServer => (
                "its certificate is the certificate of a CA, as a self-signed one often is",
                "give the server a certificate with `CA:FALSE`, and trust its issuer with the transport's `ca` or with \
                 `SSL_CERT_FILE`",
            ),
            Cause::Expired(ago) => return (lasting("its certificate expired", ago, " ago"), CLOCK),
            Cause::NotYetValid(left) => {
                return (lasting("its certificate is not valid yet", left, " left"), CLOCK);
            }
            Cause::WrongName => (
                "its certificate is for another host name",
                "use a host name in the URL that the certificate covers, or replace the certificate",
            ),
            Cause::Revoked => ("its certificate was revoked", "replace the certificate on the server"),
            Cause::Certificate => ("its certificate is not usable", "replace the certificate on the server"),
            Cause::NotTls => {
                ("the server does not speak TLS on this port", "check the port, and whether the URL is `https`")
            }
            Cause::TlsVersion => ("the server accepts neither TLS 1.2 nor TLS 1.3", "enable one of them on the server"),
            Cause::TlsAlgorithms => {
                ("the server shares no TLS algorithm with this client", "enable current algorithms on the server")
            }
            Cause::UnrecognizedName => ("the server does not know this host name", "check the host in the URL"),
            Cause::ClientCertificateRequired => {
                ("the server requires a client certificate", "set the transport's `certificate` and `key`")
            }
            Cause::ClientCertificateRejected => {
                ("the server rejected the client certificate", "set one that the server accepts, with its whole chain")
            }
            Cause::HandshakeFailure => (
                "the server ended the TLS handshake",
                "check its TLS settings; if it requires a client certificate, set the transport's \
                 `certificate` and `key`",
            ),
            Cause::Tls => ("TLS failed", "check the TLS settings of the server and of the proxies on the way"),
            Cause::Proxy => ("the proxy did not connect", "check the proxy's address, and that it allows this host"),
            Cause::ProxyCredentials => {
                ("the proxy requires credentials", "set them in the proxy's URL: `http://user:password@host:port`")
            }
            Cause::TooMuch => {
                ("it sent more than 2 MiB for one response", "check the token endpoint URL, and the server")
            }
        };
        (found.into(), change)
    }
}

/// A sentence with a rough duration, if there is one.
fn lasting(what: &str, time: Option<Duration>, suffix: &str) -> String {
    let Some(seconds) = time.map(|time| time.as_secs()) else { return what.into() };
    let (number, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86400, "day"),
    };
    let plural = if number == 1 { "" } else { "s" };
    format!("{what} ({number} {unit}{plural}{suffix})")
}
