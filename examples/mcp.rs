//! A client for a server of the Model Context Protocol: JSON-RPC over POST, with a bearer token for each request.
//!
//! `cargo run --example mcp -- https://mcp.example.com/mcp` lists the server's tools and calls the first one. Nothing
//! about authorization is done by hand: the server's metadata names the authorization server (RFC 9728), and
//! `ProtectedResource` gets the token from there, if this client trusts it. The client's registration is JSON in the
//! variable `MCP_CONFORMANCE_CONTEXT`, as the conformance suite of the protocol sets it (`tests/interop/mcp/run`).

use std::env;

use anyhow::{Context, bail, ensure};
use bearer_token::{
    TokenProvider, Value,
    jwt::{Algorithm, SigningKey},
    oauth::{
        ClientAuth, ClientCredentials, JwtBearer, ProtectedResource, StepUp, TokenEndpoint, TokenEndpointBuilder,
        TokenExchange, TokenType,
    },
};
use reqwest_bearer::{BearerMiddleware, redirect_policy};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde_json::{Value as Json, json};

const CONTEXT: &str = "MCP_CONFORMANCE_CONTEXT";

/// This client's registration at an authorization server that the MCP server names. `None` for one that is not trusted.
fn registration(context: &Json, resource: &str, issuer: &str) -> Option<TokenEndpointBuilder> {
    // A program of your own has a list here. The conformance suite starts its servers on any port of this machine.
    let uri: http::Uri = issuer.parse().ok()?;
    if !["localhost", "127.0.0.1"].contains(&uri.host()?) {
        return None;
    }
    let id = context["client_id"].as_str()?;
    if let Some(pem) = context["private_key_pem"].as_str() {
        let algorithm: Algorithm = context["signing_algorithm"].as_str()?.parse().ok()?;
        let auth = ClientAuth::private_key_jwt(id, SigningKey::from_pem(algorithm, pem).ok()?);
        return Some(TokenEndpoint::discover(issuer, ClientCredentials::new()).client_auth(auth));
    }
    let auth = ClientAuth::basic(id, context["client_secret"].as_str()?);
    let Some(idp) = context["idp_token_endpoint"].as_str() else {
        return Some(TokenEndpoint::discover(issuer, ClientCredentials::new()).client_auth(auth));
    };
    // The employer's identity provider exchanges the user's ID token for a grant at the MCP server's own authorization
    // server (ID-JAG).
    let exchange = TokenExchange::new(Value::env(CONTEXT).member("/idp_id_token"), TokenType::ID_TOKEN)
        .requested_token_type(TokenType::ID_JAG)
        .audience(Value::from(issuer))
        .resource(Value::from(resource));
    let idp = TokenEndpoint::builder(idp, exchange).client_auth(ClientAuth::public(context["idp_client_id"].as_str()?));
    let grant = TokenProvider::builder(idp.build().ok()?).name("identity provider").build().ok()?;
    Some(TokenEndpoint::discover(issuer, JwtBearer::from_value(Value::token_of(grant))).client_auth(auth))
}

/// One request, and the result in its response: JSON, or an event stream with one message.
async fn call(client: &ClientWithMiddleware, url: &str, message: &Json) -> anyhow::Result<Json> {
    let request = client.post(url).header("accept", "application/json, text/event-stream").json(message);
    let response = request.header("mcp-protocol-version", "2025-11-25").send().await?;
    let status = response.status();
    ensure!(status.is_success(), "{} failed: {status}", message["method"]);
    let text = response.text().await?;
    let line = text.lines().find_map(|line| line.strip_prefix("data:")).unwrap_or(&text);
    if line.trim().is_empty() {
        // Notifications have no response.
        return Ok(Json::Null);
    }
    let reply: Json = serde_json::from_str(line).context("the response is not JSON")?;
    match reply.get("error") {
        Some(error) => bail!("{} failed: {error}", message["method"]),
        None => Ok(reply["result"].clone()),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = env::args().nth(1).context("usage: mcp https://mcp.example.com/mcp")?;
    let context: Json = env::var(CONTEXT).map_or(Ok(Json::Null), |text| serde_json::from_str(&text))?;

    let resource = url.clone();
    let source = ProtectedResource::builder(url.as_str())
        .authorization_servers(move |issuer| registration(&context, &resource, issuer))
        .request_supported_scopes()
        .step_up(StepUp::at_most(3))
        .build()?;
    let provider = TokenProvider::builder(source).allow_origin(origin(&url)?).build()?;
    let bearers = BearerMiddleware::new(provider).replay_once();
    let reqwest = reqwest::Client::builder().redirect(bearers.watch_redirects(redirect_policy())).no_proxy().build()?;
    let client = ClientBuilder::new(reqwest).with(bearers).build();

    let hello =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "mcp", "version": "1"}});
    let server =
        call(&client, &url, &json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello})).await?;
    println!("connected to {}", server["serverInfo"]["name"]);
    call(&client, &url, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await?;
    let found = call(&client, &url, &json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})).await?;
    let Some(tool) = found["tools"].get(0) else { return Ok(()) };
    println!("the first tool is {}", tool["name"]);
    let arguments = json!({"name": tool["name"], "arguments": {}});
    call(&client, &url, &json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": arguments})).await?;
    println!("called it");
    Ok(())
}

/// The origin of a URL.
fn origin(url: &str) -> anyhow::Result<String> {
    let uri: http::Uri = url.parse()?;
    Ok(format!("{}://{}", uri.scheme_str().context("no scheme")?, uri.authority().context("no host")?))
}
