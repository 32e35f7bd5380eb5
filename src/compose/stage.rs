//! Writes a release's folder on a host: all of it, durably, and never through somebody's link.

use crate::remote::{Output, Script};

use super::project::Project;
use super::release::{Release, sha256_hex};
use super::{Unreadable, excerpt};

/// The bytes of a release. The env file is secret.
#[derive(Clone, Copy)]
pub struct Bundle<'a> {
    /// The release.
    pub release: &'a Release,
    /// The user's Compose file.
    pub compose_file: &'a [u8],
    /// The env file, if the app has one.
    pub env_file: Option<&'a [u8]>,
    /// What [`super::overlay::overlay`] made.
    pub overlay: &'a str,
}

/// Why a release's folder was not written. What was written before stays unfinished, without
/// `release.json`, and nothing runs from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StageError {
    /// A symbolic link stands where a file or folder of ours should.
    #[error("{0} is a symbolic link; expected a file or folder that pointsman made")]
    Symlink(String),
    /// A folder stands where a file of ours should.
    #[error("{0} is a folder; expected a file that pointsman made")]
    Folder(String),
    /// What was read back is not what was sent.
    #[error("{path} arrived damaged: expected SHA-256 {expected}, found {found}")]
    Checksum {
        /// The file.
        path: String,
        /// What was sent.
        expected: String,
        /// What was read back.
        found: String,
    },
    /// The disk is full, or a quota is used up.
    #[error("no space left for the release's files: {0}")]
    NoSpace(String),
    /// Anything else, in the host's words.
    #[error("the release's files could not be written: {0}")]
    Other(String),
}

impl StageError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            StageError::Symlink(_) | StageError::Folder(_) => "look who put it there, and remove it",
            StageError::Checksum { .. } => {
                "deploy again; if it comes back, look at the server's disk and memory"
            }
            StageError::NoSpace(_) => "`pointsman prune`, or make room there",
            StageError::Other(_) => "is `app.path` a folder that the deploy user may write to?",
        }
    }
}

/// The folder is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Whether all of it was there already.
    pub unchanged: bool,
}

/// stage.sh with its call.
macro_rules! stage_body {
    () => {
        concat!(include_str!("stage.sh"), "\nstage\n")
    };
}
pub(super) use stage_body;

/// Writes the release's folder.
pub fn stage(project: &Project, bundle: &Bundle<'_>) -> Script {
    with_bundle(project.script(concat!(stage_body!(), "section end\n")), bundle)
}

/// Gives a script what stage.sh needs.
pub(super) fn with_bundle(script: Script, bundle: &Bundle<'_>) -> Script {
    // A release holds nothing that JSON cannot say; an empty record would be refused by its reader.
    let record = serde_json::to_vec_pretty(bundle.release).unwrap_or_default();
    let env = bundle.env_file.unwrap_or_default();
    script
        .var("RELEASE", &bundle.release.id)
        .var("HAS_ENV", if bundle.env_file.is_some() { "1" } else { "0" })
        .var("ENV_SHA", sha256_hex(env))
        .var("COMPOSE_SHA", sha256_hex(bundle.compose_file))
        .var("OVERLAY_SHA", sha256_hex(bundle.overlay.as_bytes()))
        .var("RECORD_SHA", sha256_hex(&record))
        .file("env_file", env)
        .file("compose_file", bundle.compose_file)
        .file("overlay_file", bundle.overlay)
        .file("record_file", record)
}

/// Reads how staging ended.
///
/// # Errors
/// [`StageError`].
pub fn staged(output: &Output) -> Result<Staged, StageError> {
    if let Some(refused) = output.section("refused") {
        return Err(refusal(refused.trim()).unwrap_or_else(|| StageError::Other(excerpt(output))));
    }
    match output.section("staged") {
        Some(files) if files.contains(" release.json") => Ok(Staged {
            unchanged: !files.contains("written "),
        }),
        _ if no_space(&output.stderr) => Err(StageError::NoSpace(excerpt(output))),
        _ => Err(StageError::Other(
            Unreadable::new("a written folder", output).found,
        )),
    }
}

fn refusal(line: &str) -> Option<StageError> {
    let (kind, rest) = line.split_once(' ')?;
    Some(match kind {
        "symlink" => StageError::Symlink(rest.to_owned()),
        "folder" => StageError::Folder(rest.to_owned()),
        "checksum" => {
            let mut words = rest.splitn(3, ' ');
            StageError::Checksum {
                found: words.next()?.to_owned(),
                expected: words.next()?.to_owned(),
                path: words.next()?.to_owned(),
            }
        }
        _ => return None,
    })
}

