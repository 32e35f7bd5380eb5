//! Real programs as `switch config` sets them up, in a folder of their own: HAProxy, nginx, Caddy, Envoy,
//! kamal-proxy and Apache.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use pointsman::inventory::balancer::Flag;
use pointsman::inventory::switch::Connector as Settings;
use pointsman::inventory::{Inventory, Pool};
use pointsman::remote::Output;
use pointsman::switch::envoy::Envoy;
use pointsman::switch::exec::Exec;
use pointsman::switch::flag::{FlagFile, Program as Looks};
use pointsman::switch::haproxy::Haproxy;
use pointsman::switch::kamal_proxy::KamalProxy;
use pointsman::switch::{Route, RouterView, Scripted, connector_for};
use tempfile::TempDir;

use crate::app::App;
use crate::shell::{self, Armed, free_port};

/// Longest that anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Haproxy,
    Nginx,
    Caddy,
    Envoy,
    KamalProxy,
    /// By the worked example of a program of one's own.
    Apache,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Haproxy => "haproxy",
            Kind::Nginx => "nginx",
            Kind::Caddy => "caddy",
            Kind::Envoy => "envoy",
            Kind::KamalProxy => "kamal-proxy",
            Kind::Apache => "exec",
        }
    }

    fn binary(self) -> String {
        match self {
            Kind::Apache => "apache2".to_owned(),
            Kind::Envoy => std::env::var("POINTSMAN_TEST_ENVOY").expect(
                "POINTSMAN_TEST_ENVOY names Envoy 1.40's program (tests/run.sh installs it, and sets this)",
            ),
            Kind::KamalProxy => std::env::var("POINTSMAN_TEST_KAMAL_PROXY")
                .expect("POINTSMAN_TEST_KAMAL_PROXY names a kamal-proxy that was built by hand"),
            other => other.name().to_owned(),
        }
    }
}

/// What the worked example needs of Apache.
const MODULES: [&str; 10] = [
    "mpm_event",
    "authz_core",
    "env",
    "headers",
    "rewrite",
    "slotmem_shm",
    "proxy",
    "proxy_http",
    "proxy_balancer",
    "lbmethod_byrequests",
];

/// A file of the worked example.
fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/exec")
        .join(name)
}

/// A program with both pools behind it; ends with this value.
pub struct Program {
    kind: Kind,
    dir: TempDir,
    inventory: Inventory,
    pub port: u16,
    child: Option<Child>,
    /// Envoys that a reload left behind, or will: the last one is the one that stays.
    successors: Mutex<Vec<Child>>,
    admin: u16,
    apps: Vec<App>,
}

