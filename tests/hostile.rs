#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "figures are part of the output; helpers of tests"
)]
//! Hostile values: whatever stands in a tag, a host, a name or an environment value is refused, or
//! arrives exactly as it was written; nothing of it is ever run.
//!
//! The negative control is `without_quoting_they_do_run`: the same values, pasted into a script, do.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use camino::Utf8Path;
use pointsman::inventory::{Inventory, Pool, parse_tag};
use pointsman::remote::Script;

/// How many values are made; the seed is fixed and printed, so a failure repeats.
const VALUES: usize = 1000;
const SEED: u64 = 0x706f_696e_7473_6d61;

/// What shells, SSH, Docker, YAML and terminals take for more than text.
const PARTS: &[&str] = &[
    "'",
    "\"",
    "`",
    "$",
    "$(touch CANARY)",
    "`touch CANARY`",
    ";touch CANARY;",
    "&& touch CANARY",
    "| touch CANARY",
    "\n",
    "\r\n",
    "\ntouch CANARY\n",
    "\t",
    " ",
    "  ",
    "\\",
    "\\n",
    "\\'",
    "'\\''",
    "';touch CANARY;'",
    "\";touch CANARY;\"",
    "-",
    "--",
    "-oProxyCommand=touch CANARY",
    "--privileged",
    "${IFS}",
    "${HOME}",
    "$HOME",
    "$$",
    "$(",
    "}",
    "{",
    "*",
    "?",
    "[a-z]",
    "~",
    "#",
    "!",
    "!!",
    "%s",
    "%n",
    "=",
    ":",
    "@",
    "/",
    "../",
    "\u{1b}[31m",
    "\u{7}",
    "é",
    "日本",
    "\u{202e}",
    "\u{feff}",
    "a",
    "v1",
    "web",
    "<",
    ">",
    "> CANARY",
    "<<EOF",
    "PM_FILE_END",
    "\nPM_FILE_END\n}\ntouch CANARY\n",
    "@@pm:end",
    "\n@@pm:guard\ndone 0\n",
];

fn values() -> Vec<String> {
    println!("seed {SEED:#x}");
    let mut state = SEED;
    let mut next = move || {
        // xorshift64: enough to mix parts, and the same everywhere.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 11).unwrap()
    };
    (0..VALUES)
        .map(|_| {
            let count = 1 + next() % 5;
            (0..count).map(|_| PARTS[next() % PARTS.len()]).collect()
        })
        .collect()
}

/// Runs a script text in `shell`, in a folder where `CANARY` would appear.
fn run(shell: &str, text: &str, folder: &Path) -> Vec<u8> {
    let mut child = Command::new(shell)
        .arg("-s")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // A shell that stumbles over a value may stop reading; what it did before is what matters.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    child.wait_with_output().unwrap().stdout
}

fn shells() -> Vec<&'static str> {
    let there = |shell: &&str| Path::new("/bin").join(shell).exists();
    ["dash", "bash", "busybox"]
        .into_iter()
        .filter(there)
        .filter(|shell| *shell != "busybox")
        .collect()
}

#[test]
fn what_reaches_a_shell_is_neither_run_nor_altered() {
    let folder = tempfile::tempdir().unwrap();
    let body = r#"
        in_hex() { od -An -v -tx1 | tr -d ' \n'; echo; }
        printf '%s' "$VALUE" | in_hex
        printf '%s' "$EXPORTED" | in_hex
        say() { printf '%s' "$1" | in_hex; }
        command_line
        bytes | in_hex"#;
    let hex = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
    let (mut altered, mut executed) = (0, 0);
    for shell in shells() {
        for value in values() {
            let script = Script::new(body)
                .var("VALUE", &value)
                .export("EXPORTED", &value)
                .command("command_line", ["say", &value])
                .file("bytes", value.as_bytes());
            let out = String::from_utf8(run(shell, &script.render().unwrap(), folder.path())).unwrap();
            let expected = format!("{}\n", hex(&value)).repeat(4);
            if out != expected {
                altered += 1;
                println!("{shell}: altered: {value:?}");
            }
            if folder.path().join("CANARY").exists() {
                executed += 1;
                println!("{shell}: executed: {value:?}");
                std::fs::remove_file(folder.path().join("CANARY")).unwrap();
            }
        }
    }
    println!(
        "{VALUES} values in {:?}: {executed} executed, {altered} altered",
        shells()
    );
    assert_eq!((executed, altered), (0, 0));
}

