//! `pointsman.yml`: the only thing that a deploy adds to the user's Compose file. It pins images to
//! digests and labels containers, so that they can be found again and told from strangers.

use std::fmt::Write as _;

use super::project::Project;
use super::release::PinnedImage;

/// Label: the app's name.
pub const LABEL_APP: &str = "pointsman.app";
/// Label: the environment's name.
pub const LABEL_ENV: &str = "pointsman.env";
/// Label: the pool.
pub const LABEL_POOL: &str = "pointsman.pool";
/// Label: the release's id.
pub const LABEL_RELEASE: &str = "pointsman.release";
/// Label: the run that started the container.
pub const LABEL_RUN: &str = "pointsman.run";

/// The overlay for `services`. `version` is the main file's, exactly or not at all: v1 refuses to
/// merge files that differ in it. A service without a pinned image keeps what the main file says.
pub fn overlay(
    version: Option<&str>,
    services: &[&str],
    images: &[PinnedImage],
    project: &Project,
    release: &str,
    run: &str,
) -> String {
    let labels = [
        (LABEL_APP, project.app.as_str()),
        (LABEL_ENV, project.env.as_str()),
        (LABEL_POOL, project.pool.as_str()),
        (LABEL_RELEASE, release),
        (LABEL_RUN, run),
    ];
    let mut yaml = String::from("# Written by pointsman for one release; goes over docker-compose.yml.\n");
    if let Some(version) = version {
        let _ = writeln!(yaml, "version: {}", quoted(version));
    }
    yaml.push_str("services:\n");
    for service in services {
        let _ = writeln!(yaml, "  {}:", quoted(service));
        if let Some(image) = images.iter().find(|image| image.service == *service) {
            let _ = writeln!(yaml, "    image: {}", literal(&image.pinned()));
        }
        yaml.push_str("    labels:\n");
        for (name, value) in labels {
            let _ = writeln!(yaml, "      {name}: {}", literal(value));
        }
    }
    yaml
}

/// A value that Compose does not interpolate.
fn literal(value: &str) -> String {
    quoted(&value.replace('$', "$$"))
}

/// A JSON string is a YAML string; only the escapes differ that JSON leaves alone, so those go too.
fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ if u32::from(c) > 0xffff => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
            _ => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::inventory::Pool;
    use proptest::prelude::*;

    fn image(service: &str) -> PinnedImage {
        PinnedImage {
            service: service.into(),
            reference: format!("10.0.0.5:5000/{service}:v1"),
            digest: "sha256:0f".into(),
            size: 0,
        }
    }

    #[test]
    fn pins_and_labels_each_service() {
        let project = Project::new("shop", "production", Pool::Blue, "/s");
        let yaml = overlay(
            Some("3.8"),
            &["app", "cache"],
            &[image("app")],
            &project,
            "v1-x",
            "r1",
        );
        insta::assert_snapshot!(yaml, @r#"
        # Written by pointsman for one release; goes over docker-compose.yml.
        version: "3.8"
        services:
          "app":
            image: "10.0.0.5:5000/app@sha256:0f"
            labels:
              pointsman.app: "shop"
              pointsman.env: "production"
              pointsman.pool: "blue"
              pointsman.release: "v1-x"
              pointsman.run: "r1"
          "cache":
            labels:
              pointsman.app: "shop"
              pointsman.env: "production"
              pointsman.pool: "blue"
              pointsman.release: "v1-x"
              pointsman.run: "r1"
        "#);
    }

    #[test]
    fn no_version_stays_no_version() {
        let project = Project::new("shop", "production", Pool::Blue, "/s");
        assert!(!overlay(None, &["app"], &[], &project, "x", "r").contains("version"));
    }

    #[derive(serde::Deserialize)]
    struct Read {
        services: BTreeMap<String, ReadService>,
    }
    #[derive(serde::Deserialize)]
    struct ReadService {
        labels: BTreeMap<String, String>,
    }

    proptest! {
        #[test]
        fn every_value_comes_through_unchanged(value in "(?s).{0,40}") {
            let project = Project::new(value.clone(), "e", Pool::Green, "/s");
            let yaml = overlay(None, &["app"], &[], &project, "x", "r");
            let read: Read = serde_saphyr::from_str(&yaml).expect("good YAML");
            let label = &read.services["app"].labels[LABEL_APP];
            // What Compose's interpolation makes of it.
            prop_assert_eq!(label.replace("$$", "$"), value);
        }
    }
}