impl Program {
    /// Two servers a pool, each answering with its pool's name; blue is hot.
    pub fn start(kind: Kind) -> Program {
        let apps = vec![
            App::serve("blue"),
            App::serve("blue"),
            App::serve("green"),
            App::serve("green"),
        ];
        let dir = TempDir::new().expect("a folder");
        // Apache's workers are nobody special, and look into it.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("set");
        let (port, status) = (free_port(), free_port());
        let at = dir.path().display().to_string();
        fs::write(dir.path().join("compose.yml"), "services: {web: {image: a}}\n").expect("written");
        // Every address of 127.0.0.0/8 is this machine.
        let host = |n: usize| {
            let port = apps[n - 1].port;
            format!(r#"{{ address = "127.0.0.{n}", name = "web{n}", env = {{ WEB_PORT = "{port}" }} }}"#)
        };
        let settings = match kind {
            Kind::Haproxy => format!(
                "[switch.haproxy]\nsocket = \"{at}/admin.sock\"\nmaster_socket = \"{at}/master.sock\"\nmap = \"{at}/flags/pools.map\"\n"
            ),
            Kind::Nginx | Kind::Caddy => format!(
                "[switch.{}]\nflags = \"{at}/flags\"\nstatus_port = {status}\n",
                kind.name()
            ),
            Kind::Envoy => format!("[switch.envoy]\nfolder = \"{at}/flags\"\nstatus_port = {status}\n"),
            Kind::KamalProxy => format!(
                "[switch.kamal_proxy]\ncommand = [\"{at}/flags/kamal-proxy\"]\nstate = [\"cat\", \"{at}/.config/kamal-proxy/kamal-proxy.state\"]\n"
            ),
            Kind::Apache => format!(
                "[switch.exec]\nprogram = \"{}\"\nargs = [\"{at}/flags\", \"{status}\", \"/up\"]\n",
                example("pointsman-switch").display()
            ),
        };
        let text = format!(
            r#"[app]
name = "shop"
path = "/srv/shop"
compose = "compose.yml"
identity = {{ path = "/version" }}
[pools.blue]
hosts = [{}, {}]
[pools.green]
hosts = [{}, {}]
[[checks]]
name = "web"
service = "web"
port = 80
path = "/up"
[switch]
connector = "{}"
routers = ["127.0.0.1"]
{settings}"#,
            host(1),
            host(2),
            host(3),
            host(4),
            kind.name()
        );
        let file = dir.path().join("one.toml");
        fs::write(&file, text).expect("written");
        let inventory = Inventory::load(Utf8Path::from_path(&file).expect("UTF-8"), &|_| None)
            .unwrap_or_else(|e| panic!("{}", e.render(false)));
        fs::create_dir(dir.path().join("flags")).expect("made");
        let mut program = Program {
            kind,
            dir,
            inventory,
            port,
            child: None,
            successors: Mutex::default(),
            admin: free_port(),
            apps,
        };
        program.write_config(status);
        program.run();
        program
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The configuration that is printed, but for ports and what only root may do.
    fn write_config(&self, status: u16) {
        let (port, at) = (self.port, self.dir.path().display());
        let config = connector_for(&self.inventory)
            .expect("a connector")
            .config(&self.inventory);
        let (name, text) = match self.kind {
            Kind::Haproxy => {
                fs::write(self.path("flags/pools.map"), "shop blue:blue:0\n").expect("written");
                for pool in Pool::ALL {
                    fs::write(self.path(&format!("flags/shop_{pool}.state")), "1\n").expect("written");
                }
                let text = config
                    .replace("    user haproxy\n    group haproxy\n", "")
                    .replace(" group haproxy level", " level")
                    .replace("bind :80", &format!("bind 127.0.0.1:{port}"));
                ("haproxy.cfg", text)
            }
            Kind::Nginx => {
                let text = config.replace("listen 80 default_server", &format!("listen 127.0.0.1:{port}"));
                let text = format!(
                    "user www-data;\nworker_processes 2;\ndaemon off;\npid {at}/nginx.pid;\nerror_log {at}/log warn;\nevents {{}}\n\
                     http {{\naccess_log off;\nclient_body_temp_path {at}/body;\nproxy_temp_path {at}/proxy;\n{text}}}\n"
                );
                ("nginx.conf", text)
            }
            Kind::Caddy => {
                let text = config.replace("\n:80 {", &format!("\nhttp://:{port} {{\n\tbind 127.0.0.1"));
                let text = format!(
                    "{{\n\tadmin unix/{at}/caddy.sock\n\tauto_https off\n\tstorage file_system {at}/storage\n}}\n{text}"
                );
                ("Caddyfile", text)
            }
            Kind::Envoy => {
                let file = config
                    .lines()
                    .find_map(|line| line.strip_prefix("#   echo '")?.split('\'').next());
                let file = file.expect("its first value").to_owned() + "\n";
                fs::write(self.path("flags/shop.json"), file).expect("written");
                let text = config
                    .replace(
                        "address: 0.0.0.0, port_value: 80 }",
                        &format!("address: 127.0.0.1, port_value: {port} }}"),
                    )
                    .replace("port_value: 9901 }", &format!("port_value: {} }}", self.admin));
                ("envoy.yaml", text)
            }
            Kind::KamalProxy => {
                let command = format!(
                    "#!/bin/sh\nKAMAL_PROXY_SOCKET={at}/proxy.sock exec {} \"$@\"\n",
                    self.kind.binary()
                );
                let file = self.path("flags/kamal-proxy");
                fs::write(&file, command).expect("written");
                fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("set");
                ("set-up", config)
            }
            Kind::Apache => {
                let text = fs::read_to_string(example("shop.conf")).expect("the example");
                let text = (1..=4).zip(&self.apps).fold(text, |text, (n, app)| {
                    text.replace(
                        &format!("web{n}.example.com:80"),
                        &format!("127.0.0.{n}:{}", app.port),
                    )
                });
                let text = text
                    .replace("/etc/apache2/pointsman/shop\n\n", &format!("{at}/flags\n\n"))
                    .replace(
                        "Listen 80\n<VirtualHost *:80>",
                        &format!("Listen 127.0.0.1:{port}\n<VirtualHost *:{port}>"),
                    )
                    .replace("127.0.0.1:9180", &format!("127.0.0.1:{status}"));
                let modules: Vec<String> = MODULES
                    .iter()
                    .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
                    .collect();
                let head = "User www-data\nGroup www-data\nServerName localhost\nStartServers 1\nThreadsPerChild 64\n";
                (
                    "httpd.conf",
                    format!(
                        "{}{head}PidFile {at}/apache.pid\nDefaultRuntimeDir {at}\nErrorLog {at}/log\n{text}",
                        modules.concat()
                    ),
                )
            }
        };
        fs::write(self.path(name), text).expect("written");
    }

    /// Starts it, and waits until it answers.
    pub fn run(&mut self) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .expect("a log");
        let at = |name: &str| self.path(name).display().to_string();
        let mut command = Command::new(self.kind.binary());
        match self.kind {
            Kind::Haproxy => command.args(["-W", "-S", &at("master.sock"), "-f", &at("haproxy.cfg")]),
            Kind::Nginx => command.args(["-c", &at("nginx.conf"), "-e", &at("log")]),
            Kind::Apache => command.args(["-f", &at("httpd.conf"), "-D", "FOREGROUND"]),
            Kind::Envoy => command.args(self.envoy_args(0)),
            Kind::KamalProxy => command
                .args(["run", "--http-port", &self.port.to_string()])
                .args(["--https-port", &self.admin.to_string()])
                .env("HOME", self.dir.path())
                .env("KAMAL_PROXY_SOCKET", self.path("proxy.sock")),
            Kind::Caddy => command
                .args(["run", "--adapter", "caddyfile", "--config", &at("Caddyfile")])
                .env("HOME", self.dir.path()),
        };
        let child = command
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|e| panic!("{} is installed (tests/run.sh does it): {e}", self.kind.name()));
        self.child = Some(child);
        if self.kind == Kind::KamalProxy && !self.path(".config/kamal-proxy/kamal-proxy.state").exists() {
            self.wait("it to be set up", || {
                let set_up = Command::new("sh")
                    .arg(self.path("set-up"))
                    .stderr(Stdio::null())
                    .status();
                set_up.expect("a shell").success()
            });
        }
        self.wait("it to answer, with all servers up", || {
            self.view()
                .is_ok_and(|view| Pool::ALL.into_iter().all(|pool| view.up(pool) == 2))
                && self.get().is_some()
        });
    }

