//! The section `token_endpoint.tls`, and what else is set on the default HTTP client.

use bearer_token::oauth::TokenEndpointBuilder;
#[cfg(feature = "http-transport")]
use bearer_token::transport::HttpTransport;
#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;

use super::context::Context;
use crate::values::{SecretField, ValueField};
#[cfg(feature = "http-transport")]
use crate::{kept::Settings, names::Names};

#[cfg(feature = "http-transport")]
const NAMES: Names = Names { section: "token_endpoint.tls", names: &[] };

/// TLS to the token endpoint. Files are read again when they change.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct TlsFields {
    /// CA certificates to trust as well as the system's, as PEM.
    ca: Option<ValueField>,
    /// CA certificates to trust in place of the system's, as PEM.
    only_ca: Option<ValueField>,
    /// The client's certificate with its chain, as PEM (RFC 8705).
    certificate: Option<ValueField>,
    /// The private key of the client's certificate, as PEM. It may also follow the certificate.
    key: Option<SecretField>,
}

/// Sets the default HTTP client, unless nothing of it is configured or another client is given in code.
#[cfg(feature = "http-transport")]
pub(super) fn transport(
    tls: Option<&TlsFields>,
    title_case_headers: bool,
    builder: TokenEndpointBuilder,
    cx: &mut Context<'_>,
) -> TokenEndpointBuilder {
    let place = cx.place("token_endpoint");
    // A client whose settings depend on no variable.
    if let Some(kept) = cx.kept_transport(&Settings::new(&place, [])) {
        return builder.transport(kept);
    }
    let uses = cx.used.len();
    let mut transport = HttpTransport::builder();
    let (mut is_set, mut is_known) = (false, true);
    for (name, field, set) in [
        ("ca", tls.and_then(|tls| tls.ca.as_ref()), Set::ca as Setter),
        ("only_ca", tls.and_then(|tls| tls.only_ca.as_ref()), Set::only_ca),
        ("certificate", tls.and_then(|tls| tls.certificate.as_ref()), Set::certificate),
        ("key", tls.and_then(|tls| tls.key.as_deref()), Set::key),
    ] {
        let Some(field) = field else { continue };
        // They are checked together, so with all of them or not at all.
        is_known &= !cx.is_stand_in(field);
        if let Some(value) = cx.bytes_value(&format!("token_endpoint.tls.{name}"), field) {
            transport = set(transport, value);
            is_set = true;
        }
    }
    if title_case_headers {
        transport = transport.title_case_headers();
        is_set = true;
    }
    if !is_set || !is_known {
        return builder;
    }
    let settings = Settings::new(&place, cx.variables_since(uses));
    if let Some(kept) = cx.kept_transport(&settings) {
        return builder.transport(kept);
    }
    match transport.build() {
        // One that was given in code replaces it, as in a dry run.
        Ok(_) if cx.transport.is_some() => builder,
        Ok(transport) => match cx.kept {
            Some(kept) => builder.transport(kept.transports.keep(settings, transport)),
            None => builder.transport(transport),
        },
        Err(error) => {
            cx.report.add_translated(&NAMES, &error);
            builder
        }
    }
}

#[cfg(feature = "http-transport")]
type Set = bearer_token::transport::HttpTransportBuilder;

#[cfg(feature = "http-transport")]
type Setter = fn(Set, bearer_token::Value) -> Set;

/// Reports fields that only the default HTTP client has.
#[cfg(not(feature = "http-transport"))]
pub(super) fn transport(
    tls: Option<&TlsFields>,
    title_case_headers: bool,
    builder: TokenEndpointBuilder,
    cx: &mut Context<'_>,
) -> TokenEndpointBuilder {
    let has_tls = tls.is_some_and(|TlsFields { ca, only_ca, certificate, key }| {
        ca.is_some() || only_ca.is_some() || certificate.is_some() || key.is_some()
    });
    for (name, is_present) in [("tls", has_tls), ("title_case_headers", title_case_headers)] {
        if is_present {
            let found = "found a setting of the default HTTP client, which this program does not have";
            let problem = bearer_token::Problem::new(format!("token_endpoint.{name}"), found);
            cx.report.add(problem.advise(bearer_token::Advice::Feature("http-transport")));
        }
    }
    builder
}
