//! The rows that need code, with the code that they take: `examples/providers/*.rs`.

use bearer_token::{TokenProvider, platform::Platform};
use bearer_token_testing::ManualClock;
use serde_json::{Value, json};

use crate::{decoded, recorder::Recorder, run::Ones, signature::Keys};

#[path = "../../../examples/providers/google_from_aws.rs"]
#[allow(dead_code, unreachable_pub, reason = "an example for others")]
mod google_from_aws;

fn platform(clock: &ManualClock) -> Platform {
    Platform::system().with_clock(clock.clone()).with_entropy(Ones)
}

fn json_response(body: &Value) -> http::Response<bytes::Bytes> {
    http::Response::builder().header("content-type", "application/json").body(body.to_string().into()).unwrap()
}

#[tokio::test]
async fn google_takes_a_request_to_aws_as_the_subject() {
    let audience = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/aws";
    let identity = google_from_aws::CallerIdentity {
        region: "eu-west-1".to_owned(),
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: "a secret".to_owned(),
        audience: audience.to_owned(),
    };
    let recorder = Recorder::new([json_response(&json!({
        "access_token": "token-of-the-server", "token_type": "Bearer", "expires_in": 3600,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }))]);
    let endpoint = google_from_aws::token_endpoint(identity).unwrap().transport(recorder.clone()).build().unwrap();
    let clock = ManualClock::new();
    let provider = TokenProvider::builder(endpoint).platform(platform(&clock)).build().unwrap();
    assert_eq!(provider.token().await.unwrap().secret(), "token-of-the-server");

    let mut request = decoded::request(&recorder.requests()[0], &Keys::new(None));
    let subject = request["form"]["subject_token"].take();
    assert_eq!(
        request["form"],
        json!({
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "audience": audience,
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "subject_token": null,
            "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
        })
    );
    let subject: String = form_urlencoded::parse(subject.as_str().unwrap().as_bytes()).map(|(text, _)| text).collect();
    let subject: Value = serde_json::from_str(&subject).unwrap();
    assert_eq!(subject["url"], "https://sts.eu-west-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!(subject["headers"][2], json!({ "key": "x-goog-cloud-target-resource", "value": audience }));
    let authorization = subject["headers"][3]["value"].as_str().unwrap();
    assert!(authorization.contains("/sts/aws4_request, SignedHeaders=host;x-amz-date;x-goog-cloud-target-resource, "));
}
