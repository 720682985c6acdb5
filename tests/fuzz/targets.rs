//! The targets: each reads bytes as the program would read them from elsewhere, and holds
//! what comes out against what its type promises.

use deployvm::cli::args::Global;
use deployvm::cli::settings::Layers;
use deployvm::cli::settings::describe;
use deployvm::error::{clean_line, drives, last_lines};
use deployvm::host::clock;
use deployvm::host::script::Reply;
use deployvm::model::address::Address;
use deployvm::model::event::Event;
use deployvm::model::inventory::Wanted;
use deployvm::model::name::{TransactionId, VmName, Word};
use deployvm::model::settings::{DeployvmOutput, VmSettings};
use deployvm::model::store_path::StorePath;
use deployvm::model::terms::Terms;
use deployvm::plan::state::{Desired, status as status_of};
use deployvm::plan::{checks, diff, flake_file, generations as numbered, version};
use deployvm::report::page::harmless;
use deployvm::tool::journal::{Query, complaint};
use deployvm::tool::nix::{
    build, closure, copy, data, errors, eval, internal_json as log, metadata as locked,
};
use deployvm::tool::{events as lines, observation as looked, systemd};

pub use crate::graph::derivation;
pub use crate::system::system;

use crate::fingerprint;

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Sizes by their order only, so that counting up is nothing new for ever.
pub fn rough(count: usize) -> u32 {
    usize::BITS - count.leading_zeros()
}

fn shown(text: &str) {
    assert!(!text.chars().any(drives), "it could drive a terminal: {text:?}");
}

fn is_plain(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    (1..=64).contains(&text.len()) && text.as_bytes()[0].is_ascii_alphanumeric() && text.bytes().all(plain)
}

pub fn reply(bytes: &[u8]) -> u64 {
    let (whole, followed) = (Reply::parse(bytes), Reply::parse_followed(bytes));
    // The lines are a part of the same answer.
    assert_eq!(whole.is_some(), followed.is_some());
    for reply in whole.iter().chain(&followed) {
        assert!(reply.fields.iter().all(|field| !field.contains('\0')));
        assert!(reply.lines.iter().all(|line| !line.contains('\n')));
        shown(&reply.noise);
    }
    let kind = |r: &Reply| (r.code, rough(r.fields.len()), rough(r.lines.len()), r.noise.is_empty());
    fingerprint((whole.as_ref().map(kind), followed.as_ref().map(kind)))
}

pub fn fields(bytes: &[u8]) -> Vec<String> {
    bytes.split(|b| *b == 0).map(text).collect()
}

pub fn observation(bytes: &[u8]) -> u64 {
    let found = looked::parse(&fields(bytes));
    for (name, vm) in &found.vms {
        assert!(is_plain(name.as_str()));
        assert!(vm.generations.is_sorted_by(|a, b| a.0 < b.0) && vm.pins.is_sorted_by(|a, b| a < b));
        assert_eq!(vm.generations.len(), vm.generation_times.len());
        for path in vm.running.iter().chain(vm.generations.iter().map(|(_, path)| path)) {
            assert!(path.as_str().parse::<StorePath>().is_ok());
        }
    }
    let kind = |vm: &deployvm::model::observed::Found| {
        let links =
            (vm.current_valid, vm.booted_valid, vm.running.is_some(), vm.mem.is_some(), vm.locked.is_some());
        (links, vm.mode as u8, rough(vm.generations.len()), vm.generation.is_some(), rough(vm.pins.len()))
    };
    let vms: Vec<_> = found.vms.values().take(4).map(kind).collect();
    let counts = [
        found.ledger.len(),
        found.open.len(),
        found.closures.len(),
        found.odd_names.len(),
        found.linked.len(),
    ];
    fingerprint((vms, counts.map(rough), rough(found.host.devices.len()), found.host.systemd > 0))
}

pub fn status(bytes: &[u8]) -> u64 {
    let found = looked::parse(&fields(bytes));
    let mut kinds = Vec::new();
    for name in found.vms.keys().take(4) {
        let row = status_of(name, "hv", Desired::Unasked, &found);
        kinds.push(serde_json::to_value(row.state).unwrap().to_string());
    }
    let units = systemd::parse_units(&text(bytes), 1e9);
    assert!(units.keys().all(|name| is_plain(name.as_str())));
    assert!(units.values().all(|unit| unit.stop_timeout > 0));
    assert!(systemd::parse_span(&text(bytes)) > 0);
    fingerprint((kinds, rough(units.len())))
}

