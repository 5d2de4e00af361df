//! Google's workload identity federation from AWS: the subject token is a request to AWS that is signed and not sent.
//!
//! AWS itself has no bearer tokens. It signs each request (Signature Version 4), and this is the only place where such
//! a signature becomes a token. Facts: google-auth-library-python, google/auth/aws.py; AWS, "Signature Version 4".

use aws_lc_rs::{digest, hmac};
use bearer_token::{
    AccessToken, Error, FetchContext, TokenProvider, TokenSource, Value,
    oauth::{TokenEndpoint, TokenEndpointBuilder, TokenExchange, TokenType},
};
use serde_json::json;

/// Proves that this process may act for an AWS role, to a Google workload identity pool.
pub struct CallerIdentity {
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    /// The provider of the pool: `//iam.googleapis.com/projects/..`.
    pub audience: String,
}

impl TokenSource for CallerIdentity {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let host = format!("sts.{}.amazonaws.com", self.region);
        let query = "Action=GetCallerIdentity&Version=2011-06-15";
        let date = timestamp(cx.platform().now().since_epoch().as_secs());
        // Google compares the resource, so another pool rejects the signature.
        let headers = [("host", &*host), ("x-amz-date", &date), ("x-goog-cloud-target-resource", &self.audience)];
        let authorization = self.sign("POST", query, &headers, "sts");
        let headers = headers.into_iter().chain([("Authorization", &*authorization)]);
        let headers: Vec<_> = headers.map(|(key, value)| json!({ "key": key, "value": value })).collect();
        let request = json!({ "url": format!("https://{host}?{query}"), "method": "POST", "headers": headers });
        // In percent-encoding, whose `%20` differs from that of forms.
        let encoded = form_urlencoded::byte_serialize(request.to_string().as_bytes()).collect::<String>();
        Ok(AccessToken::new(encoded.replace('+', "%20")))
    }
}

impl CallerIdentity {
    /// The value of `Authorization` for a request to `/` without a body. The headers are in alphabetical order.
    fn sign(&self, method: &str, query: &str, headers: &[(&str, &str)], service: &str) -> String {
        let date = headers.iter().find(|(name, _)| *name == "x-amz-date").map_or("", |(_, date)| date);
        let day = date.get(..8).unwrap_or_default();
        let signed = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let request = format!("{method}\n/\n{query}\n{lines}\n{signed}\n{}", sha256(b""));
        let scope = format!("{day}/{}/{service}/aws4_request", self.region);
        let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(request.as_bytes()));
        let mut key = format!("AWS4{}", self.secret_access_key).into_bytes();
        for part in [day, &self.region, service, "aws4_request", &to_sign] {
            key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
        }
        let credential = format!("{}/{scope}", self.access_key_id);
        format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={}", hex(&key))
    }
}

/// A token endpoint of Google that takes this identity.
pub fn token_endpoint(identity: CallerIdentity) -> Result<TokenEndpointBuilder, Error> {
    let audience = identity.audience.clone();
    // Each signature is for one moment.
    let subject = Value::token_of(TokenProvider::builder(identity).build()?).fresh();
    let exchange = TokenExchange::new(subject, "urn:ietf:params:aws:token-type:aws4_request")
        .audience(audience)
        .requested_token_type(TokenType::ACCESS_TOKEN);
    let endpoint = TokenEndpoint::builder("https://sts.googleapis.com/v1/token", exchange);
    Ok(endpoint.scope("https://www.googleapis.com/auth/cloud-platform"))
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Seconds since 1970 as `20150830T123600Z`.
fn timestamp(seconds: u64) -> String {
    // The civil date of a day, in years that begin in March.
    let (days, time) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", time / 3_600, time / 60 % 60, time % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of AWS's own test suite (get-vanilla).
    #[test]
    fn a_signature_is_the_one_that_aws_documents() {
        assert_eq!(timestamp(1_440_938_160), "20150830T123600Z");
        assert_eq!(timestamp(1_709_164_799), "20240228T235959Z");
        assert_eq!(timestamp(1_709_164_800), "20240229T000000Z");
        let identity = CallerIdentity {
            region: "us-east-1".to_owned(),
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            audience: String::new(),
        };
        let headers = [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
        let expected = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                        SignedHeaders=host;x-amz-date, \
                        Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        assert_eq!(identity.sign("GET", "", &headers, "service"), expected);
    }
}
