//! The releases that a host keeps, of both pools.

use crate::inventory::Pool;
use crate::remote::{Output, Script};

use super::Unreadable;
use super::project::Project;
use super::release::Release;

/// The releases of one pool on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The pool.
    pub pool: Pool,
    /// The id in `current`: what Compose was last told to run there, and said that it is up.
    pub current: Option<String>,
    /// The whole ones, newest first.
    pub releases: Vec<Release>,
    /// Ids of folders that are not whole: a killed run's, or one with an unreadable record.
    pub unfinished: Vec<String>,
}

impl Kept {
    /// The record of the current release.
    pub fn current(&self) -> Option<&Release> {
        let id = self.current.as_deref()?;
        self.releases.iter().find(|release| release.id == id)
    }

    /// The newest release of `tag`.
    pub fn of_tag(&self, tag: &str) -> Option<&Release> {
        self.releases.iter().find(|release| release.tag == tag)
    }
}

/// Asks for all records in the project's state directory, of both pools.
pub fn releases(project: &Project) -> Script {
    project.script(include_str!("releases.sh"))
}

/// Reads the records: one element a pool, blue first.
///
/// # Errors
/// [`Unreadable`] when the script did not come to its end. An unreadable record is an unfinished
/// release, not an error: it must not hide the others.
pub fn parse_releases(output: &Output) -> Result<Vec<Kept>, Unreadable> {
    if output.section("end").is_none() {
        return Err(Unreadable::new("the releases of a host", output));
    }
    Ok(Pool::ALL
        .into_iter()
        .map(|pool| {
            let mut kept = Kept {
                pool,
                current: None,
                releases: Vec::new(),
                unfinished: Vec::new(),
            };
            for (name, text) in output.sections() {
                let mut words = name.split(' ');
                let (kind, of) = (words.next(), words.next());
                if of != Some(pool.as_str()) {
                    continue;
                }
                match (kind, words.next()) {
                    (Some("current"), _) => {
                        kept.current = Some(text.trim().to_owned()).filter(|t| !t.is_empty())
                    }
                    (Some("unfinished"), _) => kept.unfinished.push(text.trim().to_owned()),
                    (Some("release"), Some(id)) => match serde_json::from_str::<Release>(text) {
                        // The folder's name is what every other script goes by.
                        Ok(release) if release.id == id => kept.releases.push(release),
                        _ => kept.unfinished.push(id.to_owned()),
                    },
                    _ => {}
                }
            }
            kept.releases
                .sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
            kept
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::testing::{project, run};

    fn record(pool: Pool, id: &str, at: &str) -> String {
        let release = Release {
            id: id.into(),
            tag: id.split('-').next().unwrap_or_default().into(),
            pool,
            images: Vec::new(),
            compose_sha256: String::new(),
            env_sha256: None,
            env_keys: Vec::new(),
            created_at: at.parse().expect("a timestamp"),
            run: "r".into(),
            who: "w".into(),
        };
        serde_json::to_string_pretty(&release).expect("JSON")
    }

    #[test]
    fn reads_both_pools_newest_first_and_hides_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let put = |pool: &str, id: &str, text: Option<&str>| {
            let folder = dir.path().join(pool).join("releases").join(id);
            std::fs::create_dir_all(&folder).expect("made");
            if let Some(text) = text {
                std::fs::write(folder.join("release.json"), text).expect("written");
            }
        };
        // By name v10 sorts before v9; by time it does not.
        put(
            "blue",
            "v9-a",
            Some(&record(Pool::Blue, "v9-a", "2026-01-01T00:00:00Z")),
        );
        put(
            "blue",
            "v10-b",
            Some(&record(Pool::Blue, "v10-b", "2026-02-01T00:00:00Z")),
        );
        put("blue", "v11-c", Some("{ torn"));
        put("blue", "v12-d", None);
        put(
            "blue",
            "v13-e",
            Some(&record(Pool::Blue, "v9-a", "2026-01-01T00:00:00Z")),
        );
        put(
            "green",
            "v8-f",
            Some(&record(Pool::Green, "v8-f", "2025-01-01T00:00:00Z")),
        );
        std::fs::write(dir.path().join("blue/current"), "v9-a\n").expect("written");

        let output = run(&releases(&project(dir.path())));
        let [blue, green] = &parse_releases(&output).expect("readable")[..] else {
            panic!("two pools")
        };
        assert_eq!(
            blue.releases.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(),
            ["v10-b", "v9-a"]
        );
        assert_eq!(blue.current().expect("current").tag, "v9");
        assert_eq!(blue.unfinished, ["v11-c", "v12-d", "v13-e"]);
        assert_eq!(blue.of_tag("v10").expect("kept").id, "v10-b");
        assert_eq!((green.releases.len(), green.current()), (1, None));
    }

    #[test]
    fn a_new_host_keeps_nothing_and_a_cut_answer_is_none() {
        let dir = tempfile::tempdir().expect("a folder");
        let output = run(&releases(&project(&dir.path().join("none"))));
        assert!(
            parse_releases(&output)
                .expect("readable")
                .iter()
                .all(|kept| kept.releases.is_empty())
        );
        assert!(parse_releases(&Output::default()).is_err());
    }
}
