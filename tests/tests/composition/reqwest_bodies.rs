//! Bodies under our middleware: multipart, streams, compressed responses.

use http_body_util::BodyExt;
use reqwest::multipart;
use reqwest_bearer::BearerMiddleware;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

use crate::support::{Body, Setup, reqwest, within, zipped};

fn client(setup: &Setup) -> ClientWithMiddleware {
    let bearer = BearerMiddleware::new(setup.provider.clone());
    ClientBuilder::new(reqwest().build().unwrap()).with(bearer).build()
}

#[tokio::test]
async fn multipart_is_sent_whole_after_a_token_wait() {
    let setup = Setup::cold();
    let form = multipart::Form::new().text("name", "report").part("file", multipart::Part::bytes(b"1;2;3".as_slice()));
    let reply = within(client(&setup).post(setup.url("/files")).multipart(form).send()).await.unwrap();
    assert_eq!(reply.status(), 200);
    let sent = setup.api_requests();
    let body = String::from_utf8_lossy(sent[0].body());
    assert!(body.contains("name=\"name\"") && body.contains("report") && body.contains("1;2;3"), "{body}");
    assert!(sent[0].header("content-type").unwrap().starts_with("multipart/form-data"));
}

#[tokio::test]
async fn a_streamed_body_is_untouched_until_the_token_arrives() {
    let setup = Setup::cold();
    let body = reqwest::Body::wrap_stream(Body::from("a long report").into_data_stream());
    let reply = within(client(&setup).post(setup.url("/files")).body(body).send()).await.unwrap();
    assert_eq!(reply.status(), 200);
    assert_eq!(&setup.api_requests()[0].body()[..], b"a long report");
}

#[tokio::test]
async fn a_response_can_be_read_as_a_stream() {
    let setup = Setup::warm().await;
    let mut reply = within(client(&setup).get(setup.url("/files")).send()).await.unwrap();
    let mut length = 0;
    while let Some(chunk) = within(reply.chunk()).await.unwrap() {
        length += chunk.len();
    }
    assert!(length > 0);
}

#[tokio::test]
async fn reqwest_decompresses_responses_of_the_api() {
    let setup = Setup::warm().await;
    setup.server.api().next(zipped(bearer_token_testing::Fault::status(200)));
    let reply = within(client(&setup).get(setup.url("/orders")).send()).await.unwrap();
    assert_eq!(within(reply.text()).await.unwrap(), "a response");
    let sent = setup.api_requests();
    assert_eq!(sent[0].header("accept-encoding"), Some("gzip"));
    assert_eq!(sent[0].header("authorization").map(str::to_owned), setup.in_service());
}
