//! Building with `nix-store --realise`, the one way that builds a `.drv` in every
//! version (`nix build X.drv` builds nothing from 2.26 on), and reading its log.

use std::collections::{BTreeMap, VecDeque};

use super::PassThrough;
use super::internal_json::{BUILD, LOG_LINE, Line, parse};
use crate::error::clean_line;
use crate::model::argv::Argv;
use crate::model::event::Event;
use crate::model::store_path::StorePath;

/// Lines of each build log that are kept for a failure.
const MOST_LINES: usize = 30;
/// Build logs of which that is kept, builds at a time, and complaints: whoever builds may
/// be another machine, which can say what it likes.
const MOST_LOGS: usize = 1000;
const MOST_COMPLAINTS: usize = 100;

/// Asks which of these are missing from the local store; rc 0 either way.
pub fn missing<'a>(paths: impl IntoIterator<Item = &'a StorePath>, pass: &PassThrough) -> Argv {
    // Without --print-invalid it would stop at the first.
    let argv = Argv::new("nix-store").args(["--check-validity", "--print-invalid"]);
    super::options(argv, pass).args(paths.into_iter().map(StorePath::as_str))
}

/// Paths, one a line; lines that are something else are left out.
pub fn parse_paths(text: &str) -> Vec<StorePath> {
    text.lines().filter_map(|l| l.trim().parse().ok()).collect()
}

/// Builds derivations, or fetches their outputs.
pub fn realise<'a>(derivations: impl IntoIterator<Item = &'a StorePath>, pass: &PassThrough) -> Argv {
    let argv = Argv::new("nix-store").args(["--realise", "--log-format", "internal-json"]);
    super::options(argv, pass).args(derivations.into_iter().map(StorePath::as_str))
}

/// Asks which derivations in the store need this one.
pub fn dependents(derivation: &StorePath, pass: &PassThrough) -> Argv {
    let argv = Argv::new("nix-store").args(["--query", "--referrers-closure", derivation.as_str()]);
    super::options(argv, pass)
}

/// Asks by which derivation a path was made.
pub fn deriver(path: &StorePath, pass: &PassThrough) -> Argv {
    let argv = Argv::new("nix-store").args(["--query", "--deriver", path.as_str()]);
    super::options(argv, pass)
}

/// Follows a build and remembers what a failure needs.
#[derive(Debug, Default)]
pub struct Watch {
    /// Derivation by activity.
    running: BTreeMap<u64, String>,
    /// Last lines by derivation.
    logs: BTreeMap<String, VecDeque<String>>,
    /// Messages of level 0.
    errors: Vec<String>,
}

/// Why a build failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// The derivation that failed first, if Nix named one.
    pub derivation: Option<StorePath>,
    /// What Nix says, one line.
    pub message: String,
    /// The derivation's last log lines.
    pub log: Vec<String>,
}

impl Watch {
    /// Takes one line of stderr.
    pub fn line(&mut self, line: &str) -> Option<Event> {
        match parse(line)? {
            Line::Start { id, kind: BUILD, fields, .. } => {
                let path = fields.first()?.as_str()?.to_owned();
                let derivation = short_name(&path);
                if self.running.len() < MOST_LOGS {
                    self.running.insert(id, path);
                }
                Some(Event::Building { derivation })
            }
            Line::Stop { id } => {
                self.running.remove(&id);
                None
            }
            Line::Result { id, kind: LOG_LINE, fields } => {
                let line = clean_line(fields.first()?.as_str()?);
                if line.trim().is_empty() {
                    return None;
                }
                let path = self.running.get(&id)?;
                if self.logs.len() >= MOST_LOGS && !self.logs.contains_key(path) {
                    return Some(Event::BuildLog { line });
                }
                let log = self.logs.entry(path.clone()).or_default();
                if log.len() == MOST_LINES {
                    log.pop_front();
                }
                log.push_back(line.clone());
                Some(Event::BuildLog { line })
            }
            Line::Message { level: 0, text } => {
                if self.errors.len() < MOST_COMPLAINTS {
                    self.errors.push(text);
                }
                None
            }
            _ => None,
        }
    }

