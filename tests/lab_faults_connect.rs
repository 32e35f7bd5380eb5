//! Faults of the way to a host, on real servers (docs/faults.md: connect; 16 and 17).
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Read as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::load::Load;
use support::scene::{SOON, changed, hits, none_lost, root, until};
use support::{Fault, Pointsman, Running, lab, lab_command, reset, routers};

/// One deployed state for all: v1 is hot on green throughout, blue is deployed to.
#[test]
fn faults_of_the_way_to_a_host() {
    reset("two-pools");
    let pointsman = Pointsman::new("two-pools");
    pointsman.expect(&["deploy", "v1"], 0);
    let load = Load::start(&routers("ROUTER_URLS"), "/version", 50);
    hosts_that_do_not_answer();
    a_host_key_that_nobody_knows();
    an_sshd_that_is_full(&pointsman);
    an_sshd_that_opens_one_session(&pointsman);
    a_master_of_the_user_that_hangs();
    a_master_of_ours_that_hangs(&pointsman);
    a_connection_that_is_cut_in_the_middle_of_a_command(&pointsman);
    a_jump_host_that_dies();
    a_lock_that_another_list_of_hosts_meets(&pointsman);
    clocks_that_are_off(&pointsman);
    let shots = load.stop();
    none_lost("the way to a host", &shots);
    assert!(shots.iter().all(|shot| shot.answer.as_deref() == Ok("v1")));
}

fn epoch() -> String {
    root("lb1", "cat /home/deploy/shop/.pointsman/shop/two-pools/epoch")
}

fn log_count(host: &str, words: &str) -> usize {
    let count = root(host, &format!("grep -c '{words}' /var/log/sshd.log || :"));
    count.trim().parse().unwrap()
}

/// A file beside the inventories.
fn beside(name: &str, text: &str) -> PathBuf {
    let path = Path::new(&lab()["INVENTORY_DIR"]).with_file_name(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Rows 1, 2 and 6: said with the host's name within the bound, nothing changed, and a refused login is tried once.
/// Without the bound around a connect (`sessions.rs`, `open_once`) and ConnectTimeout the first two outlast the test's
/// own (a frozen sshd is waited for without an end); a retry of what is final makes two logins of one (seen by hand).
fn hosts_that_do_not_answer() {
    let short = changed(
        "connect",
        &[("common.toml", "[ssh]\n", "[ssh]\nconnect_timeout = \"2s\"\n")],
    );
    let before = epoch();
    let refused = "authenticating user deploy";
    for (fault, words) in [
        ("unreachable", "cannot connect"),
        ("sshd-frozen", "cannot connect"),
        ("auth-refused", "refused the login"),
    ] {
        let on = Fault::on(fault, "web1");
        let logins = log_count("web1", refused);
        if fault == "sshd-frozen" {
            let mut stream = TcpStream::connect((lab()["WEB1"].as_str(), 22)).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            assert!(
                stream.read(&mut [0]).is_err(),
                "it accepts, and does not say its name"
            );
        }
        let began = Instant::now();
        let ran = short.expect(&["plan", "v2"], 50);
        let took = began.elapsed();
        ran.says(&["web1", words]);
        assert!(took < Duration::from_secs(10), "{fault}: {took:?}");
        match fault {
            "unreachable" => assert!(hits(fault, "web1") > 0, "the fault fired"),
            "auth-refused" => assert_eq!(log_count("web1", refused) - logins, 1, "one login, and no more"),
            _ => {}
        }
        drop(on);
    }
    assert_eq!(before, epoch());
}

/// Row 5: an unknown key is refused as well, and not learned. (A changed one: `lab_main_job`.)
fn a_host_key_that_nobody_knows() {
    let known = beside("no-keys", "");
    let edit = [("common.toml", "\"../ssh/known_hosts\"", "\"../no-keys\"")];
    let ran = changed("unknown-key", &edit).expect(&["doctor"], 50);
    ran.says(&[
        "lb1",
        "web1",
        "the host key of",
        "no key of it in known_hosts",
        "SHA256:",
    ]);
    assert_eq!(std::fs::read_to_string(known).unwrap(), "", "nothing was learned");
}

/// Row 6, MaxStartups: newcomers are dropped three times at least, one more than any connect is tried; then there is
/// room, and the run goes on. With BUSY_TRIES at CONNECT_TRIES it ends with 50 (seen by hand).
fn an_sshd_that_is_full(pointsman: &Pointsman) {
    let _full = Fault::on("sshd-full", "web1");
    let dropped = || log_count("web1", "past MaxStartups");
    let before = dropped();
    let mut taken = TcpStream::connect((lab()["WEB1"].as_str(), 22)).unwrap();
    taken.read_exact(&mut [0; 4]).unwrap();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| pointsman.run(&["plan", "v2"]));
        until("newcomers that are dropped", SOON, || dropped() >= before + 3);
        drop(taken);
        let ran = run.join().unwrap();
        assert_eq!(ran.code(), 0, "{}", ran.text());
    });
}

