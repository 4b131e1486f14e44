//! What the system says of a process: memory, open files, time on the processors. Nothing, where it says nothing.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door to what the system says of this process"
)]

use std::path::Path;

/// Linux counts time on the processors in so many parts of a second, whatever its own clock.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process, now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    pub resident_bytes: Option<u64>,
    pub virtual_bytes: Option<u64>,
    pub open_files: Option<u64>,
    pub open_files_max: Option<u64>,
    pub processor_seconds: Option<f64>,
    pub threads: Option<u64>,
}

/// This process.
pub fn look() -> Process {
    look_into(Path::new("/proc/self"))
}

/// The process of this number.
pub fn look_at(pid: u32) -> Process {
    look_into(&Path::new("/proc").join(pid.to_string()))
}

fn look_into(folder: &Path) -> Process {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let status = read("status").unwrap_or_default();
    let kibibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let limits = read("limits").unwrap_or_default();
    let files_max = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    // The name, in parentheses, may hold anything.
    let stat = read("stat").unwrap_or_default();
    let numbers: Vec<u64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .map(|word| word.parse().unwrap_or(0))
        .collect();
    let ticks = numbers.get(10).zip(numbers.get(11)).map(|(user, system)| user + system);
    Process {
        virtual_bytes: kibibytes("VmSize:").map(|kib| kib << 10),
        resident_bytes: kibibytes("VmRSS:").map(|kib| kib << 10),
        open_files: std::fs::read_dir(folder.join("fd"))
            .ok()
            // One of them is this folder itself, where it is looked at from inside.
            .map(|files| (files.count() as u64).saturating_sub(1)),
        open_files_max: files_max.and_then(|line| line.split_whitespace().next()?.parse().ok()),
        processor_seconds: ticks.map(|ticks| ticks as f64 / TICKS_PER_SECOND),
        threads: numbers.get(16).copied(),
    }
}

/// The bytes of the file at `path`.
pub fn file_bytes(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_has_memory_files_and_threads() {
        let process = look();
        assert!(process.resident_bytes.unwrap() > 1 << 20, "{process:?}");
        assert!(process.virtual_bytes >= process.resident_bytes, "{process:?}");
        assert!((1..1_000_000).contains(&process.open_files.unwrap()), "{process:?}");
        assert!(process.threads.unwrap() >= 1, "{process:?}");
        assert!(process.processor_seconds.unwrap() < 1e6, "{process:?}");
    }
}
