//! What the tests of this module share: a folder with a valid inventory, and ways to break it.

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

use super::{Inventory, InventoryErrors};

/// A folder with a Compose file, to load inventories in.
pub(super) struct Lab(TempDir);

impl Lab {
    /// The least that is valid.
    pub(super) const BASE: &str = r#"[app]
name = "shop"
path = "/srv/shop"
compose = "compose.yml"
[app.identity]
path = "/version"
json = "tag"
[pools.blue]
hosts = ["web1", "web2"]
[pools.green]
hosts = ["web3", "web4"]
[[checks]]
name = "nginx"
port = 80
path = "/nginx-health"
[switch]
connector = "haproxy"
routers = ["lb1"]
"#;

    /// Its end.
    pub(super) const SWITCH: &str = "[switch]\nconnector = \"haproxy\"\nrouters = [\"lb1\"]\n";

    pub(super) fn new() -> Lab {
        let lab = Lab(TempDir::new().expect("a folder"));
        lab.write("compose.yml", "services:\n  web: {image: a}\n  app: {image: b}\n");
        lab
    }

    pub(super) fn folder(&self) -> &Utf8Path {
        Utf8Path::from_path(self.0.path()).expect("UTF-8")
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Utf8PathBuf {
        let path = self.folder().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, text).expect("written");
        path
    }

    /// [`Lab::BASE`].
    pub(super) fn load(&self) -> Inventory {
        self.load_text(Lab::BASE).expect("valid")
    }

    /// This text as `production.toml`.
    pub(super) fn load_text(&self, text: &str) -> Result<Inventory, InventoryErrors> {
        let path = self.write("production.toml", text);
        Inventory::load(&path, &|name| match name {
            "HOME" => Some(self.folder().join("home").into_string()),
            "DOCKER_PASS" => Some("hunter2 from the environment".to_owned()),
            _ => None,
        })
    }

    /// What is said of a text that must not be valid.
    pub(super) fn refused(&self, text: &str) -> String {
        match self.load_text(text) {
            Ok(_) => panic!("accepted:\n{text}"),
            Err(errors) => self.plain(&errors),
        }
    }

    /// The messages, without this machine's paths.
    pub(super) fn plain(&self, errors: &InventoryErrors) -> String {
        errors.render(false).replace(&format!("{}/", self.folder()), "")
    }
}

/// [`Lab::BASE`] with the last key of a dotted path set to this TOML.
pub(super) fn with(key: &str, toml: &str) -> String {
    let (table, key) = key.rsplit_once('.').expect("a key in a table");
    let header = [format!("[{table}]\n"), format!("[[{table}]]\n")]
        .into_iter()
        .find(|h| Lab::BASE.contains(h));
    let Some(header) = header else {
        return format!("{}[{table}]\n{key} = {toml}\n", Lab::BASE);
    };
    let (before, after) = Lab::BASE.split_once(&header).expect("it is there");
    let end = after.find("\n[").map_or(after.len(), |end| end + 1);
    let (body, rest) = after.split_at(end);
    let kept: String = body
        .lines()
        .filter(|l| !l.starts_with(&format!("{key} =")))
        .map(|l| format!("{l}\n"))
        .collect();
    format!("{before}{header}{key} = {toml}\n{kept}{rest}")
}
