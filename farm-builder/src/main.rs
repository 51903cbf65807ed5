//! The builder.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = farm_builder::sandbox::main() {
        return code;
    }
    eprintln!("farm-builder: the daemon is not there yet");
    ExitCode::from(2)
}
