//! Claims and header members that user code computes for each JWT.
//!
//! They are functions and not templates in strings. A fingerprint, a time in milliseconds and a hash over both are one
//! expression each in Rust. A language for them would need its own escapes, types and errors.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use serde_json::Value;

use super::context::SignContext;
use crate::{
    error::Error,
    problem::{Problem, Problems},
};

/// A function of the user's, whose result is JSON already.
type Compute = dyn Fn(&SignContext) -> Result<Value, Error> + Send + Sync;

/// Functions that compute members, by the names of the members.
#[derive(Clone, Default)]
pub(crate) struct Computed(BTreeMap<String, Arc<Compute>>);

impl Computed {
    /// Wraps a function, so that a value that is not JSON becomes an error of the function.
    pub(crate) fn insert<V: Serialize>(
        &mut self,
        name: String,
        compute: impl Fn(&SignContext) -> Result<V, Error> + Send + Sync + 'static,
    ) {
        let compute = move |cx: &SignContext| {
            let value = compute(cx)?;
            serde_json::to_value(value).map_err(|_| Error::config(NO_JSON, []))
        };
        self.0.insert(name, Arc::new(compute));
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The members for one JWT. `what` is a claim or a member of the header.
    ///
    /// In the order of names, so an error is the same each time.
    pub(crate) fn members(&self, what: &str, cx: &SignContext) -> Result<Vec<(String, Value)>, Error> {
        self.0.keys().map(|name| Ok((name.clone(), self.member(what, name, cx)?))).collect()
    }

    /// One member for one JWT; `null` if there is none of this name.
    pub(crate) fn member(&self, what: &str, name: &str, cx: &SignContext) -> Result<Value, Error> {
        let Some(compute) = self.0.get(name) else { return Ok(Value::Null) };
        compute(cx).map_err(|error| {
            let message = format!("the {what} `{name}` cannot be computed: {error}");
            error.with_context(message)
        })
    }

    /// Computes the members for a rehearsal. Those that cannot be computed are reported as problems, and left out.
    ///
    /// A function that fails with problems of its own keeps them, at the path of its member.
    pub(crate) fn rehearse(&self, method: &str, cx: &SignContext, problems: &mut Problems) -> Vec<(String, Value)> {
        let mut members = Vec::new();
        for (name, compute) in &self.0 {
            let path = format!("{method}.{name}");
            match compute(cx) {
                Ok(value) => members.push((name.clone(), value)),
                Err(error) if error.problems().is_empty() => problems.add(Problem::new(path, error.to_string())),
                Err(error) => error.problems().iter().for_each(|problem| problems.add(problem.clone().at(&path))),
            }
        }
        members
    }
}

/// serde's own sentence is not used: it may quote the value.
pub(super) const NO_JSON: &str =
    "found a value that cannot be written as JSON, such as a map whose keys are not strings";

#[cfg(test)]
mod tests {
    use std::{
        collections::HashMap,
        fs,
        path::Path,
        time::{Duration, SystemTime},
    };

    use aws_lc_rs::{
        digest::{SHA256, digest},
        signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey},
    };
    use base64::{
        Engine,
        prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
    };
    use rcgen::PublicKeyData;
    use serde_json::json;

    use super::*;
    use crate::{
        error::ErrorKind,
        jwt::{
            Algorithm, JwtTemplate, JwtTemplateBuilder, SignedJwt, Signer, SigningKey,
            test_support::{key_der, part, pem},
        },
        test_support::platform_at,
    };

    fn builder() -> JwtTemplateBuilder {
        JwtTemplate::builder(SigningKey::hmac(Algorithm::HS256, [7; 32]).unwrap())
    }

    async fn sign(builder: JwtTemplateBuilder) -> SignedJwt {
        builder.build().unwrap().sign(&platform_at(1_000)).await.unwrap()
    }

