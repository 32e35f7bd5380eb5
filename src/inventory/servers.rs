//! What servers must be to each other: one name for one machine, no machine twice in a group.

use super::check::Checker;
use super::diagnostic::{Mistake, shown};
use super::node::Node;
use super::pools::Pool;
use super::source::Place;

/// The port of SSH where nothing else is said.
const SSH_PORT: i128 = 22;

/// One host of a pool, or one router.
struct Member<'a> {
    node: &'a Node,
    /// `pools.blue`, `pools.green` or `switch`.
    group: &'static str,
    key: String,
    name: &'a str,
    address: &'a str,
    port: i128,
    user: Option<&'a str>,
}

impl Member<'_> {
    fn is_at(&self, other: &Member<'_>) -> bool {
        self.address.eq_ignore_ascii_case(other.address) && self.port == other.port
    }

    fn is_like(&self, other: &Member<'_>) -> bool {
        self.is_at(other) && self.user == other.user
    }

    /// Where a key of it stands; all of it when it has no such key of its own.
    fn place(&self, key: &str) -> &Place {
        self.node.get(&[key]).map_or(&self.node.place, |node| &node.place)
    }
}

/// Says what is wrong between servers; of each only the first thing.
pub(super) fn check(checker: &mut Checker<'_>) {
    let members = members(checker.root);
    for (index, member) in members.iter().enumerate() {
        if let Some(mistake) = members[..index].iter().find_map(|other| conflict(other, member)) {
            checker.mistakes.add(mistake);
        }
    }
}

/// The address of a server that is in both pools, if there is one.
pub(super) fn shared(root: &Node) -> Option<&str> {
    let members = members(root);
    let host = |group: &'static str| members.iter().filter(move |member| member.group == group);
    host("pools.blue")
        .find(|blue| host("pools.green").any(|green| blue.is_at(green)))
        .map(|blue| blue.address)
}

/// What is wrong between two servers, if anything.
fn conflict(first: &Member<'_>, second: &Member<'_>) -> Option<Mistake> {
    let (group, name) = (second.group, second.name);
    if first.group == group && first.is_at(second) {
        let message = format!("{} is in `{group}` twice", shown(second.address));
        let mistake = Mistake::at(
            second.place("address"),
            format!("{}.address", second.key),
            message,
        )
        .expected("an address and port of its own")
        .found(format!("{} port {}", second.address, second.port));
        return Some(mistake.related(first.place("address"), "the first one"));
    }
    if first.name == name && (first.group == group || !first.is_like(second)) {
        let message = format!("the name {} stands for two servers", shown(name));
        let mistake = Mistake::at(second.place("name"), format!("{}.name", second.key), message)
            .expected("a name of its own")
            .found(shown(name))
            .help("name it: `{ address = \"...\", name = \"...\" }`");
        return Some(mistake.related(first.place("name"), "the first one"));
    }
    let both_pools = group != ROUTERS && first.group != ROUTERS && first.group != group;
    if both_pools && first.is_at(second) && env(first) == env(second) {
        let message = format!("{} is in both pools with the same `env`", shown(second.address));
        let mistake = Mistake::at(&second.node.place, format!("{}.env", second.key), message)
            .expected("an `env` that differs, as both pools would fight for the same ports")
            .found("the same")
            .help("tell them apart: `env = { WEB_PORT = \"8081\" }` and `env = { WEB_PORT = \"8082\" }`");
        return Some(mistake.related(&first.node.place, "the other pool's"));
    }
    None
}

fn env(member: &Member<'_>) -> Option<serde_json::Value> {
    member.node.get(&["env"]).map(Node::to_json)
}

const ROUTERS: &str = "switch";

