//! Authorities that are understood by a look at their bytes, without taking them apart.

/// Whether this is nothing but the name of a host, or an IPv4 address: no port, no user information, no brackets.
pub(super) fn is_host_alone(authority: &str) -> bool {
    !authority.is_empty() && authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-')
}

/// Whether this is this machine as most programs spell it, with a port or without.
pub(super) fn is_usual_loopback(authority: &str) -> bool {
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| authority.strip_prefix(host).is_some_and(is_port_or_nothing))
}

/// Whether this is empty, or a colon and a port.
fn is_port_or_nothing(text: &str) -> bool {
    let Some(port) = text.strip_prefix(':') else { return text.is_empty() };
    // A number may begin with a sign, but a port may not.
    port.starts_with(|first: char| first.is_ascii_digit()) && port.parse::<u16>().is_ok()
}
