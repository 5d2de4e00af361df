//! The spans of a fetch in OpenTelemetry, with the crates that export them: the authorization server is told of them in
//! `traceparent` (W3C Trace Context), so that its own spans become their children.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::sync::{Arc, Mutex};

use bearer_token::{
    Error, TokenProvider,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
    transport::Transport,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use opentelemetry::{
    KeyValue,
    propagation::{Injector, TextMapPropagator},
    trace::{SpanKind, TracerProvider},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    propagation::TraceContextPropagator,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

/// Keeps the spans that have ended.
#[derive(Clone, Debug, Default)]
struct Spans(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Spans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// As `opentelemetry-http` has it.
struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(HeaderName::try_from(key).unwrap(), HeaderValue::try_from(value).unwrap());
    }
}

fn inject(headers: &mut HeaderMap) {
    let context = tracing::Span::current().context();
    TraceContextPropagator::new().inject_context(&context, &mut Headers(headers));
}

/// An authorization server that keeps the headers of its requests.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Vec<HeaderMap>>>);

impl Transport for Server {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        self.0.lock().unwrap().push(request.headers().clone());
        let body = r#"{"access_token":"planted-token","token_type":"Bearer","expires_in":600}"#;
        Ok(Response::new(Bytes::from_static(body.as_bytes())))
    }
}

#[tokio::test]
async fn the_authorization_server_gets_the_span_of_its_request() {
    let spans = Spans::default();
    let exporting = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(exporting.tracer("tests"));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));

    let server = Server::default();
    let endpoint = TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new())
        .client_auth(ClientAuth::basic("id", "planted-secret"))
        .trace_context(inject)
        .transport(server.clone())
        .build()
        .unwrap();
    let provider =
        TokenProvider::builder(endpoint).allow_origin("https://api.example.com").name("billing").build().unwrap();
    let call = tracing::info_span!("call");
    provider.token().instrument(call.clone()).await.unwrap();
    drop(call);
    exporting.force_flush().unwrap();

    let spans = spans.0.lock().unwrap();
    let named = |name: &str| {
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name:?} among {spans:?}"))
    };
    let (fetch, request) = (named("fetch"), named("POST"));
    let headers = server.0.lock().unwrap();
    let [headers] = &headers[..] else { panic!("one request: {headers:?}") };
    // version, trace, parent, flags
    let expected = format!("00-{}-{}-01", request.span_context.trace_id(), request.span_context.span_id());
    assert_eq!(headers["traceparent"], expected);
    assert_eq!(request.parent_span_id, fetch.span_context.span_id(), "the request belongs to the fetch");
    assert_eq!(request.span_context.trace_id(), fetch.span_context.trace_id());
    assert_eq!(request.span_kind, SpanKind::Client);
    for attribute in [
        KeyValue::new("http.request.method", "POST"),
        KeyValue::new("server.address", "as.example.com"),
        KeyValue::new("server.port", 443),
        KeyValue::new("http.response.status_code", 200),
    ] {
        assert!(request.attributes.contains(&attribute), "{attribute:?} among {:?}", request.attributes);
    }
    assert!(fetch.attributes.contains(&KeyValue::new("provider", "billing")), "{:?}", fetch.attributes);
    assert!(!format!("{spans:?}").contains("planted"), "no secret");
}

#[tokio::test]
async fn without_a_function_the_server_learns_nothing_of_traces() {
    let exporting = SdkTracerProvider::builder().with_simple_exporter(Spans::default()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(exporting.tracer("tests"));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let server = Server::default();
    let endpoint = TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new())
        .client_auth(ClientAuth::basic("id", "secret"))
        .transport(server.clone())
        .build()
        .unwrap();
    let provider = TokenProvider::builder(endpoint).allow_origin("https://api.example.com").build().unwrap();
    provider.token().await.unwrap();
    assert!(!server.0.lock().unwrap()[0].contains_key("traceparent"));
}
