//! The names of a Compose file's services, to hold the inventory against.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::diagnostic::{Mistake, Mistakes};
use super::node::Node;

/// As much of a Compose file as is needed here.
#[derive(Deserialize)]
struct ComposeFile {
    services: BTreeMap<String, IgnoredAny>,
}

/// Reads the services of the file that `app.compose` names; says so when it is no Compose file.
pub(super) fn read(root: &Node, mistakes: &mut Mistakes) -> Option<BTreeSet<String>> {
    let node = root.get(&["app", "compose"])?;
    let path = root.text(&["app", "compose"])?;
    let found = match std::fs::read_to_string(path) {
        Ok(text) => match services(&text) {
            Ok(services) if services.is_empty() => "no services".to_owned(),
            Ok(services) => return Some(services),
            Err(error) => error,
        },
        Err(error) => error.to_string(),
    };
    mistakes.add(
        Mistake::at(&node.place, "app.compose", "the Compose file cannot be read")
            .expected("YAML with `services:`")
            .found(found)
            .help(format!("`docker compose -f {path} config` says more")),
    );
    None
}

/// The services, or what is wrong, in one line.
fn services(text: &str) -> Result<BTreeSet<String>, String> {
    let file: ComposeFile = serde_saphyr::from_str(text).map_err(|error| {
        // The rest of the message repeats lines of the file, which may hold secrets.
        error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned()
    })?;
    Ok(file.services.into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Lab, with};
    use super::*;

    #[test]
    fn anchors_merges_and_extensions_are_no_obstacle() {
        let text = "x-app: &app\n  image: a:${DEPLOY_TAG}\nservices:\n  web:\n    <<: *app\n  app: {<<: *app, ports: ['${WEB_PORT:-80}:80']}\nvolumes: {}\n";
        assert_eq!(
            services(text).unwrap(),
            BTreeSet::from(["web".to_owned(), "app".to_owned()])
        );
    }

    #[test]
    fn a_file_that_is_none_is_pointed_at_without_its_lines() {
        let lab = Lab::new();
        for bad in [
            "services: [hunter2\n",
            "a: hunter2\n",
            "services: {}\n",
            "services:\n  - hunter2\n",
            "\t: hunter2",
            "",
        ] {
            lab.write("bad.yml", bad);
            let errors = lab.refused(&with("app.compose", r#""bad.yml""#));
            assert!(errors.contains("the Compose file cannot be read"), "{errors}");
            assert!(!errors.contains("hunter2"), "{errors}");
        }
    }
}
