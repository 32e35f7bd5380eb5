//! From the name of an environment to its file.

use camino::{Utf8Path, Utf8PathBuf};
use toml::de::DeTable;

use super::diagnostic::shown;
use super::grammar::Grammar;

/// The folder that environments are looked for in, here or further up.
const FOLDER: &str = "inventory";

/// Why no inventory was found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The name is none that an environment can have.
    #[error("expected the name of an environment ({}), found {}", Grammar::Name.words(), shown(.name))]
    Name {
        /// What was given.
        name: String,
    },
    /// There is no such environment.
    #[error("expected {}, found {}: there is no {folder}/{name}.toml", listed(.known), shown(.name))]
    Unknown {
        /// The name that was given.
        name: String,
        /// The folder that was looked in.
        folder: Utf8PathBuf,
        /// The environments that it has.
        known: Vec<String>,
    },
    /// No environment was named.
    #[error("expected `-e` with {}, found neither `-e` nor `-i`", listed(.known))]
    Unnamed {
        /// The environments that there are.
        known: Vec<String>,
    },
    /// There is no folder of environments.
    #[error(
        "expected a folder `{FOLDER}` in {start} or above it, found none; `-i FILE` names an inventory elsewhere"
    )]
    NoFolder {
        /// Where the search began.
        start: Utf8PathBuf,
    },
    /// The current folder has no name that can be used.
    #[error("the current folder cannot be used")]
    Here(#[source] std::io::Error),
}

fn listed(known: &[String]) -> String {
    match known {
        [] => "an environment, of which there is none yet (`pointsman init` makes one)".to_owned(),
        [only] => only.clone(),
        many => format!("one of {}", many.join(", ")),
    }
}

/// The inventory of an environment: `file` if given, else `inventory/<env>.toml` in the current
/// folder or the nearest one above that has it. The path is relative where it can be, as messages show
/// it. An environment is never guessed, not even when there is only one.
///
/// # Errors
/// When there is no such environment; the message lists those that exist.
pub fn find(env: Option<&str>, file: Option<&Utf8Path>) -> Result<Utf8PathBuf, FindError> {
    if let Some(file) = file {
        return Ok(file.to_owned());
    }
    let here = std::env::current_dir()
        .and_then(|path| Utf8PathBuf::try_from(path).map_err(|error| error.into_io_error()))
        .map_err(FindError::Here)?;
    let found = find_from(&here, env)?;
    Ok(found
        .strip_prefix(&here)
        .map_or_else(|_| found.clone(), Utf8Path::to_owned))
}

fn find_from(start: &Utf8Path, env: Option<&str>) -> Result<Utf8PathBuf, FindError> {
    if let Some(name) = env.filter(|name| !Grammar::Name.accepts(name)) {
        return Err(FindError::Name {
            name: name.to_owned(),
        });
    }
    let folders: Vec<Utf8PathBuf> = start
        .ancestors()
        .map(|folder| folder.join(FOLDER))
        .filter(|folder| folder.is_dir())
        .collect();
    let Some(nearest) = folders.first() else {
        return Err(FindError::NoFolder {
            start: start.to_owned(),
        });
    };
    if let Some(name) = env {
        let found = folders
            .iter()
            .map(|folder| folder.join(format!("{name}.toml")))
            .find(|file| file.is_file());
        return found.ok_or_else(|| FindError::Unknown {
            name: name.to_owned(),
            folder: nearest.clone(),
            known: environments(nearest),
        });
    }
    Err(FindError::Unnamed {
        known: environments(nearest),
    })
}

/// The environments of a folder: its files, less those that others build on.
fn environments(folder: &Utf8Path) -> Vec<String> {
    let Ok(entries) = folder.read_dir_utf8() else {
        return Vec::new();
    };
    let files: Vec<Utf8PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.into_path()))
        .filter(|path| path.extension() == Some("toml") && path.is_file())
        .collect();
    let bases: Vec<Utf8PathBuf> = files
        .iter()
        .filter_map(|file| Some(folder.join(extends(file)?)))
        .collect();
    let mut names: Vec<String> = files
        .iter()
        .filter(|file| !bases.contains(file))
        .filter_map(|file| file.file_stem().map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// What a file extends, as far as it can be read.
fn extends(file: &Utf8Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let (table, _) = DeTable::parse_recoverable(&text);
    table
        .get_ref()
        .get("extends")?
        .get_ref()
        .as_str()
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Lab;
    use super::*;

    fn lab(files: &[(&str, &str)]) -> Lab {
        let lab = Lab::new();
        for (name, text) in files {
            lab.write(&format!("repo/inventory/{name}"), text);
        }
        lab.write("repo/app/models/x", "");
        lab
    }

    #[test]
    fn environments_are_found_from_any_folder_below() {
        let lab = lab(&[
            ("production.toml", "extends = \"common.toml\""),
            ("staging.toml", ""),
            ("common.toml", ""),
        ]);
        let expected = lab.folder().join("repo/inventory/production.toml");
        assert_eq!(
            find_from(&lab.folder().join("repo/app/models"), Some("production")).unwrap(),
            expected
        );
        assert_eq!(
            find_from(&lab.folder().join("repo"), Some("production")).unwrap(),
            expected
        );
        assert_eq!(find(None, Some(Utf8Path::new("x.toml"))).unwrap(), "x.toml");
    }

    #[test]
    fn paths_are_shown_from_where_we_are() {
        assert_eq!(find(Some("vps"), None).unwrap(), "inventory/vps.toml");
    }

    #[test]
    fn no_environment_is_guessed() {
        let lab = lab(&[("vps.toml", "extends = \"common.toml\""), ("common.toml", "")]);
        let error = find_from(&lab.folder().join("repo"), None).unwrap_err();
        insta::assert_snapshot!(error, @"expected `-e` with vps, found neither `-e` nor `-i`");
    }

    #[test]
    fn what_there_is_is_listed() {
        let lab = lab(&[
            ("production.toml", "extends = \"common.toml\""),
            ("staging.toml", "= broken"),
            ("common.toml", ""),
        ]);
        let said = |start: &str, env: Option<&str>| {
            let error = find_from(&lab.folder().join(start), env).unwrap_err();
            error.to_string().replace(lab.folder().as_str(), "[..]")
        };
        insta::assert_snapshot!(said("repo", Some("produktion")), @r#"expected one of production, staging, found "produktion": there is no [..]/repo/inventory/produktion.toml"#);
        insta::assert_snapshot!(said("repo", None), @"expected `-e` with one of production, staging, found neither `-e` nor `-i`");
        insta::assert_snapshot!(said("repo", Some("../../etc/passwd\n")), @r#"expected the name of an environment (lower-case letters, digits, `-` and `_`, first a letter or digit, at most 40 of them), found "../../etc/passwd\n""#);
        insta::assert_snapshot!(said("", Some("production")), @"expected a folder `inventory` in [..]/ or above it, found none; `-i FILE` names an inventory elsewhere");
    }
}
