//! `nix copy` to a hypervisor, and its progress. Nix 2.26 and later tell bytes; 2.8
//! tells only which paths begin and end.

use std::collections::BTreeMap;

use serde_json::Value;

use super::PassThrough;
use super::internal_json::{COPY_PATH, COPY_PATHS, Line, PROGRESS, SET_EXPECTED, parse};
use crate::model::argv::Argv;
use crate::model::event::Event;
use crate::model::name::TransactionId;
use crate::model::store_path::StorePath;

/// What the receiver there carries in its environment: the id of the push.
pub const CARRIES: &str = "DEPLOYVM_PUSH";

/// Copies paths with their closures to `store`, such as `ssh-ng://hv`; what receives them
/// there carries the push's id.
///
/// `ssh_options` become `NIX_SSHOPTS`: no quotes in it, because Nix 2.8 splits it at
/// blanks. A port belongs there too (`-p N`); only 2.34 takes one in the URL. Whether we
/// are trusted there must be known: from others unsigned paths are refused anyway.
pub fn copy<'a>(
    (store, ssh_options): (&str, &str),
    push: &TransactionId,
    trusted: bool,
    pass: &PassThrough,
    paths: impl IntoIterator<Item = &'a StorePath>,
) -> Argv {
    let mut argv = super::nix(["copy"]).args(["--log-format", "internal-json"]);
    if trusted {
        // Local builds carry no signature, and ssh-ng refuses them even from root.
        argv = argv.arg("--no-check-sigs");
    }
    super::options(argv, pass)
        // All versions split it at blanks, and the login shell reads plain words.
        .args(["--to".to_owned(), format!("{store}?remote-program=env%20{CARRIES}%3D{push}%20nix-daemon")])
        .args(paths.into_iter().map(StorePath::as_str))
        .env("NIX_SSHOPTS", ssh_options)
}

/// Copies derivations with everything that building them needs as input, instead of
/// what they make. Nix 2.8, 2.26 and 2.34 read it alike.
pub fn copy_derivations<'a>(
    store: (&str, &str),
    push: &TransactionId,
    trusted: bool,
    pass: &PassThrough,
    derivations: impl IntoIterator<Item = &'a StorePath>,
) -> Argv {
    // The option may follow the paths.
    copy(store, push, trusted, pass, derivations).arg("--derivation")
}

/// Activities at a time, and complaints, that are kept in mind.
const MOST: usize = 10_000;

/// Follows the progress of one `nix copy`.
#[derive(Debug, Default)]
pub struct Progress {
    /// Activities around all copies.
    around: Vec<u64>,
    /// Bytes sent so far and size of the path, by its activity.
    sent: BTreeMap<u64, (u64, u64)>,
    /// Bytes of the paths that are done.
    before: u64,
    done: u64,
    total: u64,
    total_bytes: Option<u64>,
    /// Nix 2.26 and later count done paths themselves.
    counted: bool,
    told_bytes: bool,
    last: Option<Event>,
    /// Messages of level 0, one text each, and the first lines of others: ssh and the
    /// shell on the other side write to stderr, too.
    errors: Vec<String>,
    foreign: usize,
}

/// Lines of others that are kept.
const MOST_FOREIGN: usize = 20;

