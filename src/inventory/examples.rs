//! The example environments at the top of the repository are valid and mean what they say.

use camino::Utf8PathBuf;

use super::switch::Connector;
use super::{Inventory, Pool};

fn example(name: &str) -> Inventory {
    let path = Utf8PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/inventory")).join(name);
    let loaded = Inventory::load(&path, &|name| match name {
        "TSIG_SECRET" => Some("eA==".to_owned()),
        name => name.starts_with("DOCKER_").then(|| "x".to_owned()),
    });
    loaded.unwrap_or_else(|errors| panic!("{}", errors.render(false)))
}

fn names(inventory: &Inventory, pool: Pool) -> Vec<&str> {
    inventory.pools[&pool]
        .iter()
        .map(|host| host.name.as_str())
        .collect()
}

#[test]
fn production() {
    let inventory = example("production.toml");
    assert_eq!(inventory.env, "production");
    assert_eq!(
        names(&inventory, Pool::Blue),
        ["web1.example.com", "web2.example.com"]
    );
    assert_eq!(names(&inventory, Pool::Green), ["web3.example.com", "web4"]);
    assert_eq!(inventory.switch.routers.len(), 2);
    let Connector::Haproxy(haproxy) = &inventory.switch.connector else {
        panic!("{:?}", inventory.switch);
    };
    assert_eq!(haproxy.master_socket.as_deref(), Some("/run/haproxy/master.sock"));
    assert!(inventory.app.env_file.is_some() && inventory.registry.is_some() && inventory.migrate.is_some());
}

#[test]
fn staging() {
    let inventory = example("staging.toml");
    assert_eq!(
        (inventory.env.as_str(), inventory.app.name.as_str()),
        ("staging", "shop")
    );
    assert_eq!(
        (inventory.app.keep_releases, inventory.app.start_timeout.as_secs()),
        (1, 60)
    );
    assert_eq!(inventory.ssh.jump.as_deref(), Some("jump@bastion.example.com"));
    assert_eq!(inventory.ssh.user.as_deref(), Some("deploy"), "tables merge");
}

#[test]
fn dns() {
    let inventory = example("dns.toml");
    let Connector::Dns(dns, _) = &inventory.switch.connector else {
        panic!("{:?}", inventory.switch);
    };
    assert_eq!(dns.records(Pool::Green), ["192.0.2.3", "192.0.2.4"]);
    assert_eq!(inventory.switch.routers[0].url, "http://shop.example.com");
}

#[test]
fn vps() {
    let inventory = example("vps.toml");
    let (blue, green) = (
        &inventory.pools[&Pool::Blue][0],
        &inventory.pools[&Pool::Green][0],
    );
    assert_eq!((&blue.address, &blue.name), (&green.address, &green.name));
    assert_ne!(blue.env, green.env);
    assert_eq!(inventory.switch.routers[0].address, blue.address);
}
