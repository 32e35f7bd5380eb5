//! The guard and the fence, on a real server: what is late, raced or cut changes nothing, or is known.

#![allow(clippy::unwrap_used, reason = "a test ends there, as it should")]

mod support;

use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use pointsman::inventory::Ssh;
use pointsman::remote::{Claim, Fence, Guarded, Output, RemoteError, Script, Server, Session, Sessions};
use support::{Fault, lab, lab_command};

const SOON: Duration = Duration::from_secs(20);

/// A server of the lab with a state folder of the test's own, removed at the end.
struct Site {
    sessions: Sessions,
    server: Server,
    state_dir: String,
}

impl Site {
    fn new(test: &str) -> Site {
        let ssh = Ssh {
            user: Some("deploy".into()),
            port: None,
            identity: Some(Utf8PathBuf::from(&lab()["SSH_KEY"])),
            jump: None,
            known_hosts: Some(Utf8PathBuf::from(&lab()["KNOWN_HOSTS"])),
            config: None,
            connect_timeout: Duration::from_secs(5),
            max_connects: 8,
        };
        let server = Server {
            name: "lb1".into(),
            address: lab()["LB1"].clone(),
            port: None,
            user: None,
        };
        let state_dir = format!("/home/deploy/guard-{test}-{}", std::process::id());
        Site {
            sessions: Sessions::new(&ssh).unwrap(),
            server,
            state_dir,
        }
    }

    fn session(&self) -> Session {
        self.sessions.session(&self.server)
    }

    fn fence(&self, run: &str, epoch: u64) -> Fence {
        Fence {
            state_dir: self.state_dir.clone(),
            epoch,
            run: run.into(),
        }
    }

    /// Fences the server for a run, as the only router would.
    async fn take(&self, run: &str, epoch: u64) {
        self.session()
            .fence(
                &Guarded::new(&self.fence(run, epoch), "fence"),
                &Claim::default(),
                &Script::new(":"),
                SOON,
            )
            .await
            .unwrap();
    }

    /// Leaves a mark as a run's mutation.
    async fn mark(&self, run: &str, epoch: u64) -> Result<Output, RemoteError> {
        let script = Script::new("echo here >\"$STATE/mark\"").var("STATE", &self.state_dir);
        self.session()
            .mutate(
                &Guarded::new(&self.fence(run, epoch), &format!("mark-{epoch}")),
                &script,
                SOON,
            )
            .await
    }

    async fn has(&self, file: &str) -> bool {
        let script =
            Script::new("[ -e \"$FILE\" ] && echo yes").var("FILE", format!("{}/{file}", self.state_dir));
        self.session()
            .read(&script, SOON)
            .await
            .unwrap()
            .stdout
            .contains("yes")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        lab_command(&["ssh", "lb1", &format!("rm -rf {}", self.state_dir)]);
    }
}

#[tokio::test]
async fn an_older_epoch_changes_nothing() {
    let site = Site::new("older");
    site.take("old", 1).await;
    site.take("new", 2).await;
    let refused = site.mark("old", 1).await;
    assert!(
        matches!(refused, Err(RemoteError::Fenced { seen: 2, ours: 1, .. })),
        "{refused:?}"
    );
    assert!(!site.has("mark").await, "the stale run left its mark");
    // The negative control: with the server's own epoch the same script does.
    site.mark("new", 2).await.unwrap();
    assert!(site.has("mark").await);
    // A run that never fenced this server may not change it either.
    assert!(matches!(
        site.mark("newer", 3).await,
        Err(RemoteError::Unfenced { .. })
    ));
}

#[tokio::test]
async fn of_eight_runs_at_once_one_takes_the_epoch() {
    let site = Site::new("race");
    let long = std::env::var("POINTSMAN_LONG").is_ok_and(|long| long == "long");
    for round in 0..if long { 1000_u64 } else { 5 } {
        let fences = (0..8).map(|number| {
            let (session, fence) = (
                site.session(),
                site.fence(&format!("r{round}-{number}"), round + 1),
            );
            async move {
                let claim = Claim {
                    expect: Some(round),
                    owner: "{}".into(),
                    ..Claim::default()
                };
                session
                    .fence(&Guarded::new(&fence, "fence"), &claim, &Script::new(":"), SOON)
                    .await
            }
        });
        let results = futures::future::join_all(fences).await;
        let winners = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(winners, 1, "round {round}: {results:?}");
        assert!(
            results.iter().all(|r| !matches!(r, Err(e) if e.is_in_doubt())),
            "{results:?}"
        );
    }
}

