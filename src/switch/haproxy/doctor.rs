//! What `doctor` says of an HAProxy router.

use super::{Haproxy, read, stat};
use crate::inventory::Pool;
use crate::remote::Output;
use crate::switch::Finding;
use crate::switch::look::Look;

const CONFIG: &str = "`pointsman switch config` prints the lines that it needs";
/// The first version whose master and workers can do all that a flip asks of them.
const OLDEST: (u32, u32) = (2, 2);

/// Every finding, in the order in which they are mended. Ends early where what follows would say the same again.
pub(super) fn findings(haproxy: &Haproxy, router: &str, output: &Output) -> Vec<Finding> {
    let look = match Look::at(router, output) {
        Ok(look) => look,
        Err(findings) => return findings,
    };
    let mut look = Haproxys { haproxy, look };
    look.tools();
    look.file();
    if look.socket() {
        look.map();
        look.workers();
        look.backends();
    }
    look.look.findings
}

/// What only HAProxy's routers have to show.
struct Haproxys<'a> {
    haproxy: &'a Haproxy,
    look: Look<'a>,
}

impl Haproxys<'_> {
    fn tools(&mut self) {
        match self.look.text("helper") {
            "" => self.look.bad(
                "expected perl, python3, socat or `nc -U` to speak to HAProxy, found none of them",
                "install one, e.g. `apt-get install socat`",
            ),
            helper @ ("perl" | "python3") => self.look.good(format!("speaks to HAProxy by {helper}")),
            helper => self.look.good(format!(
                "speaks to HAProxy by {helper}; perl or python3 would keep a connection open and flip faster"
            )),
        }
        self.look.tools("util-linux, coreutils, diffutils and awk");
    }

    fn file(&mut self) {
        let map = &self.haproxy.settings.map;
        let folder = map.rsplit_once('/').map_or("/", |(folder, _)| folder);
        let user = self.look.text("user");
        match self.look.text("map-file") {
            "readable" => self.look.good(format!("the map file {map} is there")),
            found => {
                let found = match found {
                    "missing" => "nothing there",
                    "link" => "a symbolic link: the flip renames a new file into place",
                    "unreadable" => "one that cannot be read",
                    _ => "something else",
                };
                self.look.bad(
                    format!("expected a plain file {map}, found {found}"),
                    format!(
                        "as {user}: echo '{} blue:blue:0' > {map}",
                        self.haproxy.settings.key
                    ),
                );
            }
        }
        if self.look.text("folder") == "writable" {
            self.look.good(format!("{user} may replace files in {folder}"));
        } else {
            self.look.bad(
                format!("expected a folder {folder} that {user} may write, found none"),
                format!("as root: install -d -o {user} {folder}"),
            );
        }
    }

    /// Whether HAProxy answers at all.
    fn socket(&mut self) -> bool {
        let socket = &self.haproxy.settings.socket;
        let hint = match self.look.text("socket") {
            "missing" => {
                "is HAProxy running? is this its `stats socket`? see [switch.haproxy] socket".to_owned()
            }
            "forbidden" => format!(
                "as root: usermod -aG haproxy {} (and `stats socket {socket} mode 660 group haproxy level admin`)",
                self.look.text("user")
            ),
            _ => "is HAProxy running? is this its `stats socket`?".to_owned(),
        };
        let info = self.look.text("info");
        let Some(version) = info.lines().find_map(|line| line.strip_prefix("Version: ")) else {
            self.look
                .bad(format!("expected HAProxy to answer, found {info}"), hint);
            return false;
        };
        let number = |text: Option<&str>| text.and_then(|t| t.parse::<u32>().ok()).unwrap_or_default();
        let mut parts = version.split('.');
        if (number(parts.next()), number(parts.next())) >= OLDEST {
            self.look.good(format!("HAProxy {version} answers on {socket}"));
        } else {
            let (major, minor) = OLDEST;
            self.look.bad(
                format!("expected HAProxy {major}.{minor} or newer, found {version}"),
                "upgrade HAProxy",
            );
        }
        match self.look.text("level") {
            "admin" => self.look.good(format!("{socket} has level admin")),
            level => self.look.bad(
                format!("expected level admin of {socket}, found {level}"),
                format!("`stats socket {socket} mode 660 group haproxy level admin`, and reload"),
            ),
        }
        true
    }

    fn map(&mut self) {
        let (map, key) = (&self.haproxy.settings.map, &self.haproxy.settings.key);
        let answer = self.look.text("map");
        if answer.contains("nknown map") {
            self.look.bad(
                format!("expected HAProxy to use the map {map}, found that it does not know it"),
                CONFIG,
            );
        } else if self.look.text("live").is_empty() {
            self.look.bad(
                format!("expected the key {key} in the running map, found none"),
                format!("add the line `{key} blue:blue:0` to {map}, and reload"),
            );
        } else {
            match read::routes(self.look.output) {
                Ok(view) => {
                    self.look.good(format!("the map sends {key} to {}", view.live));
                    match view.drift() {
                        None => self
                            .look
                            .good("a reload or a restart keeps that: file and workers agree"),
                        Some(drift) if view.problems.is_empty() => {
                            self.look.bad(
                                drift,
                                format!("`pointsman flip --to {}` writes all alike", view.live.live),
                            );
                        }
                        // Told by `workers`.
                        Some(_) => {}
                    }
                }
                Err(problem) => self.look.bad(problem, format!("see {map}, and {CONFIG}")),
            }
            match self.look.text("uses").parse::<u32>() {
                Ok(1) => self.look.good(format!(
                    "no server can be left out (`deploy --without`): the checks do not look into the map; {CONFIG}"
                )),
                Ok(_) => self.look.good("a server can be left out: the checks look into the map"),
                // Told by `socket`.
                Err(_) => {}
            }
        }
    }

    fn workers(&mut self) {
        let problems = self.look.text("problems").replace('\n', "; ");
        let Some(master) = &self.haproxy.settings.master_socket else {
            return self.look.good(
                "[switch.haproxy] master_socket is not set: do not reload while old connections matter, \
                 the workers that a reload leaves behind would not be moved",
            );
        };
        if problems.is_empty() {
            self.look.good(format!("all workers answer through {master}"));
        } else {
            self.look.bad(
                problems,
                format!(
                    "start HAProxy with `-W -S {master},mode,660,group,haproxy`; workers that never knew the map \
                     must end first"
                ),
            );
        }
    }

    fn backends(&mut self) {
        let mut servers = match stat::servers(self.look.text("stat")) {
            Ok(servers) => servers,
            Err(problem) => return self.look.bad(problem, "is this HAProxy's own socket?"),
        };
        for pool in Pool::ALL {
            let backend = self.haproxy.backend(pool);
            let there = self
                .look
                .text("backends")
                .lines()
                .any(|line| line.trim() == backend);
            let servers = servers.remove(&backend).unwrap_or_default();
            let unchecked: Vec<&str> = servers
                .iter()
                .filter(|server| server.active && server.status == "no check")
                .map(|server| server.name.as_str())
                .collect();
            if !there {
                self.look
                    .bad(format!("expected a backend {backend}, found none"), CONFIG);
            } else if servers.is_empty() {
                self.look.bad(
                    format!("expected servers in backend {backend}, found none"),
                    CONFIG,
                );
            } else if !unchecked.is_empty() {
                self.look.bad(
                    format!(
                        "expected checks of all servers of backend {backend}, found none of {}",
                        unchecked.join(", ")
                    ),
                    "add `check` to those servers: one that is not checked is never known to be up",
                );
            } else {
                let words: Vec<String> = servers
                    .iter()
                    .map(|server| format!("{} {}", server.name, server.status))
                    .collect();
                self.look.good(format!("backend {backend}: {}", words.join(", ")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::balancer::Haproxy as Settings;

    /// What doctor.sh prints where all is well.
    const WELL: &str = "
@@pm:helper\nperl\n
@@pm:tools\n
@@pm:socket\nusable\n
@@pm:map-file\nreadable\n
@@pm:folder\nwritable\n
@@pm:user\ndeploy\n
@@pm:info\nName: HAProxy\nVersion: 2.6.12-1+deb12u4\nPid: 7\n
@@pm:level\nadmin\n
@@pm:map\ntype=str, case=sensitive, found=yes, idx=tree, key=\"shop\", value=\"blue:blue:0\", type=\"str\"\n
@@pm:uses\n2\n
@@pm:stat\n# pxname,svname,qcur,scur,status,act\nshop_blue,web1,0,0,UP,1\nshop_green,web2,0,0,DOWN,1\n
@@pm:backends\n# name\nshop_blue\nshop_green\n
@@pm:live\nblue:blue:0\n
@@pm:file\nblue:blue:0\n
@@pm:workers\n
@@pm:problems\n
@@pm:end
";

    /// Findings, those that are well left out, after these texts were changed.
    fn mistakes(changes: &[(&str, &str)]) -> String {
        let mut stdout = WELL.to_owned();
        for (from, to) in changes {
            assert!(stdout.contains(from), "{from}");
            stdout = stdout.replace(from, to);
        }
        shown(&stdout, Some("/run/haproxy/master.sock"), false)
    }

    fn shown(stdout: &str, master: Option<&str>, good: bool) -> String {
        let haproxy = Haproxy::new(Settings {
            socket: "/run/haproxy/admin.sock".into(),
            master_socket: master.map(str::to_owned),
            map: "/etc/haproxy/pointsman/pools.map".into(),
            key: "shop".into(),
            backend: "shop_{pool}".into(),
            min_up: None,
        });
        let output = Output {
            stdout: stdout.to_owned(),
            ..Output::default()
        };
        findings(&haproxy, "lb1", &output)
            .into_iter()
            .filter(|finding| finding.ok == good)
            .map(|finding| match finding.hint {
                Some(hint) => format!("{}\n  hint: {hint}\n", finding.what),
                None => format!("{}\n", finding.what),
            })
            .collect()
    }

    #[test]
    fn a_good_router() {
        assert_eq!(mistakes(&[]), "");
        insta::assert_snapshot!(shown(WELL, Some("/run/haproxy/master.sock"), true), @r#"
        speaks to HAProxy by perl
        has the tools that a flip needs
        the map file /etc/haproxy/pointsman/pools.map is there
        deploy may replace files in /etc/haproxy/pointsman
        HAProxy 2.6.12-1+deb12u4 answers on /run/haproxy/admin.sock
        /run/haproxy/admin.sock has level admin
        the map sends shop to blue
        a reload or a restart keeps that: file and workers agree
        a server can be left out: the checks look into the map
        all workers answer through /run/haproxy/master.sock
        backend shop_blue: web1 UP
        backend shop_green: web2 DOWN
        "#);
    }

    #[test]
    fn its_socket() {
        insta::assert_snapshot!(mistakes(&[
            ("usable", "missing"),
            (
                "Name: HAProxy\nVersion: 2.6.12-1+deb12u4\nPid: 7",
                "/run/haproxy/admin.sock: No such file or directory"
            )
        ]), @r#"
        expected HAProxy to answer, found /run/haproxy/admin.sock: No such file or directory
          hint: is HAProxy running? is this its `stats socket`? see [switch.haproxy] socket
        "#);
        insta::assert_snapshot!(mistakes(&[
            ("2.6.12-1+deb12u4", "1.8.30"),
            ("\nadmin\n", "\noperator\n")
        ]), @r#"
        expected HAProxy 2.2 or newer, found 1.8.30
          hint: upgrade HAProxy
        expected level admin of /run/haproxy/admin.sock, found operator
          hint: `stats socket /run/haproxy/admin.sock mode 660 group haproxy level admin`, and reload
        "#);
    }

    #[test]
    fn its_tools_and_files() {
        insta::assert_snapshot!(mistakes(&[
            ("perl", ""),
            ("tools\n", "tools\nflock\nawk\n"),
            ("\nreadable", "\nmissing"),
            ("\nwritable", "\n")
        ]), @r#"
        expected perl, python3, socat or `nc -U` to speak to HAProxy, found none of them
          hint: install one, e.g. `apt-get install socat`
        expected flock, awk, found none
          hint: install util-linux, coreutils, diffutils and awk
        expected a plain file /etc/haproxy/pointsman/pools.map, found nothing there
          hint: as deploy: echo 'shop blue:blue:0' > /etc/haproxy/pointsman/pools.map
        expected a folder /etc/haproxy/pointsman that deploy may write, found none
          hint: as root: install -d -o deploy /etc/haproxy/pointsman
        "#);
    }

    #[test]
    fn its_map() {
        insta::assert_snapshot!(mistakes(&[("file\nblue:blue:0", "file\ngreen:green:0")]), @r#"
        serves blue, but its file says green: a reload would flip it
          hint: `pointsman flip --to blue` writes all alike
        "#);
        insta::assert_snapshot!(mistakes(&[
            ("type=str, case=sensitive, found=yes", "Unknown map identifier."),
            ("live\nblue:blue:0", "live\n")
        ]), @r#"
        expected HAProxy to use the map /etc/haproxy/pointsman/pools.map, found that it does not know it
          hint: `pointsman switch config` prints the lines that it needs
        "#);
        insta::assert_snapshot!(mistakes(&[
            (
                "found=yes, idx=tree, key=\"shop\", value=\"blue:blue:0\", type=\"str\"",
                "found=no"
            ),
            ("live\nblue:blue:0", "live\n")
        ]), @r#"
        expected the key shop in the running map, found none
          hint: add the line `shop blue:blue:0` to /etc/haproxy/pointsman/pools.map, and reload
        "#);
    }

    #[test]
    fn its_workers_and_backends() {
        insta::assert_snapshot!(mistakes(&[("problems\n", "problems\nworker 8 did not say\n")]), @r#"
        worker 8 did not say
          hint: start HAProxy with `-W -S /run/haproxy/master.sock,mode,660,group,haproxy`; workers that never knew the map must end first
        "#);
        insta::assert_snapshot!(mistakes(&[
            ("shop_green\n", ""),
            ("shop_green,web2,0,0,DOWN,1\n", ""),
            ("web1,0,0,UP", "web1,0,0,no check")
        ]), @r#"
        expected checks of all servers of backend shop_blue, found none of web1
          hint: add `check` to those servers: one that is not checked is never known to be up
        expected a backend shop_green, found none
          hint: `pointsman switch config` prints the lines that it needs
        "#);
        assert!(shown(WELL, None, true).contains("master_socket is not set"));
    }
}
