//! Removes releases that are kept for nothing, and the images that only they used.

use std::collections::BTreeSet;

use crate::inventory::Pool;
use crate::remote::{Output, Script};

use super::Unreadable;
use super::project::Project;
use super::release::PinnedImage;
use super::releases::Kept;

/// What will be removed on one host. Complete: the script removes this and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prunable {
    /// Ids of releases of the pool.
    pub releases: Vec<String>,
    /// `NAME@DIGEST` of images that no release that stays refers to, on this host, in either pool.
    pub images: Vec<String>,
}

/// Decides what of `pool` is kept for nothing on a host with these records: everything but its
/// current release, those in `protected`, and the `keep` newest of the others (FAULTS.md 74).
pub fn prunable(on_host: &[Kept], pool: Pool, keep: usize, protected: &BTreeSet<String>) -> Prunable {
    let mut doomed = BTreeSet::new();
    let mut order = Vec::new();
    for kept in on_host.iter().filter(|kept| kept.pool == pool) {
        let spare = |id: &str| !protected.contains(id) && kept.current.as_deref() != Some(id);
        let old = kept
            .releases
            .iter()
            .map(|r| r.id.as_str())
            .filter(|id| spare(id))
            .skip(keep);
        let torn = kept.unfinished.iter().map(String::as_str).filter(|id| spare(id));
        order.extend(old.chain(torn).map(str::to_owned));
        doomed.extend(order.iter().cloned());
    }
    let images_of = |stays: bool| -> BTreeSet<String> {
        on_host
            .iter()
            .flat_map(|kept| kept.releases.iter().map(move |release| (kept.pool, release)))
            .filter(|(of, release)| (*of == pool && doomed.contains(&release.id)) != stays)
            .flat_map(|(_, release)| release.images.iter().map(PinnedImage::pinned))
            .collect()
    };
    Prunable {
        images: images_of(false).difference(&images_of(true)).cloned().collect(),
        releases: order,
    }
}

/// Removes what [`prunable`] decided. The current release stays even if it became so meanwhile, and
/// so does an image that a container uses.
pub fn prune(project: &Project, what: &Prunable) -> Script {
    project
        .script(include_str!("prune.sh"))
        .var("RELEASES", what.releases.join("\n"))
        .var("IMAGES", what.images.join("\n"))
}

/// Reads what was removed in fact.
///
/// # Errors
/// [`Unreadable`] when the script did not come to its end.
pub fn pruned(output: &Output) -> Result<Prunable, Unreadable> {
    let (Some(releases), Some(images), Some(_)) = (
        output.section("releases"),
        output.section("images"),
        output.section("end"),
    ) else {
        return Err(Unreadable::new("what was pruned", output));
    };
    let removed = |text: &str| {
        text.lines()
            .filter_map(|line| line.strip_prefix("removed "))
            .map(str::to_owned)
            .collect()
    };
    Ok(Prunable {
        releases: removed(releases),
        images: removed(images),
    })
}

#[cfg(test)]
mod tests;