#[tokio::test]
async fn a_held_lock_keeps_others_out_until_it_is_given_back() {
    let site = Site::new("held");
    let hold = |steal: Option<&str>, expect| Claim {
        hold: true,
        owner: "{\"run\":\"a\"}".into(),
        steal: steal.map(str::to_owned).into_iter().collect(),
        expect,
    };
    let take = |run: &'static str, epoch, claim: Claim| {
        let (session, fence) = (site.session(), site.fence(run, epoch));
        async move {
            session
                .fence(&Guarded::new(&fence, "fence"), &claim, &Script::new(":"), SOON)
                .await
        }
    };
    take("a", 1, hold(None, Some(0))).await.unwrap();
    let locked = take("b", 2, hold(None, Some(1))).await;
    assert!(
        matches!(&locked, Err(RemoteError::Locked { holder, owner, .. }) if holder == "a" && owner.contains("\"a\"")),
        "{locked:?}"
    );
    take("c", 2, hold(Some("a"), Some(1))).await.unwrap();
    assert!(
        matches!(site.mark("a", 1).await, Err(RemoteError::Fenced { .. })),
        "the robbed run is fenced"
    );
    // Where runs do not compare and set, only an older run's lock gives way.
    let locked = take("d", 2, hold(None, None)).await;
    assert!(matches!(&locked, Err(RemoteError::Locked { .. })), "{locked:?}");
    take("d", 3, hold(None, None)).await.unwrap();
}

#[tokio::test]
async fn a_mutation_outlives_its_client_and_its_result_is_known() {
    let site = Site::new("cut");
    site.take("run", 1).await;
    let script =
        Script::new("sleep 2; echo done >\"$STATE/mark\"; echo said; exit 3").var("STATE", &site.state_dir);
    {
        // A client of its own, gone with its connection while the server works.
        let other = Site {
            sessions: Site::new("x").sessions.clone(),
            server: site.server.clone(),
            state_dir: String::new(),
        };
        let fence = site.fence("run", 1);
        let session = other.session();
        let cut = tokio::time::timeout(
            Duration::from_millis(900),
            session.mutate(&Guarded::new(&fence, "slow"), &script, SOON),
        )
        .await;
        assert!(cut.is_err(), "the mutation was to be cut");
        std::mem::forget(other);
    }
    assert!(!site.has("mark").await, "cut before its end");
    // The next mutation waits for the lock that the first one holds, so it finds it done.
    site.mark("run", 1).await.unwrap();
    assert!(site.has("runs/run/slow.rc").await);
    let kept = Script::new("cat \"$STATE/runs/run/slow.rc\" \"$STATE/runs/run/slow.out\"")
        .var("STATE", &site.state_dir);
    let kept = site.session().read(&kept, SOON).await.unwrap().stdout;
    assert_eq!(kept.split_whitespace().collect::<Vec<_>>(), ["3", "said"]);
}

/// What has run is not called refused because its end could not be written down: a migration that fills the disk, for
/// one. (Before, the verdict was "refused", which means that nothing was changed: this failed at the first assertion.)
#[tokio::test]
async fn what_has_run_and_could_not_be_recorded_is_in_doubt() {
    let site = Site::new("unrecorded");
    site.take("run", 1).await;
    let runs = format!("{}/runs/run", site.state_dir);
    let script = Script::new("echo here >\"$STATE/mark\"; chmod 500 \"$RUNS\"")
        .var("STATE", &site.state_dir)
        .var("RUNS", &runs);
    let fence = site.fence("run", 1);
    let ended = site
        .session()
        .mutate(&Guarded::new(&fence, "fills"), &script, SOON)
        .await;
    lab_command(&["ssh", "lb1", &format!("chmod 700 {runs}")]);
    assert!(
        matches!(&ended, Err(error @ RemoteError::Unrecorded { .. }) if error.is_in_doubt()),
        "{ended:?}"
    );
    assert!(site.has("mark").await, "it had run");
    // Where it can be written the next one is known.
    site.mark("run", 1).await.unwrap();
}

