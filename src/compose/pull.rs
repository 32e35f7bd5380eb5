//! Pulls a release's images onto a host, by digest, with a login that leaves nothing behind.

mod error;

use std::time::Duration;

use secrecy::ExposeSecret as _;

use crate::inventory::Registry;
use crate::remote::{Output, Script};

use super::excerpt;
use super::project::Project;
use super::release::PinnedImage;
use super::stage::{Bundle, stage_body, with_bundle};

pub use error::{PullError, PullFailure};

/// How one image came to be on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// `NAME@DIGEST`.
    pub image: String,
    /// Whether it was there already.
    pub was_present: bool,
}

/// Pulls the images that the host does not have yet. A pull by which no byte arrives for `stall` (whole seconds, at
/// least one) is ended.
pub fn pull(
    project: &Project,
    images: &[PinnedImage],
    registry: Option<&Registry>,
    stall: Duration,
) -> Script {
    let body = concat!(include_str!("login.sh"), include_str!("pull.sh"), "\npull\n");
    with_login(project.script(body), registry)
        .var("IMAGES", list(images))
        .var("STALL", stall.as_secs().max(1).to_string())
}

/// Writes the release's folder, then pulls its images, in one round trip.
pub fn stage_and_pull(
    project: &Project,
    bundle: &Bundle<'_>,
    registry: Option<&Registry>,
    stall: Duration,
) -> Script {
    let body = concat!(
        stage_body!(),
        include_str!("login.sh"),
        include_str!("pull.sh"),
        "\npull\n"
    );
    with_login(with_bundle(project.script(body), bundle), registry)
        .var("IMAGES", list(&bundle.release.images))
        .var("STALL", stall.as_secs().max(1).to_string())
}

/// Gives a script what login.sh needs; the password goes by standard input all the way.
pub(super) fn with_login(script: Script, registry: Option<&Registry>) -> Script {
    let login = registry.and_then(|r| Some((r, r.username.as_ref()?, r.password.as_ref()?)));
    match login {
        Some((registry, username, password)) => script
            .var("SERVER", &registry.server)
            .var("USERNAME", username)
            .file("password_file", password.expose_secret()),
        None => script
            .var("SERVER", "")
            .var("USERNAME", "")
            .file("password_file", ""),
    }
}

fn list(images: &[PinnedImage]) -> String {
    let mut names: Vec<String> = images.iter().map(PinnedImage::pinned).collect();
    // Two services often share an image.
    names.sort();
    names.dedup();
    names.join("\n")
}

/// Reads how pulling ended: one element an image.
///
/// # Errors
/// [`PullError`] with the image, or the login, that failed.
pub fn pulled(output: &Output) -> Result<Vec<Pulled>, PullError> {
    if let Some(error) = failure(output) {
        return Err(error);
    }
    let (Some(text), Some(_)) = (output.section("pulled"), output.section("end")) else {
        return Err(unreadable("pull", output));
    };
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(how, image)| Pulled {
            image: image.to_owned(),
            was_present: how == "present",
        })
        .collect())
}

/// The script ended before it could say what failed.
pub(super) fn unreadable(what: &str, output: &Output) -> PullError {
    let said = excerpt(output);
    // What `timeout` answers for a script that it ended, and a shell for the signal that it sends.
    if matches!(output.code, 124 | 143) {
        return PullError::new(what, PullFailure::Late, "not done".to_owned());
    }
    PullError::new(what, PullFailure::of(&said), said)
}

/// What the section `failed` tells.
pub(super) fn failure(output: &Output) -> Option<PullError> {
    let (what, said) = output.section("failed")?.split_once('\n')?;
    let said = if said.trim().is_empty() {
        excerpt(output)
    } else {
        said.trim().to_owned()
    };
    Some(PullError::new(what.trim(), PullFailure::of(&said), said))
}

#[cfg(test)]
mod tests;
