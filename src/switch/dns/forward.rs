//! Tail-forwarding: while caches still lead clients to the pool that a name has left, that pool's nginx hands their
//! requests on to the other pool. A file that is looked at for each request says whether it does; nothing is reloaded.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::health::direct::STAYS;
use crate::inventory::dns::Dns;
use crate::inventory::{Inventory, Pool};
use crate::remote::Script;
use crate::switch::servers::{endpoint, targets};

/// Most addresses that requests are spread over: they are told apart by one hexadecimal digit.
const MOST: usize = 16;

/// What is done to a pool's folder on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// The snippet is there, and nothing is handed on.
    Ready,
    /// Requests are handed on.
    On,
    /// They are not.
    Off,
    /// Nothing of it is there: the inventory does not want it, or no more.
    Gone,
}

/// The script that does it, to be run under the guard.
///
/// `order` is an epoch, and the number of a note within it: what comes late of the same run changes nothing either.
pub fn script(inventory: &Inventory, dns: &Dns, pool: Pool, stand: Stand, order: (u64, u64)) -> Script {
    let op = match stand {
        Stand::Ready => "ready",
        Stand::On => "on",
        Stand::Off => "off",
        Stand::Gone => "gone",
    };
    Script::new(include_str!("forward.sh"))
        .var("FOLDER", inventory.project(pool).forward_dir())
        .var("OP", op)
        .var("EPOCH", order.0.to_string())
        .var("NUMBER", order.1.to_string())
        .file("pm_snippet", snippet(inventory, dns, pool))
}

/// What nginx includes in its `server`.
fn snippet(inventory: &Inventory, dns: &Dns, pool: Pool) -> String {
    let other = pool.other();
    let port = targets(inventory)
        .iter()
        .find(|target| target.pool == other)
        .map_or(80, |target| target.port);
    let mut out = format!(
        "# Made by pointsman: while the file `on` stands beside this one, requests are answered by {other}.\n\
         set $pointsman_on 0;\n\
         if (-f /etc/nginx/pointsman/on) {{ set $pointsman_on 1; }}\n\
         if ($http_{}) {{ set $pointsman_on 0; }}\n",
        STAYS.to_lowercase().replace('-', "_")
    );
    let addresses: Vec<&String> = dns.records(other).iter().take(MOST).collect();
    let place = |address: &String| match address.parse::<IpAddr>() {
        Ok(_) => endpoint(address, port),
        Err(_) => format!("{}:{port}", address.trim_end_matches('.')),
    };
    let mut to = "$pointsman_to".to_owned();
    match addresses.as_slice() {
        // A name is looked up once, at start; one in a variable would need a resolver.
        [only] => to = place(only),
        all => {
            for (number, address) in all.iter().enumerate() {
                let digits: String = (0..MOST)
                    .filter(|digit| digit % all.len() == number)
                    .map(|digit| format!("{digit:x}"))
                    .collect();
                let _ = writeln!(
                    out,
                    "if ($request_id ~ \"^[{digits}]\") {{ set $pointsman_to {}; }}",
                    place(address)
                );
            }
        }
    }
    let _ = write!(
        out,
        "error_page 418 = @pointsman;\n\
         if ($pointsman_on) {{ return 418; }}\n\
         location @pointsman {{\n\
         \x20 proxy_pass http://{to};\n\
         \x20 proxy_http_version 1.1;\n\
         \x20 proxy_set_header Connection \"\";\n\
         \x20 proxy_set_header Host $http_host;\n\
         \x20 proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         \x20 proxy_set_header X-Forwarded-Proto $scheme;\n\
         \x20 proxy_set_header {STAYS} 1;\n\
         \x20 proxy_connect_timeout 2s;\n\
         }}\n"
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::testing::run;
    use crate::inventory::switch::Connector;

    #[test]
    fn each_address_gets_its_share() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("production.toml");
        std::fs::write(
            folder.path().join("compose.yml"),
            "services:\n  web: {image: a, volumes: [\"${POINTSMAN_FORWARD}:/etc/nginx/pointsman:ro\"]}\n",
        )
        .expect("written");
        std::fs::write(
            &file,
            "[app]\nname = \"shop\"\npath = \"/srv/shop\"\ncompose = \"compose.yml\"\nidentity = { path = \"/version\" }\n\
             [pools.blue]\nhosts = [\"192.0.2.1\", \"2001:db8::1\"]\n[pools.green]\nhosts = [\"192.0.2.3\", \"192.0.2.4\", \"2001:db8::5\"]\n\
             [[checks]]\nname = \"nginx\"\nport = 8080\npath = \"/up\"\n[switch]\nconnector = \"rfc2136\"\n\
             [switch.dns]\nname = \"shop.example.com\"\ntail_forward = true\n\
             [switch.rfc2136]\nserver = \"ns1\"\nkey = \"k\"\nsecret = \"eA==\"\n",
        )
        .expect("written");
        let path = camino::Utf8PathBuf::try_from(file).expect("UTF-8");
        let inventory =
            Inventory::load(&path, &|_| None).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
        let Connector::Dns(dns, _) = &inventory.switch.connector else {
            panic!("{:?}", inventory.switch);
        };
        insta::assert_snapshot!(snippet(&inventory, dns, Pool::Blue));
        let mut one = dns.clone();
        one.blue.truncate(1);
        assert!(snippet(&inventory, &one, Pool::Green).contains("proxy_pass http://192.0.2.1:8080;"));
    }

    #[test]
    fn what_is_not_wanted_any_more_goes_and_nothing_is_made_for_who_never_wanted_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("forward");
        let stand = |op: &str, number: u32| {
            let script = Script::new(include_str!("forward.sh"))
                .var("FOLDER", folder.to_str().expect("UTF-8"))
                .var("OP", op)
                .var("EPOCH", "1")
                .var("NUMBER", number.to_string())
                .file("pm_snippet", "# snippet\n".to_owned());
            assert_eq!(run(&script).code, 0, "{op}");
            ["forward.conf", "on"].map(|file| folder.join(file).exists())
        };
        stand("gone", 0);
        assert!(!folder.exists());
        assert_eq!(stand("ready", 0), [true, false]);
        assert_eq!(stand("on", 1), [true, true]);
        assert_eq!(stand("gone", 0), [false, false]);
        assert!(folder.exists(), "a container may have it mounted");
    }
}
