//! What a docker client says when its engine does not answer.

/// Why the engine of a host cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineProblem {
    /// There is no `docker` in the user's path.
    #[error("expected docker, found no such program")]
    NoClient,
    /// The user may not speak to it.
    #[error("the user may not speak to the Docker engine")]
    Denied,
    /// Nobody listens.
    #[error("the Docker engine does not run")]
    Stopped,
    /// Somebody listens and never answers.
    #[error("the Docker engine does not answer")]
    Hung,
    /// Anything else, in its own words.
    #[error("the Docker engine cannot be used: {0}")]
    Other(String),
}

impl EngineProblem {
    /// What to type on the host, or about it.
    pub fn hint(&self) -> &'static str {
        match self {
            EngineProblem::NoClient => "install Docker Engine 20.10 or newer with Compose there",
            EngineProblem::Denied => "`sudo usermod -aG docker USER` there, then log in anew",
            EngineProblem::Stopped => "`sudo systemctl start docker` there",
            EngineProblem::Hung => {
                "look at `journalctl -u docker` there; restarting docker stops its containers"
            }
            EngineProblem::Other(_) => "run `docker version` there",
        }
    }

    /// Finds the problem in what a docker program said, if it is the engine's.
    pub fn find(said: &str) -> Option<EngineProblem> {
        let lower = said.to_ascii_lowercase();
        if lower.contains("permission denied while trying to connect")
            || lower.contains("permissionerror") && lower.contains("docker")
        {
            Some(EngineProblem::Denied)
        } else if lower.contains("cannot connect to the docker daemon")
            || lower.contains("couldn't connect to docker daemon")
            || lower.contains("is the docker daemon running")
        {
            Some(EngineProblem::Stopped)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::EngineProblem::{self, *};

    #[test]
    fn tells_a_forbidden_engine_from_a_stopped_one() {
        for (said, problem) in [
            (
                "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: dial unix: connect: permission denied",
                Some(Denied),
            ),
            (
                "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock",
                Some(Denied),
            ),
            (
                "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
                Some(Stopped),
            ),
            (
                "ERROR: Couldn't connect to Docker daemon at http+docker://localhost - is it running?",
                Some(Stopped),
            ),
            ("permission denied: ./entrypoint", None),
        ] {
            assert_eq!(EngineProblem::find(said), problem, "{said}");
        }
    }
}
