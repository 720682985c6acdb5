//! The words for a switch that ended without its user.

use crate::model::observed::Unheard;

/// How it ended, in one line.
pub fn remark(unheard: &Unheard) -> String {
    let Unheard { id, vm, holder, result, exit, reason } = unheard;
    let state = match (*exit, result.as_str()) {
        (0, "done") => "what was asked for was done".to_owned(),
        (0, _) => result.clone(),
        (12, _) => format!("refused ({reason}): nothing was touched"),
        (30 | 31, "failed") => format!("undone ({reason}): it is absent, as before"),
        (30 | 31, _) => format!("undone ({reason}): what ran before runs again"),
        (32, _) => format!("failed ({reason}) and left as it is"),
        _ => format!("{result} ({reason}): its state is not known, look at it"),
    };
    format!("{vm}: the switch {id} ({holder}) was interrupted, and ended by itself: {state}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_words() {
        let ended = |result: &str, exit, reason: &str| {
            let [id, vm, result, reason] =
                ["20260102t030405z-0a1b2c", "vm2", result, reason].map(str::to_owned);
            let holder = "me@laptop since 2026-01-02T03:04:05Z: push vm2".to_owned();
            remark(&Unheard { id, vm, holder, result, exit, reason })
                .split_once("itself: ")
                .unwrap()
                .1
                .to_owned()
        };
        insta::assert_snapshot!([
            ended("deployed", 0, ""),
            ended("done", 0, ""),
            ended("refused", 12, "plan-outdated"),
            ended("rolled-back", 30, "no-verdict"),
            ended("failed", 31, "check-failed"),
            ended("failed", 32, "check-failed"),
            ended("failed", 40, "interrupted"),
        ].join("\n"), @r"
        deployed
        what was asked for was done
        refused (plan-outdated): nothing was touched
        undone (no-verdict): what ran before runs again
        undone (check-failed): it is absent, as before
        failed (check-failed) and left as it is
        failed (interrupted): its state is not known, look at it
        ");
    }
}
