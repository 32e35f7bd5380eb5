//! Signed messages to the primary and their answers, over one connection.

use std::time::Duration;

use hickory_proto::op::Message;
use tokio::time::timeout;

use super::Rfc2136;
use super::key::{Answer, Signed};
use super::link::Link;
use crate::switch::api::ApiError;

/// Longest that the answers may take: a server that takes updates answers within milliseconds, and one that writes to a
/// disk that hangs, or passes an update on to another, is better told than waited for.
const ANSWER: Duration = Duration::from_secs(5);

impl Rfc2136 {
    fn sign(&self, message: Message) -> Result<Signed, ApiError> {
        let too_long = |problem: &str| self.asked().refused(problem, "change less at once");
        let signed = self.key.sign(message).map_err(|problem| too_long(&problem))?;
        if signed.bytes.len() > usize::from(u16::MAX) {
            return Err(too_long(&format!(
                "the update has {} bytes, and a message holds {}",
                signed.bytes.len(),
                u16::MAX
            )));
        }
        Ok(signed)
    }

    async fn link(&self) -> Result<Link, ApiError> {
        let link = Link::open(&self.server).await;
        link.map_err(|problem| self.asked().unreachable(&problem))
    }

    /// Sends messages. An error says that none was sent as a whole.
    async fn tell(&self, link: &mut Link, messages: &[&[u8]]) -> Result<(), ApiError> {
        match timeout(ANSWER, link.send(messages)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(problem)) => Err(self.asked().unreachable(&problem)),
            Err(_) => Err(self
                .asked()
                .unreachable(&format!("it took nothing within {} s", ANSWER.as_secs()))),
        }
    }

    /// Sends one update, and says what its answer means.
    pub(super) async fn send(&self, message: Message, expected: &str) -> Result<Answer, ApiError> {
        let asked = self.asked();
        let signed = self.sign(message)?;
        let mut link = self.link().await?;
        self.tell(&mut link, &[&signed.bytes]).await?;
        // From here on it may have been done.
        let bytes = match timeout(ANSWER, link.receive()).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(problem)) => return Err(asked.in_doubt(&format!("no answer came: {problem}"))),
            Err(_) => {
                return Err(asked.in_doubt(&format!("no answer came within {} s", ANSWER.as_secs())));
            }
        };
        let answer = self
            .key
            .read(&bytes, &signed)
            .map_err(|problem| asked.in_doubt(&format!("the answer cannot be used: {problem}")))?;
        asked.update(&answer, expected)?;
        Ok(answer)
    }

    /// Asks all of these at once over one connection; the answers in the order of the questions.
    pub(super) async fn ask(&self, questions: Vec<Message>) -> Result<Vec<Answer>, ApiError> {
        let asked = self.asked();
        let mut signed: Vec<Signed> = Vec::new();
        for mut question in questions {
            // Answers may come in any order, and are told apart by their ids.
            while signed.iter().any(|other| other.id == question.id) {
                question.metadata.id = question.metadata.id.wrapping_add(1);
            }
            signed.push(self.sign(question)?);
        }
        let mut link = self.link().await?;
        let bytes: Vec<&[u8]> = signed.iter().map(|one| one.bytes.as_slice()).collect();
        self.tell(&mut link, &bytes).await?;
        let mut answers: Vec<Option<Answer>> = signed.iter().map(|_| None).collect();
        let all = async {
            while answers.iter().any(Option::is_none) {
                let bytes = link.receive().await?;
                let id = bytes.get(..2).map(|id| u16::from_be_bytes([id[0], id[1]]));
                let Some(number) = signed.iter().position(|one| Some(one.id) == id) else {
                    return Err("an answer belongs to no question".to_owned());
                };
                answers[number] = Some(self.key.read(&bytes, &signed[number])?);
            }
            Ok(())
        };
        match timeout(ANSWER, all).await {
            Ok(Ok(())) => Ok(answers.into_iter().flatten().collect()),
            Ok(Err(problem)) => Err(asked.unreachable(&format!("no good answer came: {problem}"))),
            Err(_) => Err(asked.unreachable(&format!("no answer came within {} s", ANSWER.as_secs()))),
        }
    }
}
