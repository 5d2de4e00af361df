//! The section `send`: how the token is sent to the API, and what refuses it.

use std::fmt;

use bearer_token::{Advice, Problem, Sending};
use http::StatusCode;
#[cfg(test)]
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

use super::{Secrets, context::Context};
use crate::{
    names::{Names, name},
    values::{Seconds, Text},
};

/// The names of the fields for the methods of a provider's builder.
pub(super) const NAMES: Names = Names {
    section: "send",
    names: &[
        name("sending.header", "header"),
        name("sending.scheme", "scheme"),
        name("sending.fixed_header", "headers"),
        name("sending.settle", "settle_seconds"),
        name("sending.reject_on_status", "reject_on"),
        name("sending.reject_on_code", "reject_on"),
        name("sending.reject_on_grpc", "reject_on"),
    ],
};

/// How the token is sent to the API.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct SendFields {
    /// The header that the token is sent in. Default: `authorization`.
    header: Option<Text>,
    /// The scheme before the token; `""` for none. Default: `Bearer`.
    scheme: Option<Text>,
    /// Further headers of each request.
    headers: Secrets,
    /// What else counts as a refusal of the token: HTTP statuses as numbers, `error` codes of `WWW-Authenticate`, and
    /// gRPC statuses such as `"grpc:7"`.
    reject_on: Vec<RejectOn>,
    /// The time after a fetch in which a refusal does not reject the token, because the API may not know it yet.
    /// Default: 0.
    settle_seconds: Option<Seconds>,
}

/// What refuses a token.
enum RejectOn {
    Status(u64),
    Grpc(i32),
    Code(String),
}

impl SendFields {
    /// How to send, for the provider's builder to check.
    pub(super) fn sending(&self, cx: &mut Context<'_>) -> Sending {
        let mut sending = Sending::new();
        if let Some(header) = &self.header {
            sending = sending.header(header.as_str());
        }
        if let Some(scheme) = &self.scheme {
            sending = sending.scheme(scheme.as_str());
        }
        for (name, value) in &self.headers {
            if let Some(value) = cx.secret_value(&format!("send.headers.{name}"), value) {
                sending = sending.fixed_header(name, value);
            }
        }
        for (index, refusal) in self.reject_on.iter().enumerate() {
            let status = |status: u64| StatusCode::from_u16(u16::try_from(status).ok()?).ok();
            sending = match refusal {
                // These refuse a token anyway.
                RejectOn::Status(401) | RejectOn::Grpc(16) => sending,
                RejectOn::Status(number) => match status(*number) {
                    Some(status) => sending.reject_on_status(status),
                    None => {
                        let problem = Problem::new(
                            format!("send.reject_on[{index}]"),
                            "found a number that is not an HTTP status",
                        );
                        cx.report.add(problem.expecting("a status from 400 to 599"));
                        sending
                    }
                },
                RejectOn::Grpc(status) => sending.reject_on_grpc(*status),
                RejectOn::Code(code) if code.parse::<u16>().is_ok() => {
                    let problem = Problem::new(format!("send.reject_on[{index}]"), "found a number in quotes");
                    let advice = "write a status without quotes, and a gRPC status as `\"grpc:7\"`";
                    cx.report.add(problem.advise(Advice::text(advice)));
                    sending
                }
                RejectOn::Code(code) => sending.reject_on_code(code),
            };
        }
        if let Some(time) = self.settle_seconds {
            sending = sending.settle(time.0);
        }
        sending
    }
}

impl<'de> Deserialize<'de> for RejectOn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrString;

        impl Visitor<'_> for NumberOrString {
            type Value = RejectOn;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an HTTP status such as `403`, an error code, or a gRPC status such as `\"grpc:7\"`")
            }

            fn visit_u64<E>(self, status: u64) -> Result<RejectOn, E> {
                Ok(RejectOn::Status(status))
            }

            fn visit_i64<E>(self, status: i64) -> Result<RejectOn, E> {
                Ok(RejectOn::Status(u64::try_from(status).unwrap_or(0)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RejectOn, E> {
                let Some(status) = text.strip_prefix("grpc:") else { return Ok(RejectOn::Code(text.to_owned())) };
                status.parse().map(RejectOn::Grpc).map_err(|_| {
                    E::custom("found a gRPC status that is not a number; expected a string such as `\"grpc:7\"`")
                })
            }
        }

        deserializer.deserialize_any(NumberOrString)
    }
}

#[cfg(test)]
impl JsonSchema for RejectOn {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RejectOn".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "An HTTP status, an error code, or a gRPC status such as `grpc:7`.",
            "anyOf": [{ "type": "number" }, { "type": "string" }],
        })
    }
}
