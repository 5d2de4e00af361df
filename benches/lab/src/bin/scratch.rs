use std::time::{Duration, Instant};
use bearer_token::{TokenProvider, jwt::{Algorithm, SigningKey}, oauth::{ClientAuth, ClientCredentials, TokenEndpoint}};
use nix::time::{ClockId, clock_gettime};
fn worked() -> Duration { clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::MAX, Duration::from) }
fn main() {
    let url = std::env::args().nth(1).unwrap();
    let watch = std::env::args().nth(2).is_some_and(|a| a == "watch");
    let pem = std::env::var("KEY").ok();
    let started = Instant::now();
    let runtime = if watch { tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap() } else { tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap() };
    runtime.block_on(async {
        let auth = match pem { None => ClientAuth::basic("id", "secret"), Some(pem) => ClientAuth::private_key_jwt("id", SigningKey::from_pem(Algorithm::ES256, pem).unwrap()) };
        let endpoint = TokenEndpoint::builder(format!("{url}/token"), ClientCredentials::new()).client_auth(auth).build().unwrap();
        let provider = TokenProvider::builder(endpoint).allow_origin(&url).build().unwrap();
        if !watch { provider.token().await.unwrap(); println!("{:.2} ms", started.elapsed().as_secs_f64() * 1e3); return; }
        let token = tokio::spawn(async move { provider.token().await });
        let (mut longest, mut last) = (Duration::ZERO, worked());
        while !token.is_finished() { tokio::task::yield_now().await; let now = worked(); longest = longest.max(now - last); last = now; }
        token.await.unwrap().unwrap();
        println!("{:.2} ms, longest poll {longest:?}", started.elapsed().as_secs_f64() * 1e3);
    });
}
