//! Says what packages are and what is wrong with them: `cargo run -p farm-rpm --example inspect -- FILE…`

use std::{env, path::PathBuf};

use farm_rpm::{Limits, ReadError, read_binary, read_source};

fn main() -> Result<(), ReadError> {
    let limits = Limits::default();
    for path in env::args_os().skip(1).map(PathBuf::from) {
        println!("{}", path.display());
        let report = read_source(&path, &limits)?;
        for problem in &report.problems {
            println!("  refused [{}]: {problem}", problem.code());
        }
        for warning in &report.warnings {
            println!("  warning [{}]: {warning}", warning.code());
        }
        match (report.package, read_binary(&path, &limits)?.package) {
            (Some(source), _) => {
                println!(
                    "  {}, {} files, {} payload of {} bytes",
                    source.nevra,
                    source.files.len(),
                    source.compression,
                    source.payload_size
                );
                source
                    .build_requires
                    .iter()
                    .filter(|needed| !needed.is_rpmlib())
                    .for_each(|needed| println!("  needs {needed}"));
            }
            (None, Some(binary)) => {
                println!("  {} from {}", binary.nevra, binary.source_rpm.as_deref().unwrap_or("nothing"))
            }
            (None, None) => {}
        }
    }
    Ok(())
}
