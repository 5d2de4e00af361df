//! See `lab/benches/waiting.rs`.

fn main() -> std::process::ExitCode {
    benches::hand_over("waiting")
}
