//! The user's Compose file, as far as a deploy must understand it. It is sent untouched; what is
//! read here only decides what goes into the overlay and what can be refused early.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// Why a Compose file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It is not the YAML that is expected.
    #[error("line {line}, column {column}: {problem}")]
    Syntax {
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: u64,
        /// In words.
        problem: String,
    },
    /// It is YAML, and nothing would be started by it.
    #[error("expected services, found none")]
    NoServices,
}

/// What is known of one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// `image`, as it stands there (before Compose interpolates it).
    pub image: Option<String>,
    /// Ports of the host that it publishes; those written with variables are not among them.
    pub published: Vec<u16>,
    /// `container_name`: a name that only one container on a host can have, so two pools on one
    /// host cannot both run it.
    pub container_name: Option<String>,
    /// Whether it has `build`: nothing is ever built on a server.
    pub builds: bool,
}

/// A Compose file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComposeFile {
    /// `version` as text, exactly: v1 wants the overlay's to be the same.
    pub version: Option<String>,
    /// The services by name.
    pub services: BTreeMap<String, Service>,
}

impl ComposeFile {
    /// Reads a Compose file.
    ///
    /// # Errors
    /// [`FileError`], with the line where there is one.
    pub fn parse(yaml: &str) -> Result<ComposeFile, FileError> {
        let raw: Raw = serde_saphyr::from_str(yaml).map_err(|error| FileError::of(&error))?;
        if raw.services.is_empty() {
            return Err(FileError::NoServices);
        }
        Ok(ComposeFile {
            version: raw.version,
            services: raw
                .services
                .into_iter()
                .map(|(name, s)| (name, s.unwrap_or_default().into()))
                .collect(),
        })
    }

    /// The services' names, sorted.
    pub fn service_names(&self) -> Vec<&str> {
        self.services.keys().map(String::as_str).collect()
    }
}

impl FileError {
    fn of(error: &serde_saphyr::Error) -> FileError {
        let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
        // The library's message goes on with an excerpt, which may show a secret of a neighbour line.
        let problem = error.without_snippet().to_string();
        let problem = problem.lines().next().unwrap_or_default().to_owned();
        FileError::Syntax {
            line,
            column,
            problem,
        }
    }
}

/// An empty document is a file without services, not a syntax error.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Raw {
    version: Option<String>,
    #[serde(deserialize_with = "map_or_null")]
    services: Services,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawService {
    image: Option<String>,
    ports: Option<Vec<Port>>,
    container_name: Option<String>,
    build: Option<IgnoredAny>,
}

impl From<RawService> for Service {
    fn from(raw: RawService) -> Service {
        Service {
            image: raw.image,
            published: raw
                .ports
                .unwrap_or_default()
                .into_iter()
                .flat_map(|p| p.0)
                .collect(),
            container_name: raw.container_name,
            builds: raw.build.is_some(),
        }
    }
}

type Services = BTreeMap<String, Option<RawService>>;

fn map_or_null<'de, D: Deserializer<'de>>(d: D) -> Result<Services, D::Error> {
    Ok(Option::<Services>::deserialize(d)?.unwrap_or_default())
}

/// The host's ports that one element of `ports` publishes.
struct Port(Vec<u16>);

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Port, D::Error> {
        deserializer.deserialize_any(PortVisitor)
    }
}

struct PortVisitor;

impl<'de> Visitor<'de> for PortVisitor {
    type Value = Port;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a port, as in \"8080:80\", or a mapping with `published` and `target`")
    }

    /// A bare container port is published on a port that the engine chooses.
    fn visit_u64<E>(self, _: u64) -> Result<Port, E> {
        Ok(Port(Vec::new()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Port, E> {
        Ok(Port(Vec::new()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Port, E> {
        Ok(Port(Vec::new()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Port, E> {
        Ok(Port(short_form(text)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Port, A::Error> {
        let mut ports = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "published" {
                ports = range(&map.next_value::<String>()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Port(ports))
    }
}

/// `[IP:]PUBLISHED:TARGET[/PROTOCOL]`; empty where nothing, or a variable, is published.
fn short_form(text: &str) -> Vec<u16> {
    let text = text.split('/').next().unwrap_or(text);
    let Some((before, _target)) = text.rsplit_once(':') else {
        return Vec::new();
    };
    range(before.rsplit(':').next().unwrap_or(before))
}

/// `8080` or `8080-8090`.
fn range(text: &str) -> Vec<u16> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
        (Ok(first), Ok(last)) if first > 0 => (first..=last).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHOP: &str = r#"
version: "3.8"
x-common: &common
  restart: unless-stopped
services:
  web:
    <<: *common
    image: ${REGISTRY}/shop-nginx:${DEPLOY_TAG}
    ports: ["${WEB_PORT:-80}:80", "127.0.0.1:8443:443/tcp", 9000]
  app:
    <<: *common
    image: shop
    container_name: shop
    ports:
      - target: 80
        published: 8080
      - "3000-3002:3000-3002"
      - "[::1]:81:81"
  worker:
    build: .
"#;

    #[test]
    fn reads_what_a_deploy_needs() {
        let file = ComposeFile::parse(SHOP).expect("good");
        assert_eq!(file.version.as_deref(), Some("3.8"));
        assert_eq!(file.service_names(), ["app", "web", "worker"]);
        assert_eq!(file.services["web"].published, [8443]);
        assert_eq!(file.services["app"].published, [8080, 3000, 3001, 3002, 81]);
        assert_eq!(file.services["app"].container_name.as_deref(), Some("shop"));
        assert_eq!(
            file.services["web"].image.as_deref(),
            Some("${REGISTRY}/shop-nginx:${DEPLOY_TAG}")
        );
        assert!(file.services["worker"].builds && !file.services["app"].builds);
    }

    #[test]
    fn a_fault_is_shown_by_its_line_and_shows_no_neighbour() {
        let error =
            ComposeFile::parse("services:\n  app:\n    environment: { KEY: hunter2 }\n    image: [1, 2]\n")
                .expect_err("image is no list");
        let FileError::Syntax {
            line, ref problem, ..
        } = error
        else {
            panic!("{error:?}")
        };
        assert_eq!(line, 4, "{problem}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn nothing_to_start_is_an_error() {
        for yaml in ["version: '3'\n", "services:\n", "services: {}\n"] {
            assert_eq!(ComposeFile::parse(yaml), Err(FileError::NoServices), "{yaml:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(?s).{0,120}") {
            let _ = ComposeFile::parse(&text);
        }

        #[test]
        fn any_port_is_read(text in "[0-9:/.$\\[\\]{}a-z-]{0,30}") {
            let _ = short_form(&text);
        }
    }
}
