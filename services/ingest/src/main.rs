//! The binary `goalpost-ingest`.

fn main() -> std::process::ExitCode {
    goalpost_ingest::main()
}