    /// What went wrong, once Nix has failed. `None` when it said nothing in this form.
    pub fn why(&self) -> Option<Why> {
        let says: Vec<&str> =
            self.errors.iter().map(|e| e.trim()).filter(|e| e.starts_with("error:")).collect();
        // The first is the cause; those that only had to wait for it come later.
        let cause = says.iter().find(|e| !only_waited(e)).or(says.first())?;
        let outdented: Vec<&str> = cause.lines().map(str::trim).collect();
        let cause = outdented.join("\n");
        let text = cause.strip_prefix("error:").unwrap_or(&cause);
        let derivation =
            text.split('\'').find_map(|w| w.parse::<StorePath>().ok().filter(StorePath::is_derivation));
        let log = derivation.as_ref().and_then(|d| self.logs.get(d.as_str()));
        Some(Why {
            message: reason(text),
            log: log.map(|l| l.iter().cloned().collect()).unwrap_or_default(),
            derivation,
        })
    }
}

/// What went wrong, without the derivation's path (the user is told its name) and
/// without the log lines that later versions add.
/// `builder for '/nix/store/….drv' failed with exit code 7;` -> `builder failed with exit code 7`
/// `Cannot build '….drv'.` / `Reason: builder failed with exit code 7.` -> the same
fn reason(text: &str) -> String {
    // From 2.26 on, a trace may stand before the message itself.
    let text = text.rsplit("\nerror:").next().unwrap_or(text);
    let extra = |l: &&str| !l.starts_with("Output paths:") && !l.to_lowercase().starts_with("last ");
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).take_while(extra).collect();
    let text = lines.join(" ");
    let text = text.split_once("Reason: ").map_or(text.as_str(), |(_, reason)| reason);
    let without = match text.strip_prefix("builder for '").and_then(|rest| rest.split_once("' ")) {
        Some((_, rest)) => format!("builder {rest}"),
        None => text.to_owned(),
    };
    without.trim_end_matches([';', '.']).to_owned()
}

/// `error: 1 dependencies of derivation '…' failed to build`, and 2.34's
/// `error: Cannot build '…'.` with `Reason: 1 dependency failed.`
fn only_waited(error: &str) -> bool {
    error.contains("dependencies of derivation")
        || error.contains("dependency failed")
        || error.contains("dependencies failed")
        || error.starts_with("error: build of ")
}

