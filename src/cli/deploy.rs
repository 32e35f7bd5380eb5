//! `pointsman deploy TAG`

use super::args::Deploy;
use super::context::App;
use super::outcome::Outcome;
use crate::inventory::parse_tag;
use crate::plan::{Intent, Plan, Wish};

pub(super) async fn run(app: &App, args: &Deploy) -> Result<Outcome, Outcome> {
    if let Some(file) = &args.plan {
        let text =
            std::fs::read_to_string(file).map_err(|error| Outcome::invalid(format!("{file}: {error}")))?;
        let kept: Plan = serde_json::from_str(&text).map_err(|error| {
            Outcome::invalid(format!("{file}: expected a plan kept by `plan -o`: {error}"))
        })?;
        let wish = args.lock.wish(kept.intent.clone(), &kept.without);
        return super::run::run(app, wish, Some(kept), args.lock.wait).await;
    }
    let tag = args.tag.as_deref().unwrap_or_default();
    parse_tag(tag).map_err(|error| Outcome::invalid(error.to_string()))?;
    let intent = Intent::Deploy {
        tag: tag.to_owned(),
        flip: !args.no_flip,
    };
    let wish = Wish {
        drop_env: args.drop_env.clone(),
        ..args.lock.wish(intent, &args.without)
    };
    super::run::run(app, wish, None, args.lock.wait).await
}