pub fn internal_json(bytes: &[u8]) -> u64 {
    let (mut watch, mut progress) = (build::Watch::default(), copy::Progress::default());
    let mut kinds = Vec::new();
    for line in text(bytes).lines() {
        let word = match log::parse(line) {
            Some(log::Line::Message { text, .. }) => {
                text.lines().for_each(shown);
                1
            }
            Some(log::Line::Start { .. }) => 2,
            Some(log::Line::Stop { .. }) => 3,
            Some(log::Line::Result { .. }) => 4,
            None => 0,
        };
        let said = match watch.line(line) {
            Some(Event::Building { derivation }) => {
                shown(&derivation);
                1
            }
            Some(Event::BuildLog { line }) => {
                shown(&line);
                2
            }
            Some(other) => panic!("{other:?}"),
            None => 0,
        };
        let copied = progress.line(line).map(|event| match event {
            Event::Copying { done, total, bytes, .. } => {
                assert!(done <= total);
                (done == total, bytes.is_some())
            }
            other => panic!("{other:?}"),
        });
        kinds.push((word, said, copied));
    }
    kinds.truncate(6);
    let why =
        watch.why().map(|why| (why.derivation.is_some(), rough(why.log.len()), rough(why.message.len())));
    fingerprint((kinds, why, progress.errors().is_empty()))
}

pub fn nix_errors(bytes: &[u8]) -> u64 {
    let message = errors::read(&text(bytes));
    message.text().lines().for_each(shown);
    assert!(message.details.len() <= 21);
    let failure = message.failure("cannot try");
    assert!(failure.output.len() <= 30 && matches!(failure.aftermath.code(), 2 | 10));
    last_lines(&text(bytes), 30).iter().for_each(|line| shown(line));
    shown(&clean_line(&text(bytes)));
    shown(&harmless(&text(bytes)));
    let known = message.known.as_ref().map(std::mem::discriminant);
    fingerprint((known, rough(message.headline.len()), rough(message.details.len())))
}

pub fn inventory(bytes: &[u8]) -> u64 {
    let vm: VmName = "vm1".parse().unwrap();
    let names =
        eval::parse_names(bytes).map(|names| names.iter().filter(|n| n.parse::<VmName>().is_ok()).count());
    let read = eval::parse_configuration(&vm, bytes);
    let kind = match &read {
        Ok(None) => (0, 0, None),
        Ok(Some(wanted)) => (1, rough(wanted.interfaces.len()), Some(sound(wanted))),
        Err(eval::Misread::Settings(_)) => (2, 0, None),
        Err(eval::Misread::Shape(why)) => (3, why.len() as u32 / 8, None),
    };
    fingerprint((names.map(rough).is_ok(), kind))
}

fn sound(wanted: &Wanted) -> (bool, bool, bool) {
    assert!(wanted.taps().all(eval::is_device));
    let settings = wanted.settings.clone().unwrap_or_default();
    let again = Terms::read(&Terms::new(wanted, &settings, &[]).write()).unwrap();
    assert_eq!((&again.wanted, &again.settings), (wanted, &settings));
    let checks = checks::checks(wanted, &settings);
    for failure in checks.iter().flat_map(|_| None).chain(checks.as_ref().err()) {
        let failure: &deployvm::error::Failure = failure;
        assert_eq!(failure.aftermath.code(), 2);
    }
    (wanted.settings.is_some(), checks.is_ok(), wanted.addresses.is_empty())
}

pub fn closures(bytes: &[u8]) -> u64 {
    let text = text(bytes);
    let (before, after) = text.split_once("\n--\n").unwrap_or((&text, ""));
    let (before, after) = (closure::parse_listing(before), closure::parse_listing(after));
    let diff = diff::closure_diff(&before, &after);
    assert!(diff::bytes_to_send(&after, &[&before]) <= after.bytes());
    for change in diff.added.iter().chain(&diff.removed).chain(&diff.changed).chain(&diff.rebuilt) {
        for pair in change.before.windows(2) {
            assert!(version::compare(&pair[0], &pair[1]).is_le());
        }
    }
    let kinds = [&diff.added, &diff.removed, &diff.changed, &diff.rebuilt].map(|list| rough(list.len()));
    fingerprint((kinds, before.bytes() == u64::MAX, build::parse_paths(&text).len() > 1))
}