fn members(root: &Node) -> Vec<Member<'_>> {
    let default_port = root.integer(&["ssh", "port"]).unwrap_or(SSH_PORT);
    let default_user = root.text(&["ssh", "user"]);
    let groups = [
        (
            "pools.blue",
            "hosts",
            root.items(&["pools", Pool::Blue.as_str(), "hosts"]),
        ),
        (
            "pools.green",
            "hosts",
            root.items(&["pools", Pool::Green.as_str(), "hosts"]),
        ),
        (ROUTERS, "routers", root.items(&["switch", "routers"])),
    ];
    let mut members = Vec::new();
    for (group, list, items) in groups {
        for (index, node) in items.iter().enumerate() {
            let (Some(name), Some(address)) = (node.text(&["name"]), node.text(&["address"])) else {
                continue;
            };
            members.push(Member {
                node,
                group,
                key: format!("{group}.{list}[{index}]"),
                name,
                address,
                port: node.integer(&["port"]).unwrap_or(default_port),
                user: node.text(&["user"]).or(default_user),
            });
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Lab, with};

    /// The inventory with these hosts and routers.
    fn text(blue: &str, green: &str, routers: &str) -> String {
        with("pools.blue.hosts", blue)
            .replace(r#"["web3", "web4"]"#, green)
            .replace(r#"["lb1"]"#, routers)
    }

    #[test]
    fn one_machine_may_be_all() {
        let lab = Lab::new();
        let vps = |port| format!(r#"[{{ address = "vps", env = {{ WEB_PORT = "{port}" }} }}]"#);
        let in_compose = |text: String| {
            text.replace("path = \"/", "service = \"web\"\npath = \"/")
                .replacen("service = \"web\"\n", "", 1)
        };
        assert!(
            lab.load_text(&in_compose(text(&vps(8081), &vps(8082), r#"["vps"]"#)))
                .is_ok()
        );
        let errors = lab.refused(&in_compose(text(&vps(8081), &vps(8081), r#"["vps"]"#)));
        insta::assert_snapshot!(errors, @r#"
        error: "vps" is in both pools with the same `env`
          --> production.toml:12:10
           |
        12 | hosts = [{ address = "vps", env = { WEB_PORT = "8081" } }]
           |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected an `env` that differs, as both pools would fight for the same ports, found the same
           |
          ::: production.toml:10:10
           |
        10 | hosts = [{ address = "vps", env = { WEB_PORT = "8081" } }]
           |          ------------------------------------------------ the other pool's
           |
           = help: tell them apart: `env = { WEB_PORT = "8081" }` and `env = { WEB_PORT = "8082" }`

        production.toml: 1 mistake
        "#);
    }

    #[test]
    fn a_port_of_a_shared_host_proves_neither_pool() {
        let vps = |port| format!(r#"[{{ address = "vps", env = {{ WEB_PORT = "{port}" }} }}]"#);
        let errors = Lab::new().refused(&text(&vps(8081), &vps(8082), r#"["lb1"]"#));
        insta::assert_snapshot!(errors, @r#"
        error: `app.identity` cannot tell the pools apart
         --> production.toml:5:1
          |
        5 | [app.identity]
          | ^^^^^^^^^^^^^^ expected a `service`, as "vps" is in both pools, found a port of the host, which may be either pool's
          |
          = help: add `service = "..."`: it is then asked inside the pool's own Compose network

        error: `checks[0]` cannot tell the pools apart
          --> production.toml:14:8
           |
        14 | port = 80
           |        ^^ expected a `service`, as "vps" is in both pools, found a port of the host, which may be either pool's
           |
           = help: add `service = "..."`: it is then asked inside the pool's own Compose network

        production.toml: 2 mistakes
        "#);
    }

    #[test]
    fn no_server_is_in_a_group_twice() {
        let errors = Lab::new().refused(&text(
            r#"["web1", { address = "web1", name = "other", port = 22 }]"#,
            r#"["web3"]"#,
            r#"["lb1", "lb1:22"]"#,
        ));
        insta::assert_snapshot!(errors, @r#"
        error: "web1" is in `pools.blue` twice
         --> production.toml:9:30
          |
        9 | hosts = ["web1", { address = "web1", name = "other", port = 22 }]
          |                              ^^^^^^ expected an address and port of its own, found web1 port 22
          |
         ::: production.toml:9:10
          |
        9 | hosts = ["web1", { address = "web1", name = "other", port = 22 }]
          |          ------ the first one

        error: "lb1" is in `switch` twice
          --> production.toml:18:19
           |
        18 | routers = ["lb1", "lb1:22"]
           |                   ^^^^^^^^ expected an address and port of its own, found lb1 port 22
           |
          ::: production.toml:18:12
           |
        18 | routers = ["lb1", "lb1:22"]
           |            ----- the first one

        production.toml: 2 mistakes
        "#);
    }

    #[test]
    fn one_name_is_one_machine() {
        let lab = Lab::new();
        let errors = lab.refused(&text(
            r#"["127.0.0.1:2201", "127.0.0.1:2202"]"#,
            r#"[{ address = "web3", name = "web" }]"#,
            r#"[{ address = "lb1", name = "web" }]"#,
        ));
        insta::assert_snapshot!(errors, @r#"
        error: the name "127.0.0.1" stands for two servers
         --> production.toml:9:28
          |
        9 | hosts = ["127.0.0.1:2201", "127.0.0.1:2202"]
          |                            ^^^^^^^^^^^^^^^^ expected a name of its own, found "127.0.0.1"
          |
         ::: production.toml:9:10
          |
        9 | hosts = ["127.0.0.1:2201", "127.0.0.1:2202"]
          |          ---------------- the first one
          |
          = help: name it: `{ address = "...", name = "..." }`

        error: the name "web" stands for two servers
          --> production.toml:18:38
           |
        18 | routers = [{ address = "lb1", name = "web" }]
           |                                      ^^^^^ expected a name of its own, found "web"
           |
          ::: production.toml:11:37
           |
        11 | hosts = [{ address = "web3", name = "web" }]
           |                                     ----- the first one
           |
           = help: name it: `{ address = "...", name = "..." }`

        production.toml: 2 mistakes
        "#);
        let named = r#"[{ address = "127.0.0.1", port = 2201, name = "a" }, { address = "127.0.0.1", port = 2202, name = "b" }]"#;
        assert!(lab.load_text(&text(named, r#"["web3"]"#, r#"["lb1"]"#)).is_ok());
    }
}
