//! Where memory may be written out to: swap.

use super::Look;
use std::fs;
use std::path::Path;

/// A place that pages are written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// The device or file.
    pub name: String,
    /// How safe a page is there.
    pub kind: SwapKind,
}

/// How safe a page is in swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwapKind {
    /// Compressed memory; nothing reaches a disk.
    Memory,
    /// On an encrypted device.
    Encrypted,
    /// On a disk, as it is or nobody knows how.
    Plain,
}

/// What is in use.
pub fn swaps() -> Look<Vec<Swap>> {
    fs::read_to_string("/proc/swaps")
        .map(|text| parse(&text, is_encrypted))
        .into()
}

/// `/proc/swaps`: a heading, and a line each.
fn parse(text: &str, is_encrypted: impl Fn(&str) -> bool) -> Vec<Swap> {
    text.lines()
        .skip(1)
        .filter_map(|line| line.split_ascii_whitespace().next())
        .map(|name| Swap {
            name: name.to_owned(),
            kind: if name.starts_with("/dev/zram") {
                SwapKind::Memory
            } else if is_encrypted(name) {
                SwapKind::Encrypted
            } else {
                SwapKind::Plain
            },
        })
        .collect()
}

/// A device of dm-crypt. What lies upon one (LVM on an encrypted disk) is not recognised, and is warned about.
fn is_encrypted(name: &str) -> bool {
    let device = fs::canonicalize(name).unwrap_or_else(|_| name.into());
    let Some(device) = device.file_name() else {
        return false;
    };
    fs::read_to_string(Path::new("/sys/class/block").join(device).join("dm/uuid"))
        .is_ok_and(|uuid| uuid.starts_with("CRYPT-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_in_memory_on_encrypted_devices_and_on_disks_is_told_apart() {
        let text = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
            /dev/zram0                              partition\t4194300\t0\t100\n\
            /dev/dm-1                               partition\t4194300\t0\t-2\n\
            /swapfile                               file\t\t4194300\t0\t-3\n";
        let kinds: Vec<_> = parse(text, |name| name == "/dev/dm-1")
            .into_iter()
            .map(|swap| (swap.name, swap.kind))
            .collect();
        assert_eq!(
            kinds,
            [
                ("/dev/zram0".to_owned(), SwapKind::Memory),
                ("/dev/dm-1".to_owned(), SwapKind::Encrypted),
                ("/swapfile".to_owned(), SwapKind::Plain),
            ]
        );
        assert!(parse("Filename Type Size Used Priority\n", |_| false).is_empty());
    }
}
