//! See `lab/benches/contention.rs`.

fn main() -> std::process::ExitCode {
    benches::hand_over("contention")
}