impl Progress {
    /// Takes one line of stderr; an event when something has changed.
    pub fn line(&mut self, line: &str) -> Option<Event> {
        if !line.starts_with("@nix ") && self.foreign < MOST_FOREIGN {
            self.foreign += 1;
            self.errors.push(line.to_owned());
        }
        match parse(line)? {
            // Nix looks first whether something has to be built: that has such an
            // activity too, without text.
            Line::Start { id, kind: COPY_PATHS, text, .. } if text.starts_with("copying ") => {
                if self.around.len() < MOST {
                    self.around.push(id);
                }
                // `copying 3 paths`
                let count = text.split_ascii_whitespace().find_map(|w| w.parse().ok());
                self.total = self.total.max(count.unwrap_or_default());
            }
            Line::Start { id, kind: COPY_PATH, .. } => {
                if self.sent.len() < MOST {
                    self.sent.insert(id, (0, 0));
                }
            }
            Line::Stop { id } => {
                // Nix 2.26 does not tell the last bytes of a path.
                let (sent, size) = self.sent.remove(&id)?;
                self.before = self.before.saturating_add(sent.max(size));
                if !self.counted {
                    self.done = self.done.saturating_add(1);
                }
            }
            Line::Result { id, kind: PROGRESS, fields } => {
                let number = |at: usize| fields.get(at).and_then(Value::as_u64).unwrap_or_default();
                if let Some(sent) = self.sent.get_mut(&id) {
                    *sent = (number(0), number(1));
                    self.told_bytes = true;
                } else if self.around.contains(&id) {
                    self.counted = true;
                    (self.done, self.total) = (number(0), number(1));
                } else {
                    return None;
                }
            }
            Line::Result { id, kind: SET_EXPECTED, fields } if self.around.contains(&id) => {
                if fields.first().and_then(Value::as_u64) == Some(COPY_PATH) {
                    self.total_bytes = fields.get(1).and_then(Value::as_u64);
                }
            }
            Line::Message { level: 0, text } => {
                if self.errors.len() < MOST {
                    self.errors.push(text);
                }
                return None;
            }
            _ => return None,
        }
        self.changed()
    }

    fn changed(&mut self) -> Option<Event> {
        if self.total == 0 {
            return None;
        }
        let sent = self.sent.values().fold(self.before, |sum, (sent, _)| sum.saturating_add(*sent));
        let event = Event::Copying {
            done: self.done.min(self.total),
            total: self.total,
            bytes: self.told_bytes.then_some(sent),
            total_bytes: self.total_bytes.filter(|_| self.told_bytes),
        };
        let new = self.last.as_ref() != Some(&event);
        self.last = Some(event.clone());
        new.then_some(event)
    }

