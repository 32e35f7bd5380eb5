//! moto as a process of the test's own, and what sets it up.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pointsman::inventory::provider::Aws;
use secrecy::SecretString;

use super::settings;
use super::strict::between;

/// Longest that moto may take to start on a busy machine.
const START: Duration = Duration::from_secs(90);

/// moto, running. Killed when dropped.
pub struct Moto {
    child: Child,
    pub url: String,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

/// Where `tests/run.sh` put it.
fn python() -> PathBuf {
    let folder = std::env::var_os("POINTSMAN_MOTO").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/moto")),
        PathBuf::from,
    );
    let python = folder.join("bin/python3");
    assert!(
        python.exists(),
        "{} is not there: this test needs moto. `tests/run.sh` installs it; or let POINTSMAN_MOTO name a virtual \
         environment in which `pip install 'moto[server]'` was run",
        python.display()
    );
    python
}

impl Moto {
    pub async fn start() -> Moto {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut child = Command::new(python())
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/aws/run_moto.py"))
            .arg(port.to_string())
            .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
            .stdin(Stdio::null())
            .stdout(File::create(&log).unwrap())
            .stderr(File::options().append(true).open(&log).unwrap())
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let http = pointsman::http::builder(Duration::from_secs(60)).build().unwrap();
        let since = Instant::now();
        while http
            .get(format!("{url}/moto-api/data.json"))
            .send()
            .await
            .is_err()
        {
            let ended = child.try_wait().unwrap();
            assert!(
                ended.is_none() && since.elapsed() < START,
                "moto did not start ({ended:?}): {}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Moto {
            child,
            url,
            http,
            _folder: folder,
        }
    }

    /// A call of the query APIs (IAM, EC2, load balancers), by nobody in particular: only before keys are checked.
    pub async fn query(&self, service: &str, version: &str, parameters: &[(&str, &str)]) -> String {
        let mut all = vec![("Version", version)];
        all.extend(parameters);
        let request = self
            .http
            .post(&self.url)
            .header("authorization", authorization(service));
        let body: Vec<String> = all
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.join("&"));
        answer(request).await
    }

    /// A call of Route 53, likewise.
    pub async fn route53(&self, path: &str, body: String) -> String {
        let url = format!("{}/2013-04-01{path}", self.url);
        let request = self
            .http
            .post(url)
            .header("authorization", authorization("route53"));
        answer(request.header("host", "route53.amazonaws.com").body(body)).await
    }

    /// A public zone; its id.
    pub async fn zone(&self, name: &str, private: bool) -> String {
        let body = format!(
            "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Name>{name}</Name>\
             <CallerReference>{}</CallerReference><HostedZoneConfig><PrivateZone>{private}</PrivateZone>\
             </HostedZoneConfig></CreateHostedZoneRequest>",
            std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos()
        );
        let answer = self.route53("/hostedzone", body).await;
        between(&answer, "/hostedzone/", "<").to_owned()
    }

    /// A user with this policy; settings with its keys.
    pub async fn user(&self, name: &str, policy: Option<&str>) -> Aws {
        let iam = async |parameters: &[(&str, &str)]| self.query("iam", "2010-05-08", parameters).await;
        iam(&[("Action", "CreateUser"), ("UserName", name)]).await;
        if let Some(policy) = policy {
            iam(&[
                ("Action", "PutUserPolicy"),
                ("UserName", name),
                ("PolicyName", "pointsman"),
                ("PolicyDocument", policy),
            ])
            .await;
        }
        let keys = iam(&[("Action", "CreateAccessKey"), ("UserName", name)]).await;
        Aws {
            access_key: Some(between(&keys, "<AccessKeyId>", "<").to_owned()),
            secret_key: Some(SecretString::from(
                between(&keys, "<SecretAccessKey>", "<").to_owned(),
            )),
            ..settings(&self.url)
        }
    }

    /// From now on signatures and policies are checked.
    pub async fn check_keys(&self) {
        let url = format!("{}/moto-api/reset-auth", self.url);
        answer(self.http.post(url).body("0")).await;
    }

    /// From now on nothing is checked.
    pub async fn check_nothing(&self) {
        let url = format!("{}/moto-api/reset-auth", self.url);
        answer(self.http.post(url).body("inf")).await;
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// moto finds the service by the scope of a signature.
fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=NOBODY/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

async fn answer(request: reqwest::RequestBuilder) -> String {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    text
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
