//! What containers a project has on a host, in which state; their logs; commands in them.

use serde::Deserialize;

use crate::remote::{Output, Script};

/// One container of one project, as `docker inspect` tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Full id.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Compose service (`com.docker.compose.service`).
    pub service: String,
    /// `running`, `exited`, `restarting`, `created`, `paused`, `dead`.
    pub state: String,
    /// Exit code of the last end.
    pub exit_code: i64,
    /// How often the engine restarted it.
    pub restarts: u64,
    /// Whether the kernel killed it for memory.
    pub oom_killed: bool,
    /// Addresses in the networks that it is attached to, first one first.
    pub addresses: Vec<String>,
    /// Image id that it runs (`sha256:...`).
    pub image_id: String,
    /// Image reference that it was started from.
    pub image: String,
    /// Release id label (`pointsman.release`), if any.
    pub release: Option<String>,
    /// What the engine says of its last failure to start, if anything.
    pub error: Option<String>,
}

/// Lists a project's containers with all that `docker inspect` says.
pub fn containers(project: &str) -> Script {
    Script::new(
        r#"ids=$(docker ps -aq --no-trunc --filter "label=com.docker.compose.project=$PROJECT") || exit 1
section containers
[ -z "$ids" ] || docker inspect $ids
section end"#,
    )
    .var("PROJECT", project)
}

/// The last lines of a project's containers, or of one service's, each with its service before it.
pub fn logs(project: &str, service: Option<&str>, lines: u32) -> Script {
    Script::new(
        r#"set -- --filter "label=com.docker.compose.project=$PROJECT"
[ -z "$SERVICE" ] || set -- "$@" --filter "label=com.docker.compose.service=$SERVICE"
docker ps -a "$@" --format '{{.ID}} {{.Label "com.docker.compose.service"}}' | while read -r id name; do
  docker logs --tail "$LINES" "$id" 2>&1 | sed "s/^/$name | /"
done"#,
    )
    .var("PROJECT", project)
    .var("SERVICE", service.unwrap_or_default())
    .var("LINES", lines.to_string())
}

/// Runs a command in the running container of a service.
pub fn exec(project: &str, service: &str, argv: &[String]) -> Script {
    Script::new(
        r#"id=$(docker ps -q --filter "label=com.docker.compose.project=$PROJECT" --filter "label=com.docker.compose.service=$SERVICE" | head -n 1)
[ -n "$id" ] || say_fail 1 "no container of service $SERVICE runs in $PROJECT"
in_container() { docker exec "$id" "$@"; }
wanted"#,
    )
    .var("PROJECT", project)
    .var("SERVICE", service)
    .command("wanted", std::iter::once("in_container").chain(argv.iter().map(String::as_str)))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    name: String,
    image: String,
    #[serde(default)]
    restart_count: u64,
    state: State,
    config: Config,
    #[serde(default)]
    network_settings: Networks,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    #[serde(default)]
    exit_code: i64,
    #[serde(default, rename = "OOMKilled")]
    oom_killed: bool,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    image: String,
    labels: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Networks {
    #[serde(default)]
    networks: std::collections::BTreeMap<String, Network>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Network {
    #[serde(default, rename = "IPAddress")]
    ip_address: String,
}

/// Reads what [`containers`] printed.
///
/// # Errors
/// In words, when Docker did not answer.
pub fn parse_containers(output: &Output) -> Result<Vec<Container>, String> {
    if output.section("end").is_none() {
        return Err(format!("Docker does not list containers: {}", output.complaint()));
    }
    let text = output.section("containers").unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let inspected: Vec<Inspected> =
        serde_json::from_str(text).map_err(|error| format!("`docker inspect` is not understood: {error}"))?;
    Ok(inspected
        .into_iter()
        .map(|one| {
            let mut labels = one.config.labels.unwrap_or_default();
            Container {
                id: one.id,
                name: one.name.trim_start_matches('/').to_owned(),
                service: labels.remove("com.docker.compose.service").unwrap_or_default(),
                state: one.state.status,
                exit_code: one.state.exit_code,
                restarts: one.restart_count,
                oom_killed: one.state.oom_killed,
                addresses: one
                    .network_settings
                    .networks
                    .into_values()
                    .map(|network| network.ip_address)
                    .filter(|address| !address.is_empty())
                    .collect(),
                image_id: one.image,
                image: one.config.image,
                release: labels.remove("pointsman.release"),
                error: Some(one.state.error).filter(|error| !error.is_empty()),
            }
        })
        .collect())
}
