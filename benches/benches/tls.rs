//! See `lab/benches/tls.rs`.

fn main() -> std::process::ExitCode {
    benches::hand_over("tls")
}