/// The negative control: pasted in without quoting, a good part of the same values is run.
#[test]
fn without_quoting_they_do_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut executed = 0;
    for value in values().iter().take(300) {
        run(
            "sh",
            &format!("VALUE={value}\nprintf '%s' $VALUE >/dev/null\n"),
            folder.path(),
        );
        if std::fs::remove_file(folder.path().join("CANARY")).is_ok() {
            executed += 1;
        }
    }
    assert!(
        executed > 20,
        "only {executed} of 300 values were run: they are not hostile enough"
    );
}

/// An inventory with the value in one place.
fn inventory(folder: &Utf8Path, place: &str, value: &str) -> Result<Inventory, String> {
    let quoted = serde_json::to_string(value)
        .unwrap()
        .replace("\\u001b", "\\u001B")
        .replace('\u{7f}', "\\u007F");
    let put = |name: &str, good: &str| {
        if name == place {
            quoted.clone()
        } else {
            format!("{good:?}")
        }
    };
    let text = format!(
        "[app]\nname = {}\npath = \"/home/deploy/shop\"\ncompose = \"c.yml\"\nidentity = {{ path = \"/version\", service = \"app\" }}\n\
         [[checks]]\nname = {}\nservice = \"app\"\nport = 80\npath = \"/up\"\n\
         [pools.blue]\nhosts = [{{ address = {}, name = {}, env = {{ LAB = {} }} }}]\n[pools.green]\nhosts = [\"b.example.com\"]\n\
         [switch]\nconnector = \"haproxy\"\nrouters = [\"lb.example.com\"]\n",
        put("app name", "shop"),
        put("check name", "unicorn"),
        put("host", "a.example.com"),
        put("host name", "web1"),
        put("env", "x"),
    );
    std::fs::write(folder.join("c.yml"), "services:\n  app:\n    image: shop:1\n").unwrap();
    std::fs::write(folder.join("hostile.toml"), text).unwrap();
    Inventory::load(&folder.join("hostile.toml"), &|_| None).map_err(|errors| errors.render(false))
}

#[test]
fn inventories_refuse_them_or_keep_them_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(folder.path()).unwrap();
    inventory(folder, "none", "").unwrap_or_else(|text| panic!("the plain inventory must load:\n{text}"));
    let (mut kept, mut refused) = (0, 0);
    for value in values() {
        for place in ["app name", "check name", "host", "host name", "env"] {
            match inventory(folder, place, &value) {
                Ok(loaded) => {
                    kept += 1;
                    let host = &loaded.hosts(Pool::Blue)[0];
                    let found = match place {
                        "app name" => &loaded.app.name,
                        "check name" => &loaded.checks[0].name,
                        "host" => &host.address,
                        "host name" => &host.name,
                        _ => &host.env["LAB"],
                    };
                    // `${VAR}` and `$$` in an inventory are its own syntax.
                    if !value.contains('$') {
                        assert_eq!(*found, value, "{place} was altered");
                    }
                    if place != "env" {
                        assert!(
                            !found.starts_with('-')
                                && found
                                    .chars()
                                    .all(|c| c.is_ascii_alphanumeric() || "-_.:@[]".contains(c)),
                            "{place} took {value:?}"
                        );
                    }
                }
                Err(text) => {
                    refused += 1;
                    assert!(
                        !text.contains('\u{1b}') && !text.contains('\u{7}'),
                        "the message for {value:?} drives the terminal"
                    );
                }
            }
        }
    }
    println!("{VALUES} values in 5 places: {kept} kept exactly, {refused} refused, 0 panics");
}

#[test]
fn tags_refuse_them() {
    for value in values() {
        if let Ok(tag) = parse_tag(&value) {
            assert_eq!(tag.as_str(), value);
            assert!(
                value
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
                    && !value.starts_with(['-', '.'])
            );
        }
    }
    // The whole program, with a sample of them on its command line: a refusal, never a panic.
    let folder = tempfile::tempdir().unwrap();
    for value in values().iter().step_by(10).filter(|value| !value.contains('\0')) {
        if parse_tag(value).is_ok() {
            continue;
        }
        let output = Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .current_dir(folder.path())
            .args(["-i", "none.toml", "deploy", value])
            .env("POINTSMAN_STATE_DIR", folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            matches!(output.status.code(), Some(2 | 40)),
            "{value:?}: {:?} {said}",
            output.status
        );
        assert!(!said.contains("panicked"), "{value:?}: {said}");
    }
    assert!(!folder.path().join("CANARY").exists());
}
