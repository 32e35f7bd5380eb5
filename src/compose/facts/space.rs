//! Free room on a file system.

/// Free room on the file system that holds a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Free bytes for this user.
    pub bytes: u64,
    /// Free inodes; `None` where the file system makes them as it goes (btrfs).
    pub inodes: Option<u64>,
}

impl Space {
    /// Reads the last lines of `df -Pk` and `df -Pi`.
    pub(super) fn read(text: &str) -> Option<Space> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let kilobytes = free(lines.next()?)?.1;
        let inodes = lines
            .next()
            .and_then(free)
            .and_then(|(total, free)| (total > 0).then_some(free));
        Some(Space {
            bytes: kilobytes.saturating_mul(1024),
            inodes,
        })
    }
}

/// Total and free of `DEVICE TOTAL USED FREE USE% MOUNT`. Device and mount may hold spaces, so the
/// use in percent (`-` where it has no meaning), after three numbers, is what is looked for.
fn free(line: &str) -> Option<(u64, u64)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.windows(4).find_map(|w| {
        let numbers: Option<Vec<u64>> = w[..3].iter().map(|n| n.parse().ok()).collect();
        match numbers?[..] {
            [total, _, free] if w[3].ends_with('%') || w[3] == "-" => Some((total, free)),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::Space;

    #[test]
    fn reads_df() {
        let text = "/dev/vda1  103081248 60000000 43081248  59% /var/lib/docker\n/dev/vda1 6553600 400000 6153600 7% /\n";
        assert_eq!(
            Space::read(text),
            Some(Space {
                bytes: 43_081_248 * 1024,
                inodes: Some(6_153_600)
            })
        );
    }

    #[test]
    fn a_file_system_without_inodes_has_none() {
        let text = "//nas/my share 10 4 6 40% /mnt/a b\n/dev/sdb 0 0 0 - /mnt\n";
        assert_eq!(
            Space::read(text),
            Some(Space {
                bytes: 6 * 1024,
                inodes: None
            })
        );
        assert_eq!(Space::read("df: nothing here\n"), None);
    }
}