    /// What Nix and others complained about, in the form that [`super::errors::read`] takes.
    pub fn errors(&self) -> String {
        self.errors.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V8: &str = r#"@nix {"action":"start","id":1,"level":0,"text":"","type":103}
@nix {"action":"result","fields":[0,0,0,0],"id":1,"type":105}
@nix {"action":"stop","id":1}
@nix {"action":"start","id":3,"level":3,"text":"copying 2 paths","type":103}
@nix {"action":"start","fields":["/nix/store/a","local","ssh-ng://hv"],"id":4,"level":3,"text":"copying path","type":100}
@nix {"action":"stop","id":4}
@nix {"action":"start","fields":["/nix/store/b","local","ssh-ng://hv"],"id":5,"level":3,"text":"copying path","type":100}
@nix {"action":"stop","id":5}
@nix {"action":"stop","id":3}"#;

    const V26: &str = r#"@nix {"action":"start","id":3,"level":3,"parent":0,"text":"copying 2 paths","type":103}
@nix {"action":"result","fields":[100,3000],"id":3,"type":106}
@nix {"action":"result","fields":[0,2,1,0],"id":3,"type":105}
@nix {"action":"start","fields":["/nix/store/a","local","ssh-ng://hv"],"id":4,"level":3,"parent":3,"text":"copying path","type":100}
@nix {"action":"result","fields":[1000,2000,0,0],"id":4,"type":105}
@nix {"action":"result","fields":[1993,2000,0,0],"id":4,"type":105}
@nix {"action":"stop","id":4}
@nix {"action":"result","fields":[1,2,0,0],"id":3,"type":105}
@nix {"action":"start","fields":["/nix/store/b","local","ssh-ng://hv"],"id":5,"level":3,"parent":3,"text":"copying path","type":100}
@nix {"action":"result","fields":[1000,1000,0,0],"id":5,"type":105}
@nix {"action":"stop","id":5}
@nix {"action":"result","fields":[2,2,0,0],"id":3,"type":105}
@nix {"action":"stop","id":3}"#;

    fn last(text: &str) -> Event {
        let mut progress = Progress::default();
        text.lines().filter_map(|l| progress.line(l)).last().unwrap()
    }

    #[test]
    fn counts_paths_where_nix_tells_no_bytes() {
        assert_eq!(last(V8), Event::Copying { done: 2, total: 2, bytes: None, total_bytes: None });
    }

    #[test]
    fn counts_bytes_where_nix_tells_them() {
        let end = Event::Copying { done: 2, total: 2, bytes: Some(3000), total_bytes: Some(3000) };
        assert_eq!(last(V26), end);
        let middle: String = V26.lines().take(5).collect::<Vec<_>>().join("\n");
        let half = Event::Copying { done: 0, total: 2, bytes: Some(1000), total_bytes: Some(3000) };
        assert_eq!(last(&middle), half);
    }

    /// 2.34.8, shortened: as 2.26, but for the ids and the activities around.
    #[test]
    fn reads_the_newest_version() {
        let text = r#"@nix {"action":"start","id":137559212556289,"level":0,"parent":0,"text":"","type":102}
@nix {"action":"start","id":137559212556291,"level":0,"parent":0,"text":"","type":103}
@nix {"action":"stop","id":137559212556291}
@nix {"action":"start","id":137559212556293,"level":3,"parent":0,"text":"copying 2 paths","type":103}
@nix {"action":"result","fields":[100,288],"id":137559212556293,"type":106}
@nix {"action":"result","fields":[0,2,1,0],"id":137559212556293,"type":105}
@nix {"action":"start","fields":["/nix/store/9171q905m16s1822003315jp32jdrbsk-lib-1.0","local","ssh-ng://hv"],"id":137559212556294,"level":3,"parent":0,"text":"copying path","type":100}
@nix {"action":"result","fields":[8,120,0,0],"id":137559212556294,"type":105}
@nix {"action":"result","fields":[120,120,0,0],"id":137559212556294,"type":105}
@nix {"action":"stop","id":137559212556294}
@nix {"action":"result","fields":[1,2,1,0],"id":137559212556293,"type":105}
@nix {"action":"start","fields":["/nix/store/mr1kl6crdd7238zfgq3s641zifrkzfv7-top-1.0","local","ssh-ng://hv"],"id":137559212556295,"level":3,"parent":0,"text":"copying path","type":100}
@nix {"action":"result","fields":[168,168,0,0],"id":137559212556295,"type":105}
@nix {"action":"stop","id":137559212556295}"#;
        let end = Event::Copying { done: 1, total: 2, bytes: Some(288), total_bytes: Some(288) };
        assert_eq!(last(text), end);
    }

    #[test]
    fn what_ssh_said_is_kept_beside_what_nix_said() {
        let mut progress = Progress::default();
        progress.line("root@hv: Permission denied (publickey).");
        progress.line(r#"@nix {"action":"msg","level":0,"msg":"\u001b[31;1merror:\u001b[0m cannot open connection to remote store 'ssh-ng://hv': unexpected end-of-file"}"#);
        let why = crate::tool::nix::errors::read(&progress.errors());
        assert_eq!(why.details, ["root@hv: Permission denied (publickey)."]);
    }

    #[test]
    fn says_nothing_when_there_is_nothing_to_copy() {
        let mut progress = Progress::default();
        assert_eq!(
            progress.line(r#"@nix {"action":"start","id":3,"level":3,"text":"copying 0 paths","type":103}"#),
            None
        );
    }

    proptest! {
        #[test]
        fn never_panics(lines in proptest::collection::vec("@nix \\{\"action\":\"(start|stop|result)\",\"id\":[12],\"type\":10[0356],\"text\":\"copying [0-9]{1,20} paths\",\"fields\":\\[(100|18446744073709551615),18446744073709551615\\]\\}", 0..12)) {
            let mut progress = Progress::default();
            for line in &lines {
                let _ = progress.line(line);
            }
        }
    }
}