/// `/nix/store/…-microvm-qemu-vm1.drv` -> `microvm-qemu-vm1`.
pub fn short_name(path: &str) -> String {
    let name = path.parse::<StorePath>().map(|p| p.name().to_owned());
    let name = name.unwrap_or_else(|_| clean_line(path));
    name.strip_suffix(".drv").map(str::to_owned).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // Nix 2.8.0 and 2.26.3 differ in `parent` alone.
    const FAILED: &str = r#"@nix {"action":"start","id":1,"level":6,"parent":0,"text":"querying info about missing paths","type":0}
@nix {"action":"msg","level":3,"msg":"these 2 derivations will be built:"}
@nix {"action":"start","fields":["/nix/store/9rw7imqcwrk9jczgpamcwhy9qazxbag3-dep.drv","",1,1],"id":9,"level":3,"text":"building '/nix/store/9rw7imqcwrk9jczgpamcwhy9qazxbag3-dep.drv'","type":105}
@nix {"action":"result","fields":[0,2,1,0],"id":4,"type":105}
@nix {"action":"result","fields":["\u0001"],"id":9,"type":101}
@nix {"action":"result","fields":["\u001b[31mbroken\u001b[0m"],"id":9,"type":101}
@nix {"action":"result","fields":["again"],"id":9,"type":101}
@nix {"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":"\u001b[31;1merror:\u001b[0m builder for '\u001b[35;1m/nix/store/9rw7imqcwrk9jczgpamcwhy9qazxbag3-dep.drv\u001b[0m' failed with exit code 3;\n       last 2 log lines:\n       > broken\n       > again"}
@nix {"action":"stop","id":9}
@nix {"action":"msg","level":0,"msg":"\u001b[31;1merror:\u001b[0m \u001b[35;1m1\u001b[0m dependencies of derivation '\u001b[35;1m/nix/store/xxpysw25m1pjrz4vwg0xh50sc7hznby2-top.drv\u001b[0m' failed to build"}"#;

    // 2.34.8, shortened to the lines that are read.
    const V34: &str = r#"@nix {"action":"start","fields":["/nix/store/cn43gi7sp0b34y2i4j4lqdkynsh9jj7a-dep-1.0.drv","",1,1],"id":37731287695365,"level":3,"parent":0,"text":"building '/nix/store/cn43gi7sp0b34y2i4j4lqdkynsh9jj7a-dep-1.0.drv'","type":105}
@nix {"action":"result","fields":["broken"],"id":37731287695365,"type":101}
@nix {"action":"result","fields":["again"],"id":37731287695365,"type":101}
@nix {"action":"result","fields":[0,2,0,1],"id":37731287695362,"type":105}
@nix {"action":"stop","id":37731287695365}
@nix {"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":"\u001b[31;1merror:\u001b[0m Cannot build '\u001b[35;1m/nix/store/cn43gi7sp0b34y2i4j4lqdkynsh9jj7a-dep-1.0.drv\u001b[0m'.\n       Reason: \u001b[31;1mbuilder failed with exit code 3\u001b[0m.\n       Output paths:\n         \u001b[35;1m/nix/store/dp9g2ysl7yg9q9nj61dzhn7h067y1sfy-dep-1.0\u001b[0m"}
@nix {"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":"\u001b[31;1merror:\u001b[0m Cannot build '\u001b[35;1m/nix/store/9gzvzzdbyw2d3j90q43lwskqhxhxr05j-top-bad.drv\u001b[0m'.\n       Reason: \u001b[31;1m1 dependency failed\u001b[0m.\n       Output paths:\n         \u001b[35;1m/nix/store/slzhh096iw7lgs0y36kjkm74y4q16pnd-top-bad\u001b[0m"}"#;

    #[test]
    fn follows_a_build_and_names_what_failed() {
        let mut watch = Watch::default();
        let events: Vec<Event> = FAILED.lines().filter_map(|l| watch.line(l)).collect();
        assert_eq!(
            events,
            [
                Event::Building { derivation: "dep".into() },
                Event::BuildLog { line: "broken".into() },
                Event::BuildLog { line: "again".into() }
            ]
        );
        let why = watch.why().unwrap();
        assert_eq!(why.derivation.unwrap().name(), "dep.drv");
        assert_eq!(why.message, "builder failed with exit code 3");
        assert_eq!(why.log, ["broken", "again"]);
    }

    #[test]
    fn reads_the_newest_wording() {
        let mut watch = Watch::default();
        V34.lines().for_each(|l| drop(watch.line(l)));
        let why = watch.why().unwrap();
        assert_eq!(why.derivation.unwrap().name(), "dep-1.0.drv");
        assert_eq!(why.message, "builder failed with exit code 3");
        assert_eq!(why.log, ["broken", "again"]);
        assert_eq!(Watch::default().why(), None);
    }

    #[test]
    fn other_failures_name_the_derivation_too() {
        // The first two read the same in 2.8 and 2.26.
        for (message, name, says) in [
            (
                r"builder for '\u001b[35;1m/nix/store/7b0vp3czzmixaanirh1azjw749lyhvh3-noout.drv\u001b[0m' failed to produce output path for output '\u001b[35;1mout\u001b[0m' at '\u001b[35;1m/nix/store/7rvi6y76x0mgaa4w3c1dq2q66dqnaccy-noout\u001b[0m'",
                "noout.drv",
                "builder failed to produce output path for output 'out' at '/nix/store/7rvi6y76x0mgaa4w3c1dq2q66dqnaccy-noout'",
            ),
            (
                r"a '\u001b[35;1maarch64-linux\u001b[0m' with features {\u001b[35;1m\u001b[0m} is required to build '\u001b[35;1m/nix/store/gmnnkd45xj1lvgb3dxbfhskc7vfmwqz7-foreign.drv\u001b[0m', but I am a '\u001b[35;1mx86_64-linux\u001b[0m' with features {\u001b[35;1mbenchmark\u001b[0m}",
                "foreign.drv",
                "a 'aarch64-linux' with features {} is required to build '/nix/store/gmnnkd45xj1lvgb3dxbfhskc7vfmwqz7-foreign.drv', but I am a 'x86_64-linux' with features {benchmark}",
            ),
            (
                r"Cannot build '\u001b[35;1m/nix/store/gmnnkd45xj1lvgb3dxbfhskc7vfmwqz7-foreign.drv\u001b[0m'.\n       Reason: \u001b[31;1mplatform mismatch\u001b[0m\n       Required system: '\u001b[35;1maarch64-linux\u001b[0m'\n       Current system: '\u001b[35;1mx86_64-linux\u001b[0m'",
                "foreign.drv",
                "platform mismatch Required system: 'aarch64-linux' Current system: 'x86_64-linux'",
            ),
            (
                r"hash mismatch in fixed-output derivation '\u001b[35;1m/nix/store/f0y61qzqgdf10q7s1rqdncz376mxdc9m-fixed.drv\u001b[0m':\n         specified: \u001b[35;1msha256-AAAA=\u001b[0m\n            got:    \u001b[35;1msha256-c8s4=\u001b[0m",
                "fixed.drv",
                "hash mismatch in fixed-output derivation '/nix/store/f0y61qzqgdf10q7s1rqdncz376mxdc9m-fixed.drv': specified: sha256-AAAA= got:    sha256-c8s4=",
            ),
        ] {
            let mut watch = Watch::default();
            watch.line(&format!(
                r#"@nix {{"action":"msg","level":0,"msg":"\u001b[31;1merror:\u001b[0m {message}"}}"#
            ));
            let why = watch.why().unwrap();
            assert_eq!((why.derivation.unwrap().name(), why.message.as_str()), (name, says));
        }
    }

    #[test]
    fn keeps_other_reasons_whole() {
        let message = r#"@nix {"action":"msg","level":0,"msg":"error:\n       … while setting up the build environment\n\n       error: creating directory '/x': File exists"}"#;
        let mut watch = Watch::default();
        assert_eq!(watch.line(message), None);
        assert_eq!(watch.why().unwrap().message, "creating directory '/x': File exists");
        let v8 = "a 'aarch64-linux' with features {} is required to build '/nix/store/x.drv', but I am a 'x86_64-linux' with features {kvm}";
        assert_eq!(reason(v8), v8);
        let v34 = "Cannot build '/nix/store/x.drv'.\n  Reason: platform mismatch\n  Required system: 'aarch64-linux'\n  Current system: 'x86_64-linux'";
        assert_eq!(
            reason(v34),
            "platform mismatch Required system: 'aarch64-linux' Current system: 'x86_64-linux'"
        );
    }

    #[test]
    fn names_derivations_shortly() {
        assert_eq!(short_name("/nix/store/9rw7imqcwrk9jczgpamcwhy9qazxbag3-dep.drv"), "dep");
        assert_eq!(short_name("\u{1b}[1mx.drv"), "x");
    }

    #[test]
    fn what_never_ends_is_not_kept() {
        let mut watch = Watch::default();
        for id in 0..5000 {
            let path = format!("/nix/store/9rw7imqcwrk9jczgpamcwhy9qazxbag3-{id}.drv");
            watch.line(&format!(r#"@nix {{"action":"start","fields":["{path}"],"id":{id},"type":105}}"#));
            watch.line(&format!(r#"@nix {{"action":"result","fields":["x"],"id":{id},"type":101}}"#));
            watch.line(r#"@nix {"action":"msg","level":0,"msg":"error: x"}"#);
            if id < 2000 {
                watch.line(&format!(r#"@nix {{"action":"stop","id":{id}}}"#));
            }
        }
        assert_eq!((watch.running.len(), watch.logs.len(), watch.errors.len()), (1000, 1000, 100));
    }

    proptest! {
        #[test]
        fn never_panics(lines in proptest::collection::vec("(@nix \\{\"action\":\"(start|result|msg)\",\"id\":1,\"type\":10[15],\"level\":0,\"fields\":\\[(\"x\")?\\],\"msg\":\"error:.?\"\\}|(?s:.){0,20})", 0..6)) {
            let mut watch = Watch::default();
            for line in &lines {
                let _ = watch.line(line);
            }
            let _ = watch.why();
        }
    }
}
