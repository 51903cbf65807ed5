//! The operator's tool `farm-admin`; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // `farm-admin up` embeds the builder, whose sandbox starts this very program again.
    if let Some(code) = farm_builder::sandbox::main() {
        return code;
    }
    farm_admin::main()
}