pub fn ledger(bytes: &[u8]) -> u64 {
    let entries = looked::parse_ledger(&text(bytes));
    for entry in &entries {
        entry.console.iter().for_each(|line| shown(line));
        let written = serde_json::to_string(entry).unwrap();
        assert_eq!(looked::parse_ledger(&written).len(), 1, "{written}");
    }
    let kind = |e: &deployvm::model::ledger::Entry| {
        (
            e.result.is_some(),
            e.generation.is_some(),
            rough(e.checks.len()),
            rough(e.durations.len()),
            rough(e.console.len()),
        )
    };
    fingerprint((rough(entries.len()), entries.iter().take(4).map(kind).collect::<Vec<_>>()))
}

pub fn generations(bytes: &[u8]) -> u64 {
    let found = looked::parse(&fields(bytes));
    let mut kinds = Vec::new();
    for (name, vm) in found.vms.iter().take(4) {
        let list = numbered::list(name, vm, &found.ledger, &Default::default(), clock::rfc3339);
        assert_eq!(list.len(), vm.generations.len());
        for to in [None, Some(0), Some(u64::MAX), vm.generation] {
            let back = numbered::previous(name, vm, &found.ledger, to);
            if let Ok((number, path)) = &back {
                assert!(vm.generations.contains(&(*number, path.clone())));
            }
            kinds.push(back.map_err(|failure| failure.aftermath.code()).map(|_| ()));
        }
    }
    fingerprint(kinds)
}

pub fn settings_file(bytes: &[u8]) -> u64 {
    thread_local! {
        static DIR: tempfile::TempDir = tempfile::tempdir().unwrap();
    }
    let root = DIR.with(|dir| camino::Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap());
    std::fs::write(root.join("deployvm.toml"), bytes).unwrap();
    let layers = Layers::from_parts(&Global::default(), Some(root), []);
    let settled = layers.and_then(|layers| layers.with_flake(None));
    settled_kind(settled)
}

pub fn output(bytes: &[u8]) -> u64 {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else { return 0 };
    let typed = data::typed::<DeployvmOutput>(value.clone(), "deployvm");
    assert!(typed.as_ref().err().is_none_or(|why| why.contains("`deployvm")));
    let layers = Layers::from_parts(&Global::default(), None, []).unwrap();
    let kind = settled_kind(layers.with_flake_value(Some(value)));
    fingerprint((typed.map(|output| (rough(output.vms.len()), rough(output.hypervisors.len()))).ok(), kind))
}

fn settled_kind(settled: deployvm::error::Result<deployvm::cli::settings::Settled>) -> u64 {
    let settled = match settled {
        Ok(settled) => settled,
        Err(failure) => {
            assert_eq!(failure.aftermath.code(), 2, "{failure:?}");
            return fingerprint((
                failure.message.split(' ').take(3).collect::<Vec<_>>(),
                failure.help.is_some(),
            ));
        }
    };
    describe::layers(&settled)
        .table()
        .lines()
        .for_each(|line| assert!(!line.chars().any(char::is_control), "{line:?}"));
    let mut kinds = Vec::new();
    for name in settled.settings.vms.keys().take(3) {
        assert!(is_plain(name.as_str()));
        let vm = settled.vm(name, None).unwrap();
        let target = settled.hypervisor_for(&vm);
        assert!(target.as_ref().err().is_none_or(|failure| failure.aftermath.code() == 2));
        kinds.push((target.is_ok(), rough(vm.checks.map_or(0, |checks| checks.len())), vm.guest.is_some()));
    }
    fingerprint((kinds, settled.hypervisor().is_ok(), rough(settled.settings.hypervisors.len())))
}