/// Whether a message is about a full disk or a used-up quota.
pub(super) fn no_space(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    [
        "no space left on device",
        "disk quota exceeded",
        "not enough space",
    ]
    .iter()
    .any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::compose::testing::{mode, program, project, run, run_text, with_path};
    use crate::inventory::Pool;

    fn release() -> Release {
        Release {
            id: "v1-20260101T000000Z-0001".into(),
            tag: "v1".into(),
            pool: Pool::Blue,
            images: Vec::new(),
            compose_sha256: String::new(),
            env_sha256: None,
            env_keys: Vec::new(),
            created_at: "2026-01-01T00:00:00Z".parse().expect("a timestamp"),
            run: "r1".into(),
            who: "ann@ci".into(),
        }
    }

    const ENV: &[u8] = b"SECRET='it''s $HOME `id` \xff\nEOF\nPM_FILE_END\n";

    fn script(state: &Path, release: &Release) -> Script {
        let bundle = Bundle {
            release,
            compose_file: b"services: {}\n",
            env_file: Some(ENV),
            overlay: "services: {}\n",
        };
        stage(&project(state), &bundle)
    }

    fn folder(state: &Path) -> PathBuf {
        state.join("blue/releases/v1-20260101T000000Z-0001")
    }

    #[test]
    fn writes_all_of_it_privately_and_knows_it_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let state = dir.path().join("with space");
        let output = run(&script(&state, &release()));
        assert_eq!(staged(&output), Ok(Staged { unchanged: false }), "{output:?}");
        assert_eq!(std::fs::read(folder(&state).join(".env")).expect("there"), ENV);
        assert_eq!(mode(&folder(&state).join(".env")), 0o600);
        assert_eq!(mode(&folder(&state)), 0o700);
        let record = std::fs::read(folder(&state).join("release.json")).expect("there");
        assert_eq!(
            serde_json::from_slice::<Release>(&record).expect("a record"),
            release()
        );

        let again = run(&script(&state, &release()));
        assert_eq!(staged(&again), Ok(Staged { unchanged: true }));
        let names = std::fs::read_dir(folder(&state)).expect("there").count();
        assert_eq!(names, 4, "no temporary file is left");
    }

    #[test]
    fn a_link_is_refused_wherever_it_stands() {
        let dir = tempfile::tempdir().expect("a folder");
        let target = dir.path().join("victim");
        std::fs::write(&target, "old").expect("written");
        let state = dir.path().join("s");
        std::fs::create_dir_all(folder(&state)).expect("made");
        symlink(&target, folder(&state).join(".env")).expect("linked");
        let error = staged(&run(&script(&state, &release()))).expect_err("refused");
        assert!(
            matches!(&error, StageError::Symlink(path) if path.ends_with("/.env")),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&target).expect("there"), "old");

        let state = dir.path().join("t");
        std::fs::create_dir_all(state.join("blue")).expect("made");
        symlink(dir.path(), state.join("blue/releases")).expect("linked");
        let error = staged(&run(&script(&state, &release()))).expect_err("refused");
        assert!(
            matches!(&error, StageError::Symlink(path) if path.ends_with("blue/releases")),
            "{error}"
        );
    }

    #[test]
    fn what_arrives_damaged_is_not_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let damaged = script(dir.path(), &release()).file("compose_file", "services: {oops}\n");
        let output = run(&damaged);
        let error = staged(&output).expect_err("refused");
        assert!(
            matches!(&error, StageError::Checksum { path, found, expected } if path.ends_with("docker-compose.yml")
                && *expected == sha256_hex(b"services: {}\n") && *found == sha256_hex(b"services: {oops}\n")),
            "{error}"
        );
        assert!(!folder(dir.path()).join("docker-compose.yml").exists());
        assert!(!folder(dir.path()).join("release.json").exists());
    }

    /// FAULTS.md 26. The script arrives up to some byte and no further, at every fifth of a kilobyte: what is there has
    /// the old content or the new one, and the record only where all of it is there. Content that went straight into
    /// its file instead of a temporary one would be seen cut here.
    #[test]
    fn an_upload_that_is_cut_leaves_the_old_file_or_the_new_one() {
        let new: Vec<u8> = (0..2000)
            .flat_map(|n| format!("KEY_{n}=new\n").into_bytes())
            .collect();
        let bundle = Bundle {
            release: &release(),
            compose_file: b"services: {}\n",
            env_file: Some(&new),
            overlay: "services: {}\n",
        };
        let (mut old, mut fresh, mut whole) = (0, 0, 0);
        let text = |state: &Path| stage(&project(state), &bundle).render().expect("a script");
        let length = text(Path::new("/tmp/12345678901")).len();
        for cut in (0..length).step_by(200).chain([length]) {
            let dir = tempfile::tempdir().expect("a folder");
            std::fs::create_dir_all(folder(dir.path())).expect("made");
            std::fs::write(folder(dir.path()).join(".env"), "old").expect("written");
            let text = text(dir.path());
            run_text(&text.as_bytes()[..cut.min(text.len())]);
            let env = std::fs::read(folder(dir.path()).join(".env")).expect("there");
            assert!(env == b"old" || env == new, "cut at {cut}: {} bytes", env.len());
            if env == new {
                fresh += 1
            } else {
                old += 1
            }
            if folder(dir.path()).join("release.json").exists() {
                assert!(
                    env == new && folder(dir.path()).join("docker-compose.yml").exists(),
                    "cut at {cut}"
                );
                whole += 1;
            }
        }
        assert!(
            old > 10 && fresh > 0 && whole > 0,
            "{old} old, {fresh} new, {whole} whole"
        );
    }

    #[test]
    fn the_old_file_stays_when_the_disk_is_full() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder(dir.path())).expect("made");
        std::fs::write(folder(dir.path()).join(".env"), "old").expect("written");
        let bin = dir.path().join("bin");
        program(
            &bin,
            "base64",
            "echo 'base64: write error: No space left on device' >&2; exit 1",
        );
        let output = run(&with_path(script(dir.path(), &release()), &bin));
        assert!(
            matches!(staged(&output), Err(StageError::NoSpace(_))),
            "{output:?}"
        );
        assert_eq!(
            std::fs::read_to_string(folder(dir.path()).join(".env")).expect("there"),
            "old"
        );
        assert_eq!(std::fs::read_dir(folder(dir.path())).expect("there").count(), 1);
    }
}
