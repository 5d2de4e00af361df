//! A decoded JWT.

use std::{
    fmt,
    fmt::Write,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// The last second that an HTTP date can express, in the year 9999.
const LAST: u64 = 253_402_300_799;

/// The header and claims of a JWT (RFC 7519 section 3). The signature is ignored.
pub(super) struct Jwt {
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl Jwt {
    /// Decodes a JWT, or returns `None` for anything else.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut part = || {
            let part = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
            serde_json::from_slice::<Map<String, Value>>(&part).ok()
        };
        let (header, claims) = (part()?, part()?);
        (parts.count() == 1).then_some(Jwt { header, claims })
    }

    pub(super) fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    /// A claim that is a time (RFC 7519 section 4.1).
    pub(super) fn time(&self, name: &str) -> Option<SystemTime> {
        let seconds = self.claims.get(name)?;
        let seconds = seconds.as_u64().or_else(|| seconds.as_f64().map(|seconds| seconds as u64))?;
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(LAST)))
    }

    /// Header and claims, with readable times. `edit` may change any value.
    pub(super) fn show(
        &self,
        name: &str,
        now: SystemTime,
        edit: impl Fn(&Value) -> Value,
        out: &mut impl Write,
    ) -> fmt::Result {
        let text = |members: &Map<String, Value>| format!("{:#}", edit(&Value::Object(members.clone())));
        writeln!(out, "\n{name}, header:\n{}", text(&self.header))?;
        writeln!(out, "\n{name}, claims:\n{}", text(&self.claims))?;
        for claim in ["nbf", "iat", "exp"] {
            if let Some(time) = self.time(claim) {
                writeln!(out, "  {claim}  {} ({})", httpdate::fmt_http_date(time), relative(time, now))?;
            }
        }
        Ok(())
    }
}

fn relative(time: SystemTime, now: SystemTime) -> String {
    match time.duration_since(now) {
        // Rounded to whole seconds, as a person would count.
        Ok(left) => format!("in {}", span((left + Duration::from_millis(999)).as_secs())),
        Err(past) => format!("{} ago", span(past.duration().as_secs())),
    }
}

/// A number of seconds, to about two digits.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..=120 => format!("{seconds} s"),
        121..=7_200 => format!("{} min", seconds / 60),
        7_201..=172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
        format!("{}.{}.c2ln", part(r#"{"alg":"none"}"#), part(claims))
    }

    #[test]
    fn times_are_shown_as_dates_and_from_now() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let text = jwt(r#"{"iat":1699999990,"exp":1700000060.5,"nbf":1700009000,"other":1}"#);
        let mut out = String::new();
        Jwt::read(&text).unwrap().show("token", now, Value::clone, &mut out).unwrap();
        for line in [
            "  iat  Tue, 14 Nov 2023 22:13:10 GMT (10 s ago)\n",
            "  exp  Tue, 14 Nov 2023 22:14:20 GMT (in 60 s)\n",
            "  nbf  Wed, 15 Nov 2023 00:43:20 GMT (in 2 h)\n",
            "token, header:\n{\n  \"alg\": \"none\"\n}\n",
        ] {
            assert!(out.contains(line), "{line}: {out}");
        }
    }

    #[test]
    fn no_time_is_too_large_to_be_shown() {
        for claims in [r#"{"exp":18446744073709551615}"#, r#"{"exp":1e300}"#, r#"{"exp":-1}"#, r#"{"exp":"soon"}"#] {
            Jwt::read(&jwt(claims))
                .unwrap()
                .show("token", SystemTime::UNIX_EPOCH, Value::clone, &mut String::new())
                .unwrap();
        }
    }

    #[test]
    fn anything_but_a_jwt_is_left_alone() {
        let good = jwt("{}");
        assert!(Jwt::read(&good).is_some());
        let (two, five) = (good.rsplit_once('.').unwrap().0, format!("{good}.a.b"));
        for text in ["", "opaque", "a.b.c", two, &five, &jwt("[]"), &jwt("no json")] {
            assert!(Jwt::read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_span_is_told_in_the_unit_that_fits() {
        let told = [0, 60, 120, 121, 3_600, 86_400, 864_000].map(span);
        assert_eq!(told, ["0 s", "60 s", "120 s", "2 min", "60 min", "24 h", "10 days"]);
    }
}
