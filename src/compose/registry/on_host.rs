//! For registries that only the servers reach: one server pulls the tag, and says what that was.

use super::reference::{Digest, Reference};
use crate::compose::project::Project;
use crate::compose::pull::{self, PullError};
use crate::inventory::Registry;
use crate::remote::{Output, Script};

/// What a tag was when one server pulled it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnHost {
    /// The digest for all servers.
    pub digest: Digest,
    /// The architecture of that server's image.
    pub arch: String,
}

/// Pulls `image` by its tag, with the inventory's login. This changes the host (by an image), so it
/// goes under the guard.
pub fn resolve_on_host(project: &Project, image: &Reference, registry: Option<&Registry>) -> Script {
    let body = concat!(include_str!("../login.sh"), include_str!("on_host.sh"));
    pull::with_login(project.script(body), registry).var("IMAGE", image.to_string())
}

/// Reads which digest the tag was.
///
/// # Errors
/// [`PullError`]; also when the image has no digest of that repository, having been built there.
pub fn resolved_on_host(output: &Output, image: &Reference) -> Result<OnHost, PullError> {
    if let Some(error) = pull::failure(output) {
        return Err(error);
    }
    // Docker leaves out its own registry's name.
    let short = image.name();
    let short = short.strip_prefix("docker.io/").unwrap_or(&short);
    let short = short.strip_prefix("library/").unwrap_or(short);
    let digest = output
        .section("digests")
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| line.trim().split_once('@'))
        .find(|(name, _)| *name == short || *name == image.name())
        .and_then(|(_, digest)| Digest::parse(digest));
    match (digest, output.section("architecture").map(str::trim)) {
        (Some(digest), Some(arch)) if !arch.is_empty() => Ok(OnHost {
            digest,
            arch: arch.to_owned(),
        }),
        _ => Err(pull::unreadable(&format!("pull {image}"), output)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::testing::{program, project, run, with_path};

    fn go(image: &str, docker: &str) -> Result<OnHost, PullError> {
        let dir = tempfile::tempdir().expect("a folder");
        program(&dir.path().join("bin"), "docker", docker);
        let image: Reference = image.parse().expect("a name");
        let script = resolve_on_host(&project(dir.path()), &image, None);
        let script = with_path(script, &dir.path().join("bin"))
            .export("XDG_RUNTIME_DIR", dir.path().to_str().expect("a path"));
        resolved_on_host(&run(&script), &image)
    }

    #[test]
    fn the_digest_of_this_repository_counts() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        for (image, listed) in [
            ("r:5000/shop:v1", "r:5000/shop"),
            ("nginx:1", "nginx"),
            ("team/x", "team/x"),
        ] {
            let docker = format!(
                r#"case "$*" in pull*) ;; *RepoDigests*) echo other/shop@sha256:{b}; echo {listed}@sha256:{a}; echo ;; *) echo arm64 ;; esac"#
            );
            let found = go(image, &docker).expect("resolved");
            assert_eq!(found.digest.as_str(), format!("sha256:{a}"));
            assert_eq!(found.arch, "arm64");
        }
    }

    #[test]
    fn a_failed_pull_is_told_and_no_digest_is_no_answer() {
        let error = go("r/x:v1", "echo 'manifest unknown' >&2; exit 1").expect_err("failed");
        assert_eq!(error.failure, pull::PullFailure::NotFound);
        assert!(go("r/x:v1", "echo").is_err());
    }
}
