//! Names of parameters that a grant or the client authentication sends.

/// Parameters that are not set here, and what sets them.
///
/// They are refused whatever their value is: `client_secret` as a parameter would bypass the checks of a secret, and
/// miss its redaction.
pub(crate) const RESERVED: [(&str, &[&str]); 4] = [
    ("grant_type", &["grant_type"]),
    ("client_secret", &["ClientAuth::post"]),
    ("client_assertion", &["ClientAuth::private_key_jwt", "ClientAuth::assertion_from"]),
    ("client_assertion_type", &["ClientAuth::private_key_jwt", "ClientAuth::assertion_from"]),
];

/// Credentials that expire or are accepted once, and the grants that send them. A literal would soon be invalid.
///
/// A value that is looked up is allowed, because it may be fresh: some servers want `assertion` beside another grant.
/// The last four belong to grants that this crate does not have (RFC 6749 section 4.1, RFC 7636, RFC 8628, CIBA).
pub(crate) const EXPIRING: [(&str, &[&str]); 8] = [
    ("assertion", &["JwtBearer::new"]),
    ("refresh_token", &["RefreshToken::new"]),
    ("subject_token", &["TokenExchange::new"]),
    ("actor_token", &["TokenExchange::new"]),
    ("code", &[]),
    ("code_verifier", &[]),
    ("device_code", &[]),
    ("auth_req_id", &[]),
];

/// Whether a parameter that the user added is the credential that a grant would send under this name.
pub(crate) fn is_credential(name: &str) -> bool {
    settings(&EXPIRING, name).is_some()
}

/// The settings that send a parameter in place of the user's.
///
/// Case does not matter and spaces are ignored: servers differ, and a near-miss is a mistake as well.
pub(crate) fn settings(list: &[(&str, &'static [&'static str])], name: &str) -> Option<&'static [&'static str]> {
    list.iter().find(|(other, _)| other.eq_ignore_ascii_case(name.trim())).map(|(_, settings)| *settings)
}
