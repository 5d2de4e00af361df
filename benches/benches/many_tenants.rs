//! See `lab/benches/many_tenants.rs`.

fn main() -> std::process::ExitCode {
    benches::hand_over("many_tenants")
}
