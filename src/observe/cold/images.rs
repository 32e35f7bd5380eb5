//! Which images a release is made of: each tag's digest, once for the whole pool.

use std::collections::BTreeMap;

use super::{ColdHost, ColdPool};
use crate::compose::PinnedImage;
use crate::compose::registry::{Client, Reference, RegistryError, Resolved};
use crate::inventory::{Inventory, Pool};
use crate::remote::Sessions;

/// Every image's digest, resolved once for the whole pool.
pub(super) async fn resolve(
    inventory: &Inventory,
    sessions: &Sessions,
    pool: Pool,
    cold: &ColdPool,
) -> Result<Vec<PinnedImage>, String> {
    let hosts: Vec<(&str, &ColdHost)> = cold.readable().collect();
    let Some((_, first)) = hosts.first() else {
        // Every host was left out: the plan says so.
        return Ok(Vec::new());
    };
    if let Some((name, _)) = hosts.iter().find(|(_, other)| other.images != first.images) {
        return Err(format!(
            "{name}: its env makes the Compose file name other images than on the pool's first host"
        ));
    }
    let mut archs: Vec<&str> = hosts
        .iter()
        .filter_map(|(_, host)| host.engine.as_ref())
        .map(|(_, arch)| arch.as_str())
        .collect();
    archs.sort_unstable();
    archs.dedup();
    let words = |error: RegistryError| format!("{error} ({})", error.hint());
    let client = Client::new(inventory.registry.as_ref()).map_err(words)?;
    let mut images = Vec::new();
    let mut known: BTreeMap<&str, Resolved> = BTreeMap::new();
    for (service, image) in &first.images {
        let resolved = match known.get(image.as_str()) {
            Some(resolved) => resolved.clone(),
            None => {
                let reference: Reference = image.parse().map_err(words)?;
                match client.resolve(&reference, &archs).await {
                    // A registry that only the servers reach is asked through the first of them.
                    Err(direct @ RegistryError::Unreachable { .. }) => {
                        through_host(inventory, sessions, pool, &reference, &archs)
                            .await
                            .map_err(|_| words(direct))?
                    }
                    other => other.map_err(words)?,
                }
            }
        };
        images.push(PinnedImage {
            service: service.clone(),
            reference: image.clone(),
            digest: resolved.digest.to_string(),
            size: resolved.size,
        });
        known.insert(image, resolved);
    }
    Ok(images)
}

async fn through_host(
    inventory: &Inventory,
    sessions: &Sessions,
    pool: Pool,
    reference: &Reference,
    archs: &[&str],
) -> Result<Resolved, String> {
    let (address, port) = reference
        .host
        .rsplit_once(':')
        .unwrap_or((reference.host.as_str(), "443"));
    let port = port.parse().map_err(|_| format!("{}: no port", reference.host))?;
    let host = inventory.hosts(pool).first().ok_or("no host")?;
    let session = sessions
        .connect(&host.server())
        .await
        .map_err(|error| error.to_string())?;
    let tunnel = session
        .tunnel(address, port)
        .await
        .map_err(|error| error.to_string())?;
    let client =
        Client::through(inventory.registry.as_ref(), &tunnel.path).map_err(|error| error.to_string())?;
    client
        .resolve(reference, archs)
        .await
        .map_err(|error| error.to_string())
}
