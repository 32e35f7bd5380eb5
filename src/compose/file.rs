//! The Compose file: what is read of it, and the overlay that pins images and labels containers.
//! The file itself is sent and used untouched.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::release::Release;
use crate::inventory::Inventory;

/// What is read of a Compose file.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ComposeFile {
    /// `version`, as it stands: an overlay for docker-compose v1 must say the same, or nothing.
    #[serde(default)]
    pub version: Option<Value>,
    /// The services by name.
    #[serde(default)]
    pub services: BTreeMap<String, Service>,
}

/// What is read of a service.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Service {
    /// Its image.
    #[serde(default)]
    pub image: Option<String>,
    /// Its ports, in short or long form.
    #[serde(default)]
    pub ports: Vec<Value>,
}

impl ComposeFile {
    /// Reads a Compose file, or what `config` prints of one.
    ///
    /// # Errors
    /// In words, with the place.
    pub fn parse(yaml: &str) -> Result<ComposeFile, String> {
        let file: ComposeFile = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
        if file.services.is_empty() {
            return Err("expected `services:` with at least one service, found none".to_owned());
        }
        Ok(file)
    }

    /// Each service's image, where it has one.
    pub fn images(&self) -> BTreeMap<String, String> {
        self.services
            .iter()
            .filter_map(|(name, service)| Some((name.clone(), service.image.clone()?)))
            .collect()
    }

    /// Ports that are published on the host, of all services.
    pub fn published_ports(&self) -> Vec<u16> {
        self.services
            .values()
            .flat_map(|service| &service.ports)
            .filter_map(published)
            .collect()
    }
}

/// The host's port of one entry: long form `{published: "80", target: 80}`, short form
/// `[ip:]published:target[/protocol]`; a bare `target` publishes none that is known before.
fn published(port: &Value) -> Option<u16> {
    match port {
        Value::Object(long) => match long.get("published")? {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_u64().and_then(|n| u16::try_from(n).ok()),
            _ => None,
        },
        Value::String(short) => {
            let fields: Vec<&str> = short.split('/').next()?.split(':').collect();
            fields.len().checked_sub(2).and_then(|at| fields[at].parse().ok())
        }
        _ => None,
    }
}

/// The overlay: each image by its digest, and labels that say whose the containers are. JSON, which
/// is YAML too and needs no quoting of our own.
pub fn overlay(file: &ComposeFile, inventory: &Inventory, release: &Release) -> String {
    let labels = json!({
        "pointsman.app": inventory.app.name,
        "pointsman.env": inventory.env,
        "pointsman.pool": release.pool.as_str(),
        "pointsman.release": release.id,
        "pointsman.run": release.run,
    });
    let services: serde_json::Map<String, Value> = file
        .services
        .keys()
        .map(|name| {
            let mut service = json!({ "labels": labels });
            if let Some(image) = release.images.iter().find(|image| image.service == *name) {
                service["image"] = Value::String(image.pinned());
            }
            (name.clone(), service)
        })
        .collect();
    let mut overlay = json!({ "services": services });
    if let Some(version) = &file.version {
        // As text, as v1 compares it with the main file's.
        overlay["version"] = Value::String(
            version
                .as_str()
                .map_or_else(|| version.to_string(), str::to_owned),
        );
    }
    format!("{overlay:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms_of_ports() {
        let yaml = "version: '3.8'\nservices:\n  web:\n    image: nginx:1\n    ports:\n      - '8080:80'\n      - 127.0.0.1:8443:443/tcp\n      - '9000'\n      - {target: 80, published: '81'}\n      - {target: 80, published: 82}\n  app: {}\n";
        let file = ComposeFile::parse(yaml).unwrap();
        assert_eq!(file.published_ports(), [8080, 8443, 81, 82]);
        assert_eq!(file.images().len(), 1);
        assert_eq!(file.version, Some(Value::String("3.8".into())));
        assert!(
            ComposeFile::parse("services: {}")
                .unwrap_err()
                .contains("at least one")
        );
        assert!(ComposeFile::parse("services: [").is_err());
    }
}