pub fn names(bytes: &[u8]) -> u64 {
    let text = text(bytes);
    let vm = text.parse::<VmName>();
    assert!(vm.as_ref().is_ok_and(|name| is_plain(name.as_str()) && name.unit().len() < 90) || vm.is_err());
    let word = text.parse::<Word>();
    assert!(word.as_ref().is_ok_and(|word| is_plain(word.as_str())) || word.is_err());
    let id = text.parse::<TransactionId>();
    let path = text.parse::<StorePath>();
    if let Ok(path) = &path {
        assert!(
            path.hash().len() == 32 && !path.name().is_empty() && !path.name().contains(['/', ' ', '\n'])
        );
        shown(&build::short_name(path.as_str()));
        version::PackageName::of(path.name());
    }
    let address = text.parse::<Address>();
    if let Ok(address) = &address {
        assert_eq!(address.to_string().parse::<Address>().as_ref(), Ok(address));
        if let Address::Ssh { user, host, .. } = address {
            for word in user.iter().chain([host]) {
                assert!(
                    !word.starts_with('-')
                        && !word.contains(|c: char| c.is_whitespace() || "/'\"$`;\\".contains(c))
                );
            }
        }
    }
    let remote = flake_file::of_remote(&text);
    assert!(remote.as_ref().is_none_or(|url| url.bytes().all(|b| b.is_ascii_graphic())));
    let why = |e: &deployvm::model::name::InvalidName| e.why;
    let whys = (vm.as_ref().err().map(why), id.as_ref().err().map(why), path.as_ref().err().map(why));
    fingerprint((whys, address.map(|a| matches!(a, Address::Local)).map_err(|e| e.why), remote.is_some()))
}

pub fn metadata(bytes: &[u8]) -> u64 {
    let Ok(read) = serde_json::from_slice::<locked::Metadata>(bytes) else { return 0 };
    let kind = (read.dirty(), read.commit().is_some(), read.directory().is_some());
    shown(&clean_line(&deployvm::tool::nix::version::parse(&read.url)));
    fingerprint((1, kind))
}

pub fn events(bytes: &[u8]) -> u64 {
    let text = text(bytes);
    let is_word = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let mut kinds = Vec::new();
    for line in text.lines() {
        kinds.push(match lines::parse_line(line) {
            Some(lines::Line::Step(word, detail)) => {
                assert!(is_word(&word));
                (1, detail.is_some())
            }
            Some(lines::Line::Check(index, ok, millis, note)) => {
                let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
                assert!(note.as_deref().is_none_or(|note| note.bytes().all(plain)));
                let vm: VmName = "vm1".parse().unwrap();
                assert!(lines::Line::Check(index, ok, millis, note).event(&vm, &[]).is_none());
                (2, ok)
            }
            None => (0, false),
        });
    }
    kinds.truncate(6);
    let outcome = lines::parse_outcome(&text);
    if let Some(outcome) = &outcome {
        assert!(is_word(&outcome.result));
        assert_eq!(
            outcome.exit == 0,
            ["deployed", "staged", "unchanged", "done"].contains(&outcome.result.as_str())
        );
    }
    fingerprint((kinds, outcome.map(|o| (o.exit, o.generation.is_some(), o.downtime.is_some(), o.shutdown))))
}

pub fn terms(bytes: &[u8]) -> u64 {
    let Some(terms) = Terms::read(&text(bytes)) else { return 0 };
    assert_eq!(Terms::read(&terms.write()).as_ref(), Some(&terms));
    let layers = Layers::from_parts(&Global::default(), None, []).unwrap();
    let settled = layers.with_flake(None).unwrap();
    // As a rollback takes them: through the same gate as what the flake says.
    let settings = settled.vm(&terms.wanted.name, Some(&terms.settings));
    if let Ok(settings) = &settings {
        let user = settings.guest.as_ref().and_then(|guest| guest.user.as_deref()).unwrap_or("root");
        for word in [Some(user), settings.address.as_deref()].into_iter().flatten() {
            assert!(!word.starts_with('-') && !word.contains(|c: char| c.is_whitespace() || c.is_control()));
        }
    }
    fingerprint((settings.is_ok(), terms.settings == VmSettings::default(), rough(terms.taps.len())))
}

pub fn journal(bytes: &[u8]) -> u64 {
    let text = text(bytes);
    let vms = ["vm1", "vm2"].map(|vm| vm.parse::<VmName>().unwrap());
    let query = Query::all_of(&vms);
    let mut kinds = Vec::new();
    for entry in text.lines().filter_map(|line| query.entry(line)) {
        assert!(vms.contains(&entry.vm) && entry.unit.contains(entry.vm.as_str()));
        assert!(entry.speaker.as_deref().is_none_or(is_plain));
        shown(&harmless(&entry.message));
        kinds.push((entry.speaker, rough(entry.message.len()), clock::rfc3339_micros(entry.micros).len()));
    }
    kinds.truncate(6);
    fingerprint((kinds, complaint(&text).is_some()))
}
