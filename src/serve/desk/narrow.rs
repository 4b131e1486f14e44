//! The stricter of two modes: that of the command's environment and that of the server's.
//!
//! What is live only in one of them is not live, and somebody is told which of them kept it back.

use crate::effect::{ProviderMode, RunMode};
use crate::gate::governance::SIGNAL_NAMES;

/// The mode of a run that was asked for with `asked` where `server` holds, and in words what was kept back.
pub fn narrow(asked: &RunMode, server: &RunMode) -> (RunMode, Vec<String>) {
    let mut words = Vec::new();
    let live = asked.live && server.live;
    match (asked.live, server.live) {
        (true, false) => words.push("DRY_RUN is off here and on in the server: this run is dry".to_owned()),
        (false, true) => words.push("DRY_RUN is on here and off in the server: this run is dry".to_owned()),
        _ => {}
    }
    let is_live = |mode: &RunMode, name: &str| mode.providers.get(name) == Some(&ProviderMode::Live);
    let mut providers = asked.providers.clone();
    for name in server.providers.keys() {
        // One that only the server knows.
        let unknown = || ProviderMode::Simulated {
            why: "it is not configured where the run was started".to_owned(),
        };
        providers.entry(name.clone()).or_insert_with(unknown);
    }
    for (name, mode) in &mut providers {
        let (here, there) = (is_live(asked, name), is_live(server, name));
        let reason = |mode: &RunMode| match mode.providers.get(name) {
            Some(ProviderMode::Simulated { why }) => why.clone(),
            _ => "it is not configured".to_owned(),
        };
        if here && !there {
            let why = format!("{} (in the server)", reason(server));
            // Of a run that is dry as a whole that was said already.
            if asked.live == server.live {
                words.push(format!("{name} is simulated: {why}"));
            }
            *mode = ProviderMode::Simulated { why };
        } else if there && !here && live {
            words.push(format!("{name} is simulated: {} (here)", reason(asked)));
        }
    }
    let lacks = |mode: &RunMode, name: &str| mode.unsigned.iter().any(|unsigned| unsigned == name);
    let mut unsigned = Vec::new();
    for name in SIGNAL_NAMES {
        let (here, there) = (lacks(asked, name), lacks(server, name));
        if here || there {
            unsigned.push(name.to_owned());
        }
        if live && here != there {
            let place = if here { "here" } else { "in the server" };
            words.push(format!("publishing is shut: {name} is not given {place}"));
        }
    }
    let mode = RunMode {
        live,
        providers,
        uses: asked.uses.clone(),
        unsigned,
    };
    (mode, words)
}

/// Why a run that is live must not be taken up by somebody for whom `here` holds, if so: what runs on it goes by the
/// server's environment.
pub fn too_live(run: &RunMode, here: &RunMode) -> Option<String> {
    if run.live && !here.live {
        return Some("this run is live, and DRY_RUN is on here".to_owned());
    }
    let used = run
        .providers
        .iter()
        .filter(|(name, mode)| run.uses(name) && **mode == ProviderMode::Live);
    used.filter_map(|(name, _)| {
        Some(format!(
            "this run uses {name} live, and here {}",
            here.why_simulated(name)?
        ))
    })
    .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(live: bool, providers: &[(&str, Option<&str>)]) -> RunMode {
        let providers = providers.iter().map(|(name, why)| {
            let mode = match why {
                None => ProviderMode::Live,
                Some(why) => ProviderMode::Simulated { why: (*why).to_owned() },
            };
            ((*name).to_owned(), mode)
        });
        RunMode {
            live,
            providers: providers.collect(),
            uses: vec!["slack".to_owned()],
            unsigned: Vec::new(),
        }
    }

    #[test]
    fn what_is_live_in_one_place_only_is_not_live() {
        let live = mode(true, &[("openai", None), ("slack", None)]);
        let dry = mode(
            false,
            &[("openai", Some("DRY_RUN is on")), ("slack", Some("DRY_RUN is on"))],
        );
        for (asked, server) in [(&live, &dry), (&dry, &live), (&dry, &dry)] {
            let (narrowed, words) = narrow(asked, server);
            assert!(!narrowed.live);
            assert!(narrowed.why_simulated("openai").is_some() && narrowed.why_simulated("slack").is_some());
            assert_eq!(words.is_empty(), asked.live == server.live, "{words:?}");
            assert!(words.len() <= 1, "{words:?}");
        }
        assert_eq!(narrow(&live, &live), (live.clone(), Vec::new()));
    }

    #[test]
    fn a_provider_is_live_only_where_both_have_it_live() {
        let here = mode(
            true,
            &[
                ("openai", None),
                ("slack", Some("SLACK_ENABLED is off")),
                ("here", None),
            ],
        );
        let there = mode(
            true,
            &[
                ("openai", Some("missing OPENAI_API_KEY")),
                ("slack", None),
                ("there", None),
            ],
        );
        let (narrowed, words) = narrow(&here, &there);
        assert!(narrowed.live);
        assert_eq!(
            narrowed.why_simulated("openai"),
            Some("missing OPENAI_API_KEY (in the server)")
        );
        for name in ["slack", "here", "there"] {
            assert!(narrowed.why_simulated(name).is_some(), "{name}");
        }
        let text = words.join("\n");
        for name in ["openai", "slack", "here", "there"] {
            assert!(text.contains(&format!("{name} is simulated")), "{text}");
        }
    }

    #[test]
    fn a_signal_counts_only_where_both_give_it() {
        let mut here = mode(true, &[]);
        here.unsigned.push(SIGNAL_NAMES[1].to_owned());
        let mut there = mode(true, &[]);
        there.unsigned.push(SIGNAL_NAMES[2].to_owned());
        let (narrowed, words) = narrow(&here, &there);
        assert_eq!(narrowed.unsigned, [SIGNAL_NAMES[1], SIGNAL_NAMES[2]]);
        assert_eq!(words.len(), 2, "{words:?}");
    }

    #[test]
    fn who_is_dry_takes_up_no_live_run() {
        let live = mode(true, &[("slack", None), ("openai", None)]);
        let dry = mode(false, &[("slack", Some("DRY_RUN is on"))]);
        assert!(too_live(&live, &dry).is_some());
        assert!(too_live(&live, &mode(true, &[("slack", Some("SLACK_ENABLED is off"))])).is_some());
        assert!(
            too_live(&live, &mode(true, &[("slack", None)])).is_none(),
            "it does not use openai"
        );
        assert!(too_live(&dry, &dry).is_none());
    }
}
