//! What this machine has: processors, memory, and where we are on it.

use camino::Utf8PathBuf;

use crate::error::{Failure, Result};

/// Processors that this process may use; 1 where nobody can tell.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// This machine's own system in Nix's words, such as `x86_64-linux` or `aarch64-darwin`:
/// that of this program, without asking Nix.
pub fn system() -> String {
    let arch = match std::env::consts::ARCH {
        "x86" => "i686",
        "arm" => "armv7l",
        "powerpc64" if cfg!(target_endian = "little") => "powerpc64le",
        other => other,
    };
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    format!("{arch}-{os}")
}

/// Whether there is a network device of this name; no where nobody can tell.
pub fn has_device(name: &str) -> bool {
    std::path::Path::new("/sys/class/net").join(name).exists()
}

/// The directory that we were started in.
///
/// # Errors
/// When it is gone, or its name is not UTF-8 (exit 2).
pub fn current_dir() -> Result<Utf8PathBuf> {
    let dir = std::env::current_dir().map_err(|e| {
        Failure::usage(format!("cannot tell the current directory: {e}")).help("change to another one")
    })?;
    Utf8PathBuf::from_path_buf(dir).map_err(|dir| {
        Failure::usage(format!("the current directory's name is not UTF-8: {}", dir.display()))
    })
}

/// Bytes of memory that can be had without swapping; `None` where nobody can tell
/// (systems without `/proc`).
pub fn memory_available() -> Option<u64> {
    parse_available(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// The line `MemAvailable:   24097124 kB`.
fn parse_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_in_the_words_of_nix() {
        let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
        if (arch, os) == ("x86_64", "linux") {
            assert_eq!(system(), "x86_64-linux");
        }
        assert!(!system().contains("macos") && system().matches('-').count() == 1);
    }

    #[test]
    fn reads_meminfo() {
        assert_eq!(parse_available("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(parse_available("MemTotal: 9 kB\n"), None);
        assert_eq!(parse_available("MemAvailable: x"), None);
    }
}
