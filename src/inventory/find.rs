//! Which file an environment's name means.

use camino::{Utf8Path, Utf8PathBuf};

/// Why no inventory was found, in words with what there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotFound(String);

/// The inventory's file: the one that was named, or `inventory/<env>.toml` in this folder or one above.
///
/// # Errors
/// When there is none, with the environments that there are.
pub fn find(env: Option<&str>, file: Option<&Utf8Path>) -> Result<Utf8PathBuf, NotFound> {
    if let Some(file) = file {
        return Ok(file.to_owned());
    }
    let Some(env) = env else {
        let there = environments().map_or_else(String::new, |(_, names)| {
            format!("; there are {}", names.join(", "))
        });
        return Err(NotFound(format!(
            "no environment was named: expected -e ENV or -i FILE{there}"
        )));
    };
    if super::rules::name(env).is_err() {
        return Err(NotFound(format!("expected an environment's name, found {env:?}")));
    }
    let Some((folder, names)) = environments() else {
        return Err(NotFound(
            "no folder inventory/ here or above: name a file with -i FILE".to_owned(),
        ));
    };
    let path = folder.join(format!("{env}.toml"));
    if path.is_file() {
        return Ok(path);
    }
    Err(NotFound(format!(
        "expected {path}, found no such file; there are {}",
        names.join(", ")
    )))
}

/// The nearest folder `inventory/`, and the names of its files.
fn environments() -> Option<(Utf8PathBuf, Vec<String>)> {
    let here = Utf8PathBuf::from_path_buf(std::env::current_dir().ok()?).ok()?;
    let folder = here
        .ancestors()
        .map(|above| above.join("inventory"))
        .find(|folder| folder.is_dir())?;
    let mut names: Vec<String> = folder
        .read_dir_utf8()
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().strip_suffix(".toml").map(str::to_owned))
        .collect();
    names.sort();
    Some((folder, names))
}