    fn paths_and_problems(builder: JwtTemplateBuilder) -> Vec<String> {
        builder.build().unwrap_err().problems().iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn registered_claims_can_have_another_form() {
        let jwt = sign(
            builder()
                .computed("exp", |cx| Ok(cx.expires_at().as_millis()))
                .computed("iat", |cx| Ok(cx.issued_at().as_secs().to_string()))
                .computed("jti", |cx| Ok(u32::from_le_bytes(cx.random()?)))
                .computed("timestamp", |cx| Ok(cx.issued_at().as_millis())),
        )
        .await;
        let mut claims = part(&jwt, 1);
        assert!(claims.as_object_mut().unwrap().remove("jti").unwrap().is_u64());
        assert_eq!(claims, json!({ "exp": 1_050_000, "iat": "990", "timestamp": 990_000 }));
        assert_eq!(jwt.expires(), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_050)));
    }

    #[tokio::test]
    async fn each_jwt_has_values_of_its_own() {
        let template = builder()
            .claim("text", "{now} {{")
            .computed("id", SignContext::uuid)
            .computed("list", |cx| Ok(json!([cx.issued_at().as_secs(), { "exp": cx.expires_at().as_secs() }])))
            .computed_header("nonce", |cx| Ok(format!("{:016x}", u64::from_le_bytes(cx.random()?))))
            .computed_header("left_out", |_| Ok(Value::Null))
            .build()
            .unwrap();
        let first = template.sign(&platform_at(1_000)).await.unwrap();
        let second = template.sign(&platform_at(2_000)).await.unwrap();
        assert_eq!(part(&first, 1)["list"], json!([990, { "exp": 1_050 }]));
        assert_eq!(part(&second, 1)["list"], json!([1_990, { "exp": 2_050 }]));
        assert_eq!(part(&first, 1)["text"], "{now} {{", "a literal brace stays one");
        assert_ne!(part(&first, 1)["id"], part(&second, 1)["id"]);
        assert_ne!(part(&first, 0)["nonce"], part(&second, 0)["nonce"]);
        assert_eq!(part(&first, 0).get("left_out"), None);
        let names: Vec<_> = template.claim_names().collect();
        assert_eq!(names, ["text", "id", "list", "iat", "exp", "jti"]);
        assert!(format!("{template:?}").contains("nonce"));
    }

    /// Writes a new P-256 key, and returns its public key as `SubjectPublicKeyInfo`.
    fn new_key(path: &Path) -> Vec<u8> {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        fs::write(path, pair.serialize_pem()).unwrap();
        pair.subject_public_key_info()
    }

    #[tokio::test]
    async fn l56_a_fingerprint_in_the_claims_follows_the_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        let mut public = new_key(&path);
        let template = JwtTemplate::builder(SigningKey::from_file(Algorithm::ES256, &path).unwrap())
            .computed("iss", |cx| Ok(format!("ACCOUNT.USER.SHA256:{}", cx.public_key_sha256()?.base64())))
            .computed_header("fingerprint", |cx| Ok(cx.public_key_sha256()?.hex()))
            .build()
            .unwrap();
        for round in 0..4 {
            let jwt = template.sign(&platform_at(1_000)).await.unwrap();
            let sha256 = digest(&SHA256, &public);
            assert_eq!(part(&jwt, 1)["iss"], format!("ACCOUNT.USER.SHA256:{}", BASE64_STANDARD.encode(sha256)));
            let hex: String = sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(part(&jwt, 0)["fingerprint"], hex);
            let (input, signature) = jwt.secret().rsplit_once('.').unwrap();
            let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &public)
                .verify(input.as_bytes(), &signature)
                .expect("the fingerprint is that of another key");
            if round % 2 == 0 {
                public = new_key(&path);
            } else {
                // Half a key: the previous one and its fingerprint stay.
                fs::write(&path, "-----BEGIN PRIVATE KEY-----\nMIGH").unwrap();
            }
        }
    }

    /// A remote key that may provide its public half.
    struct Remote(Algorithm, Option<Vec<u8>>);

    impl Signer for Remote {
        fn algorithm(&self) -> Algorithm {
            self.0
        }

        fn public_key(&self) -> Option<Vec<u8>> {
            self.1.clone()
        }

        async fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, Error> {
            Ok(vec![7; 64])
        }
    }

    #[tokio::test]
    async fn a_remote_key_must_provide_its_public_half() {
        let with = |algorithm, public: Option<Vec<u8>>| {
            JwtTemplate::builder(SigningKey::remote(Remote(algorithm, public)))
                .computed("iss", |cx| Ok(cx.public_key_sha256()?.base64url()))
        };
        let public = key_der("p256.pub");
        let jwt = sign(with(Algorithm::ES256, Some(public.clone()))).await;
        assert_eq!(part(&jwt, 1)["iss"], BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &public)));
        for (algorithm, public, expected) in [
            (
                Algorithm::ES256,
                None,
                "computed.iss: found a remote signer that does not provide its public key; expected the public \
                 key: implement `Signer::public_key`",
            ),
            (
                Algorithm::ES256,
                Some(pem("p256.pub").into_bytes()),
                "computed.iss: found 178 bytes as the public key of the remote signer; expected `SubjectPublicKeyInfo`",
            ),
            (Algorithm::HS256, None, "computed.iss: found a shared secret, which HS256 signs with; expected a private"),
        ] {
            let problems = paths_and_problems(with(algorithm, public));
            assert!(problems.len() == 1 && problems[0].starts_with(expected), "{expected}: {problems:?}");
        }
    }

    #[test]
    fn mistakes_are_problems_before_anything_is_signed() {
        let one = |_: &SignContext| Ok("one");
        for (builder, expected) in [
            (
                builder().computed("iss", |cx| cx.public_key_sha256().map(|found| found.hex())),
                "computed.iss: found a sh",
            ),
            (builder().computed("a", |_| Err::<u8, _>(Error::new(ErrorKind::Source, "gone"))), "computed.a: gone"),
            (builder().computed("a", |_| Ok(HashMap::from([((1, 2), 3)]))), "computed.a: found a value that cannot be"),
            (
                builder().computed_header("a", |_| Err::<u8, _>(Error::new(ErrorKind::Source, "gone"))),
                "computed_header.a",
            ),
            (builder().claim("a", 1).computed("a", one), "computed.a: found the same claim among the fixed ones"),
            (builder().issuer("me").computed("iss", one), "computed.iss: found the same claim among the fixed ones"),
            (builder().computed("iss", |_| Ok("me\n")), "computed.iss: found a newline: remove it"),
            (builder().computed("aud", |_| Ok(["you", "me\n"])), "computed.aud: found a newline: remove it"),
            (builder().computed("a\n", one), "computed: found a name of 2 bytes with a control character"),
            (builder().header("a", 1).computed_header("a", one), "computed_header.a: found the same member among"),
            (builder().key_id("me").computed_header("kid", one), "computed_header.kid: found beside a key id"),
            (builder().computed_header("alg", one), "computed_header.alg: found an `alg`; expected none"),
            (builder().computed_header("typ", |_| Ok(5)), "computed_header.typ: found a number; expected a string"),
            (builder().computed_header("crit", |_| Ok(["b"])), "computed_header.crit: found \"b\", which the header"),
            (builder().computed_header("kid", |_| Ok(" ")), "computed_header.kid: found nothing but spaces"),
        ] {
            let problems = paths_and_problems(builder);
            assert!(problems.len() == 1 && problems[0].starts_with(expected), "{expected}: {problems:?}");
        }
        builder().header("crit", ["b"]).computed_header("b", one).computed_header("kid", one).build().unwrap();
    }

    #[tokio::test]
    async fn a_later_failure_names_the_member_and_keeps_its_kind() {
        let late = |cx: &SignContext| match cx.issued_at() {
            Duration::ZERO => Ok("early"),
            _ => Err(Error::new(ErrorKind::Unavailable, "gone")),
        };
        for (builder, expected) in [
            (builder().computed("a", late), "the claim `a` cannot be computed: gone"),
            (builder().computed_header("a", late), "the header member `a` cannot be computed: gone"),
        ] {
            let error = builder.build().unwrap().sign(&platform_at(1_000)).await.unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Unavailable, expected));
            assert!(error.is_transient());
        }
    }
}