/// A disk that is full refuses before anything is done, whatever the kind of work; one that the work itself fills up
/// cannot hide how it ended. (Without the room that the guard takes first a flip was armed on the full disk, and what had
/// filled the disk was in doubt: seen so, the test fails at both.)
#[tokio::test]
async fn a_full_disk_refuses_before_and_hides_nothing_after() {
    let site = Site::new("full");
    site.take("run", 1).await;
    let fence = site.fence("run", 1);
    let flip =
        Script::new("prepare() { :; }\ncommit() { : >\"$STATE/flipped\"; }").var("STATE", &site.state_dir);
    {
        let _full = Fault::on("home-full", "lb1");
        for refused in [
            site.mark("run", 1).await.unwrap_err(),
            site.session()
                .arm(&Guarded::new(&fence, "flip"), &flip, SOON)
                .await
                .unwrap_err(),
        ] {
            assert!(
                matches!(&refused, RemoteError::Refused { problem, .. } if problem.contains("is a disk full")),
                "{refused:?}"
            );
        }
        assert!(!site.has("mark").await, "it was refused and made");
    }
    let armed = site
        .session()
        .arm(&Guarded::new(&fence, "flip"), &flip, SOON)
        .await
        .unwrap();
    let full = Fault::on("home-full", "lb1");
    armed.commit(SOON).await.unwrap();
    assert!(site.has("flipped").await);
    drop(full);
    // The work itself takes all the room that is left, and its end is known. (With the guard as it was: in doubt.)
    let fills = Script::new("dd if=/dev/zero of=\"$STATE/fill\" bs=64k 2>/dev/null; exit 7")
        .var("STATE", &site.state_dir);
    let ended = site
        .session()
        .mutate(&Guarded::new(&fence, "fills"), &fills, SOON)
        .await
        .unwrap();
    assert_eq!(ended.code, 7, "{ended:?}");
    lab_command(&["ssh", "lb1", &format!("rm {}/fill", site.state_dir)]);
    site.mark("run", 1).await.unwrap();
    // The home folder is a file system in memory until then.
    lab_command(&["reset"]);
}

#[tokio::test]
async fn the_lock_is_not_inherited_by_what_a_command_starts() {
    let site = Site::new("daemon");
    site.take("run", 1).await;
    let daemon = Script::new("setsid sleep 60 >/dev/null 2>&1 & echo $!");
    let started = site
        .session()
        .mutate(&Guarded::new(&site.fence("run", 1), "daemon"), &daemon, SOON)
        .await
        .unwrap();
    let since = Instant::now();
    site.mark("run", 1).await.unwrap();
    assert!(
        since.elapsed() < Duration::from_secs(5),
        "the daemon held the lock for {:?}",
        since.elapsed()
    );
    let kill = Script::new("pkill -f '^sleep 60$' || kill \"$PID\"").var("PID", started.stdout.trim());
    let _ = site.session().read(&kill, SOON).await;
}

#[tokio::test]
async fn a_command_is_ended_at_its_deadline() {
    let site = Site::new("deadline");
    site.take("run", 1).await;
    let since = Instant::now();
    let output = site
        .session()
        .mutate(
            &Guarded::new(&site.fence("run", 1), "hang"),
            &Script::new("sleep 60"),
            Duration::from_secs(2),
        )
        .await
        .unwrap();
    // What `timeout` says of a command that it ended.
    assert_eq!(output.code, 124, "{output:?}");
    assert!(since.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn an_armed_guard_moves_only_at_the_word_and_within_its_lease() {
    let site = Site::new("armed");
    site.take("run", 1).await;
    let script =
        Script::new("prepare() { echo ready; }\ncommit() { echo moved >\"$STATE/mark\"; echo read back; }")
            .var("STATE", &site.state_dir);
    let arm = |step: &'static str, lease| {
        let (session, fence, script) = (site.session(), site.fence("run", 1), script.clone());
        async move { session.arm(&Guarded::new(&fence, step), &script, lease).await }
    };
    drop(arm("dropped", SOON).await.unwrap());
    assert!(!site.has("mark").await, "a guard that never got the word moved");
    let late = arm("late", Duration::from_secs(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await; // past the lease: that is what is tested
    let refused = late.commit(SOON).await;
    assert!(
        matches!(
            refused,
            Err(RemoteError::Refused { .. } | RemoteError::InDoubt { .. })
        ),
        "{refused:?}"
    );
    assert!(!site.has("mark").await, "a word after the lease moved");
    let armed = arm("good", SOON).await.unwrap();
    assert_eq!(armed.prepared().stdout.trim(), "ready");
    assert_eq!(armed.commit(SOON).await.unwrap().stdout.trim(), "read back");
    assert!(site.has("mark").await);
    // While a guard is armed nobody can fence the server: the newcomer waits for it to end.
    let armed = arm("holding", Duration::from_secs(3)).await.unwrap();
    let since = Instant::now();
    site.take("newer", 2).await;
    assert!(
        since.elapsed() > Duration::from_secs(2),
        "the fence did not wait for the armed guard"
    );
    assert!(armed.commit(SOON).await.is_err(), "a stale word was obeyed");
}
