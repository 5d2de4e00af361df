//! See `lab/benches/recovery.rs`.

fn main() -> std::process::ExitCode {
    benches::hand_over("recovery")
}