    /// Envoy's command line. Its successors (`epoch`) take over from it by this number, which nobody else on this machine has.
    fn envoy_args(&self, epoch: usize) -> [String; 14] {
        [
            "-c".to_owned(),
            self.path("envoy.yaml").display().to_string(),
            "--base-id".to_owned(),
            self.admin.to_string(),
            "--restart-epoch".to_owned(),
            epoch.to_string(),
            "--concurrency".to_owned(),
            "2".to_owned(),
            "--drain-time-s".to_owned(),
            "1".to_owned(),
            "--parent-shutdown-time-s".to_owned(),
            "2".to_owned(),
            "--log-level".to_owned(),
            "warn".to_owned(),
        ]
    }

    /// Ends it as a machine's service manager would at once.
    pub fn stop(&mut self) {
        for mut successor in std::mem::take(&mut *self.successors.lock().expect("nobody panicked")) {
            let _ = successor.kill();
            let _ = successor.wait();
        }
        let Some(mut child) = self.child.take() else {
            return;
        };
        // nginx's workers and HAProxy's end with what made them.
        let signal = match self.kind {
            Kind::Nginx => "-INT",
            _ => "-TERM",
        };
        let _ = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        let end = Instant::now() + PATIENCE;
        while child.try_wait().expect("a child").is_none() {
            if Instant::now() > end {
                let _ = child.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn restart(&mut self) {
        self.stop();
        self.run();
    }

    /// Reads its configuration anew; what it serves meanwhile is its own business.
    pub fn reload(&self) {
        let child = self.child.as_ref().expect("it runs").id().to_string();
        let signal = match self.kind {
            Kind::Haproxy => "-USR2",
            Kind::Nginx => "-HUP",
            Kind::Apache => "-USR1",
            Kind::Envoy => return self.succeed(),
            Kind::KamalProxy => unreachable!("it has no configuration that could be read anew"),
            Kind::Caddy => {
                let config = self.path("Caddyfile");
                let to = format!("unix/{}", self.path("caddy.sock").display());
                let reloaded = Command::new("caddy")
                    .args(["reload", "--adapter", "caddyfile", "--force", "--address", &to])
                    .arg("--config")
                    .arg(config)
                    .env("HOME", self.dir.path())
                    .stderr(Stdio::null())
                    .status();
                assert!(reloaded.expect("caddy").success());
                return;
            }
        };
        let sent = Command::new("kill")
            .args([signal, &child])
            .status()
            .expect("kill");
        assert!(sent.success());
    }

    /// Envoy has no reload: a new one takes over its listeners ("hot restart"), and the old one ends. Returns once that is done.
    fn succeed(&self) {
        let mut successors = self.successors.lock().expect("nobody panicked");
        let log = fs::OpenOptions::new()
            .append(true)
            .open(self.path("log"))
            .expect("a log");
        let next = Command::new(self.kind.binary())
            .args(self.envoy_args(successors.len() + 1))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Envoy");
        let before = match successors.last() {
            Some(last) => last.id(),
            None => self.child.as_ref().expect("it runs").id(),
        };
        successors.push(next);
        let end = Instant::now() + PATIENCE;
        // One that has ended and was not waited for is a zombie.
        while fs::read_to_string(format!("/proc/{before}/stat")).is_ok_and(|stat| !stat.contains(") Z")) {
            assert!(Instant::now() < end, "the old Envoy does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The body of an answer with status 200.
    pub fn get(&self) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(
            stream,
            "GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let good = answer.starts_with("HTTP/1.1 200");
        good.then(|| answer.rsplit("\r\n").next().unwrap_or_default().to_owned())
    }

    /// Sends a request without a body to Envoy's admin interface.
    pub fn admin(&self, request: &str) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin)).expect("its admin interface");
        let text =
            format!("{request} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(text.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// What pointsman sees.
    pub fn view(&self) -> Result<RouterView, String> {
        let connector = self.connector();
        connector.view(&shell::read(&connector.observe_script("lb1")))
    }

    /// A flip that is prepared; or why it could not be.
    pub fn arm(&self, pool: Pool) -> Result<Armed, String> {
        self.arm_route(&Route::all(pool))
    }

    /// As [`Program::arm`], to any route.
    pub fn arm_route(&self, to: &Route) -> Result<Armed, String> {
        shell::arm(&self.connector().flip_script("lb1", to)?, None)
    }

    /// What a flip came to.
    pub fn flipped(&self, output: &Output) -> Result<RouterView, (String, bool)> {
        self.connector().flipped(output)
    }

    /// Moves it, and asserts that it has moved.
    pub fn flip(&self, pool: Pool) {
        let armed = self.arm(pool).unwrap_or_else(|problem| panic!("{problem}"));
        let view = self
            .flipped(&armed.commit())
            .unwrap_or_else(|(problem, _)| panic!("{problem}"));
        assert!(view.is_all(pool), "{view:?}");
    }

    /// What `doctor` finds wrong, in words.
    pub fn wrong(&self) -> Vec<String> {
        let connector = self.connector();
        let findings = connector.findings("lb1", &shell::read(&connector.doctor_script("lb1")));
        let wrong = findings.into_iter().filter(|finding| !finding.ok);
        wrong
            .map(|finding| {
                finding
                    .what
                    .replace(&self.dir.path().display().to_string(), "DIR")
            })
            .collect()
    }

    /// From now on this server, counted from 1, refuses connections.
    pub fn kill_a_server(&mut self, number: usize) {
        self.apps[number - 1].die();
    }

    /// It serves again, where it did.
    pub fn revive_a_server(&mut self, number: usize) {
        self.apps[number - 1].live();
    }

    pub fn wait(&self, what: &str, mut until: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !until() {
            let log = || {
                let log = fs::read_to_string(self.path("log")).unwrap_or_default();
                log.chars().take(1500).collect::<String>()
            };
            assert!(
                Instant::now() < end,
                "{}: waited in vain for {what}: {:?}\n{}",
                self.kind.name(),
                self.view(),
                log()
            );
            std::thread::sleep(Duration::from_millis(20)); // the pause between two looks
        }
    }

    fn connector(&self) -> Box<dyn Scripted> {
        let flag = |looks, settings: &Flag| Box::new(FlagFile::new(looks, settings.clone(), &self.inventory));
        match &self.inventory.switch.connector {
            Settings::Haproxy(settings) => Box::new(Haproxy::new(settings.clone())),
            Settings::Nginx(settings) => flag(Looks::Nginx, settings),
            Settings::Caddy(settings) => flag(Looks::Caddy, settings),
            Settings::Envoy(settings) => Box::new(Envoy::new(settings.clone(), &self.inventory)),
            Settings::KamalProxy(settings) => Box::new(KamalProxy::new(settings.clone(), &self.inventory)),
            Settings::Exec(settings) => Box::new(Exec::new(settings.clone(), &self.inventory)),
            other => unreachable!("not a program on a router: {other:?}"),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
    }
}
