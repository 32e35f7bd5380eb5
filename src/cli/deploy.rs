//! `pointsman deploy TAG`

use super::args::Deploy;
use super::context::App;
use super::outcome::Outcome;
use crate::inventory::parse_tag;
use crate::plan::{Intent, Plan};

pub(super) async fn run(app: &App, args: &Deploy) -> Outcome {
    if let Some(file) = &args.plan {
        let kept: Plan = match std::fs::read_to_string(file).map(|text| serde_json::from_str(&text)) {
            Ok(Ok(plan)) => plan,
            Ok(Err(error)) => {
                return Outcome::invalid(format!("{file}: expected a plan kept by `plan -o`: {error}"));
            }
            Err(error) => return Outcome::invalid(format!("{file}: {error}")),
        };
        return super::run::run(app, kept.intent.clone(), Some(kept)).await;
    }
    let Some(tag) = &args.tag else {
        return Outcome::invalid("expected a tag");
    };
    match parse_tag(tag) {
        Ok(_) => {
            let intent = Intent::Deploy {
                tag: tag.clone(),
                flip: !args.no_flip,
            };
            super::run::run(app, intent, None).await
        }
        Err(error) => Outcome::invalid(error.to_string()),
    }
}
