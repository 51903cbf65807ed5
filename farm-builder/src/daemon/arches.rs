//! Which architectures this host can build for.

use std::{
    io::{self, Write as _},
    os::fd::AsRawFd as _,
    process::{Command, Stdio},
};

use rustix::fs::{MemfdFlags, memfd_create};

/// The smallest program of an i386 Linux: it ends with 0. An ELF header, one segment, and `mov eax, 1; xor ebx, ebx; int 0x80`.
const PROGRAM: [u8; 93] = [
    0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, // 32 bits, little endian
    2, 0, 3, 0, 1, 0, 0, 0, 0x54, 0x80, 0x04, 0x08, 52, 0, 0, 0, // executable, i386, entry, segments at 52
    0, 0, 0, 0, 0, 0, 0, 0, 52, 0, 32, 0, 1, 0, 0, 0, 0, 0, 0, 0, // sizes of headers, one segment
    1, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x80, 0x04, 0x08, 0x00, 0x80, 0x04, 0x08, // load at 0x8048000
    93, 0, 0, 0, 93, 0, 0, 0, 5, 0, 0, 0, 0, 0x10, 0, 0, // all of it, to read and run
    0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80,
];

/// The native one first; on an x86_64 whose kernel runs programs of 32 bits, i686 as well.
pub fn of_this_host() -> Vec<String> {
    let native = rustix::system::uname().machine().to_string_lossy().into_owned();
    let narrow = (native == "x86_64" && runs_32_bits().unwrap_or(false)).then(|| "i686".to_owned());
    [native].into_iter().chain(narrow).collect()
}

/// Found out by running one.
fn runs_32_bits() -> io::Result<bool> {
    let file = std::fs::File::from(memfd_create("farm-32-bits", MemfdFlags::CLOEXEC)?);
    (&file).write_all(&PROGRAM)?;
    let mut command = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
    Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_of_itself_is_what_a_program_shows() {
        // There only if the kernel was built to run programs of 32 bits, unless it was told not to at its start.
        let can = std::path::Path::new("/proc/sys/abi/vsyscall32").exists()
            && !std::fs::read_to_string("/proc/cmdline").unwrap().contains("ia32_emulation=0");
        assert_eq!(runs_32_bits().unwrap_or(false), can);
        let expected: &[&str] = if can { &["x86_64", "i686"] } else { &["x86_64"] };
        assert_eq!(of_this_host(), expected, "this test knows x86_64 only");
    }
}