/// Row 6, MaxSessions: what is asked at once is asked one after the other. Without the wait in `Session::channel` the
/// plan is refused: "the connection broke before anything was sent" (seen by hand).
fn an_sshd_that_opens_one_session(pointsman: &Pointsman) {
    let _one = Fault::on("sshd-one-session", "web1");
    let refused = || log_count("web1", "no more sessions");
    let before = refused();
    pointsman.expect(&["plan", "v2"], 0);
    assert!(refused() > before, "the fault fired");
}

/// Kills what it started.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Row 4: the user's own `ssh_config` shares connections, and the shared one hangs. It is neither used nor ended. The
/// control is `ssh` itself, which waits for it.
fn a_master_of_the_user_that_hangs() {
    let sockets = tempfile::tempdir().unwrap();
    let config = format!(
        "Host *\n  ControlMaster auto\n  ControlPath {}/%h\n  Include {}\n",
        sockets.path().display(),
        lab()["SSH_CONFIG"]
    );
    let config = beside("shared-ssh-config", &config);
    let ssh = |extra: &[&str]| {
        let mut command = Command::new("ssh");
        command.arg("-F").arg(&config).args(extra);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let mut master = Ended(ssh(&["-N", &lab()["WEB1"]]));
    let socket = sockets.path().join(&lab()["WEB1"]);
    until("the user's connection", SOON, || socket.exists());
    signal("STOP", master.0.id());
    let mut plain = Ended(ssh(&[&lab()["WEB1"], "true"]));
    let edit = [(
        "common.toml",
        "[ssh]\n",
        "[ssh]\nconfig = \"../shared-ssh-config\"\n",
    )];
    let pointsman = changed("shared", &edit);
    pointsman.expect(&["plan", "v2"], 0);
    assert!(
        plain.0.try_wait().unwrap().is_none(),
        "the fault fired: ssh hangs"
    );
    assert!(master.0.try_wait().unwrap().is_none(), "it is the user's");
    assert!(socket.exists());
    // KILL ends what is stopped; the plain one is let go with it.
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status();
    assert!(sent.unwrap().success());
}

/// Row 4: our own connection to a host hangs in the middle of a run. It is given up after the time of a check, and
/// another one is opened. Without the timeout around the check (`live_link`) the run does not end (seen by hand).
fn a_master_of_ours_that_hangs(pointsman: &Pointsman) {
    let run = Running::of(pointsman, &["deploy", "v2", "--no-flip"]);
    run.wait_for_step("claim");
    let master = run.master(&lab()["WEB1"]);
    signal("STOP", master);
    let (code, text) = run.wait();
    let state = std::fs::read_to_string(format!("/proc/{master}/stat")).unwrap_or_default();
    signal("KILL", master);
    assert!(state.contains(") T "), "the fault lasted to the end: {state}");
    assert_eq!(code, 0, "{text}");
}

/// Row 3: while Compose starts the containers every packet of SSH is dropped, both ways, and the work ends meanwhile.
/// The engine is stopped first, so that the command is under way for sure. Without `settle` the step is in doubt, and
/// the exit code 20 (seen by hand).
fn a_connection_that_is_cut_in_the_middle_of_a_command(pointsman: &Pointsman) {
    let run = Running::of(pointsman, &["deploy", "v3", "--no-flip"]);
    run.wait_for_step("stage");
    run.wait_for_step("start");
    let hang = Fault::on("docker-hang", "web1");
    until("the command on the host", SOON, || {
        !root("web1", "pgrep -u deploy docker || :").trim().is_empty()
    });
    let cut = [Fault::on("unreachable", "web1"), Fault::on("oneway-drop", "web1")];
    drop(hang);
    let started = "docker ps --format '{{.Label \"pointsman.release\"}}' | grep -c '^v3-' || :";
    until(
        "the work of a run that is cut off",
        Duration::from_secs(60),
        || root("web1", started).trim() == "2",
    );
    until("packets that were dropped", SOON, || {
        hits("unreachable", "web1") > 3
    });
    drop(cut);
    let (code, text) = run.wait();
    assert_eq!(code, 0, "{text}");
}

/// Row 8: everything goes through one machine, which goes away for a while in the middle of a run; and one that is away
/// before it. The name of the jump host is said, and the same bound holds: without the options that the generated
/// ssh_config has for the jump's own `ssh` this waits for as long as TCP does (seen by hand).
fn a_jump_host_that_dies() {
    let behind = |name: &str, timeout: &str| {
        let jump = format!(
            "[ssh]\njump = \"deploy@{}\"\nconnect_timeout = \"{timeout}\"\n",
            lab()["VPS"]
        );
        changed(name, &[("common.toml", "[ssh]\n", &jump)])
    };
    let before = epoch();
    let through = log_count("vps", "Accepted publickey");
    let on = Fault::on("blackhole", "vps");
    let began = Instant::now();
    let ran = behind("jump-short", "2s").expect(&["plan", "v2"], 20);
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    ran.says(&["lb1", "lb2", "through the jump host", &lab()["VPS"]]);
    assert!(hits("blackhole", "vps") > 0, "the fault fired");
    drop(on);
    assert_eq!(before, epoch());

    let run = Running::of(&behind("jump", "10s"), &["deploy", "v2", "--no-flip"]);
    run.wait_for_step("stage");
    let on = Fault::on("blackhole", "vps");
    until("packets that were dropped", SOON, || hits("blackhole", "vps") > 8);
    drop(on);
    let (code, text) = run.wait();
    assert!(
        log_count("vps", "Accepted publickey") > through,
        "all went through it"
    );
    // What had reached a host is read, and the run goes on; what may never have reached one is in doubt, and undone.
    assert!([0, 10].contains(&code), "{text}");
    let words = if code == 0 { "v2" } else { "blue: no release" };
    Pointsman::new("two-pools")
        .expect(&["status"], 0)
        .says(&["green is hot", "lock: free", words]);
}

/// Row 16: the lock is the environment's, whatever list of hosts a run has.
fn a_lock_that_another_list_of_hosts_meets(pointsman: &Pointsman) {
    let web1 = format!("{{ address = \"{}\", name = \"web1\" }}, ", lab()["WEB1"]);
    let fewer = changed("fewer", &[("two-pools.toml", &web1, "")]);
    pointsman.expect(&["lock", "acquire", "-m", "hands off"], 0);
    fewer.expect(&["deploy", "v2"], 30).says(&["hands off"]);
    pointsman.expect(&["lock", "release"], 0);
}

/// Row 17: two machines' clocks are off by minutes, in both directions. It is said before the run, and nothing else
/// comes of it: fences, locks and claims do not look at clocks.
fn clocks_that_are_off(pointsman: &Pointsman) {
    let skewed = ["lb1", "web1"].map(|host| Fault::on("clock-skew", host));
    let words = "its clock is 300 s ahead of this machine's";
    let (lb1, web1) = (format!("lb1: {words}"), format!("web1: {words}"));
    pointsman
        .expect(&["doctor"], 50)
        .says(&["lb1", "web1", words, "NTP"]);
    let ran = pointsman.expect(&["deploy", "v2", "--no-flip"], 0);
    ran.says(&[&lb1, &web1]);
    assert!(!ran.text().contains("lb2: its clock"), "{}", ran.text());
    // Its own holder is not taken for a dead one.
    pointsman.expect(&["lock", "acquire", "-m", "clocks"], 0);
    pointsman.expect(&["deploy", "v2"], 30);
    pointsman.expect(&["lock", "release"], 0);
    for host in ["lb1", "web1"] {
        let asked = root(host, "grep -c . /run/lab-skew");
        assert!(
            asked.trim().parse::<u32>().unwrap() > 2,
            "{host}: the fault fired"
        );
    }
    drop(skewed);
    pointsman.expect(&["doctor"], 0);
    lab_command(&["status"]);
}
