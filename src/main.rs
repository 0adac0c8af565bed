//! The binary: everything is in the library.

use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let before = delsert::cli::children();
    // One provider for all TLS; a second install could only come from a dependency, with the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start");
            return ExitCode::from(75);
        }
    };
    let code = runtime.block_on(delsert::cli::main());
    // What hangs in a name look-up or a write must not hold the process.
    runtime.shutdown_timeout(Duration::from_millis(500));
    delsert::cli::end_children(&before);
    ExitCode::from(code)
}
