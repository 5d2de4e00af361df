//! See `lab/benches/end_to_end.rs`.

fn main() -> std::process::ExitCode {
    benches::hand_over("end_to_end")
}
