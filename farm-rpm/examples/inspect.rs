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
        let Some(source) = report.package else {
            if let Some(binary) = read_binary(&path, &limits)?.package {
                println!("  {} from {}", binary.nevra, binary.source_rpm.as_deref().unwrap_or("nothing"));
            }
            continue;
        };
        let (files, packing, size) = (source.files.len(), source.compression, source.payload_size);
        println!("  {}, {files} files, {packing} payload of {size} bytes", source.nevra);
        for needed in source.build_requires.iter().filter(|needed| !needed.is_rpmlib()) {
            println!("  needs {needed}");
        }
    }
    Ok(())
}
