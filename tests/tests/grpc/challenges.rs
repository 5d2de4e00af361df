//! Challenges of a gRPC server that refuses a token.

use bearer_token::{AccessToken, FetchContext};
use bearer_token_testing::ManualClock;
use tonic::Code;
use tower::Layer;

use crate::{
    echo::{Door, EchoClient, serve, text},
    support::{builder, endpoint, layer, within},
};

/// A source whose tokens name what the server asked for.
async fn tailored(cx: FetchContext) -> Result<AccessToken, bearer_token::Error> {
    let claims = cx.challenges().iter().find_map(|challenge| challenge.parameter("claims"));
    Ok(AccessToken::new(format!("token-for-{}", claims.unwrap_or("nothing"))))
}

#[tokio::test]
async fn a_source_sees_challenges_from_headers_and_trailers() {
    for in_trailers in [false, true] {
        let door = Door::default();
        door.revoke("token-for-nothing");
        if in_trailers {
            door.let_in_first();
        }
        let provider = builder(&ManualClock::new(), tailored).build().unwrap();
        let channel = endpoint(serve(door.clone(), None).await).connect_lazy();
        let mut client = EchoClient::new(layer(&provider).watch_trailers().layer(channel));
        let mut words = match within(client.repeat(text("hello"))).await {
            Ok(reply) => reply.into_inner(),
            Err(status) => {
                assert!(!in_trailers && status.code() == Code::Unauthenticated);
                within(client.say(text("hello"))).await.unwrap();
                assert_eq!(door.seen(), ["token-for-nothing", "token-for-e30="]);
                continue;
            }
        };
        assert!(in_trailers);
        within(words.message()).await.unwrap();
        assert_eq!(within(words.message()).await.unwrap_err().code(), Code::Unauthenticated);
        within(client.say(text("hello"))).await.unwrap();
        assert_eq!(door.seen(), ["token-for-nothing", "token-for-e30="]);
    }
}
