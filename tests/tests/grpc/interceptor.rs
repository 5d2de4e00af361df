//! The documented recipe for clients that must use an interceptor.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bearer_token::{Authorized, Destination, Error, ErrorKind, TokenProvider};
use bearer_token_testing::Outcome;
use tonic::{
    Code, Request, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

use crate::{
    echo::{EchoClient, text},
    support::{Setup, until, within},
};

fn as_status(error: &Error) -> Status {
    Status::new(Code::from(error.grpc_code()), error.to_string())
}

#[derive(Clone)]
struct Bearers(TokenProvider);

impl Interceptor for Bearers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let to = Destination::new("http", "127.0.0.1");
        let headers = request.metadata_mut().as_mut();
        if self.0.authorize_headers(to, headers).map_err(|error| as_status(&error))? == Authorized::NotReady {
            match pin!(self.0.token()).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(bearer) => {
                    bearer.map_err(|error| as_status(&error))?.attach(headers);
                }
                Poll::Pending => return Err(Status::unavailable("the token is being fetched; try again")),
            }
        }
        Ok(request)
    }
}

fn client(setup: &Setup) -> EchoClient<InterceptedService<Channel, Bearers>> {
    EchoClient::with_interceptor(setup.channel(), Bearers(setup.provider.clone()))
}

#[tokio::test]
async fn a_warm_interceptor_serves_and_refreshes_in_the_background() {
    let setup = Setup::start().await;
    let mut client = client(&setup);
    within(setup.provider.token()).await.unwrap();
    within(client.say(text("hello"))).await.unwrap();

    setup.clock.advance(Duration::from_secs(3000));
    let gate = setup.source.hold();
    within(client.say(text("stale"))).await.unwrap();
    within(setup.source.wait_for_fetches(2)).await;
    within(client.say(text("stale, and no call waits"))).await.unwrap();
    gate.release();
    within(until(|| setup.provider.cached().is_some_and(|bearer| bearer.secret() == "token-2"))).await;
    within(client.say(text("hello"))).await.unwrap();
    assert_eq!(setup.door.seen(), ["token-1", "token-1", "token-1", "token-2"]);
}

#[tokio::test]
async fn a_cold_interceptor_refuses_and_fetches_for_the_next() {
    let setup = Setup::start().await;
    let mut client = client(&setup);
    let gate = setup.source.hold();
    for _ in 0..3 {
        let status = within(client.say(text("hello"))).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
    }
    within(setup.source.wait_for_fetches(1)).await;
    gate.release();
    within(setup.provider.token()).await.unwrap();
    within(client.say(text("hello"))).await.unwrap();
    assert_eq!(setup.door.seen(), ["token-1"]);
    assert_eq!(setup.source.count().started, 1);
}

#[tokio::test]
async fn an_interceptor_reports_the_error_during_the_cool_down() {
    let setup = Setup::start().await;
    setup.source.push(Outcome::error(Error::new(ErrorKind::Refused, "the authorization server refused the client")));
    within(setup.provider.token()).await.unwrap_err();
    let status = within(client(&setup).say(text("hello"))).await.unwrap_err();
    // tonic turns the status into a response, which would lose its source.
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unauthenticated, "the authorization server refused the client")
    );
    assert!(setup.door.seen().is_empty());
}

#[tokio::test]
async fn rejections_are_reported_with_the_ticket_noted_before() {
    let setup = Setup::start().await;
    let mut client = client(&setup);
    within(setup.provider.token()).await.unwrap();
    setup.door.revoke("token-1");

    let ticket = setup.provider.cached().map(|bearer| bearer.ticket());
    let status = within(client.say(text("hello"))).await.unwrap_err();
    if let (Code::Unauthenticated, Some(ticket)) = (status.code(), ticket) {
        assert!(setup.provider.reject(ticket, status.metadata().as_ref()).is_replay_useful());
    }
    within(setup.provider.token()).await.unwrap();
    within(client.say(text("hello"))).await.unwrap();
    assert_eq!(setup.door.seen(), ["token-1", "token-2"]);
}
