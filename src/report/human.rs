//! Progress on a terminal: a bar for each phase at hand, and while VMs are switched
//! one line for each that changes in place. What is finished becomes a line above.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::page::{Page, Tone, columns, harmless};
use super::quantity;
use super::stream::Stream;
use super::summary;
use super::trail::Trail;
use super::wording;
use crate::error::clean_line;
use crate::model::event::Event;
use crate::model::name::VmName;
use crate::model::outcome::{Outcome, Word};

const SPINNER: &str = "{spinner} {prefix} {wide_msg} {elapsed}";
const COUNTED: &str = "{spinner} {prefix} {bar:20} {pos}/{len} {wide_msg} {elapsed}";
const PATHS: &str = "{spinner} {prefix} {wide_bar} {pos}/{len} paths, eta {eta}";
const BYTES: &str =
    "{spinner} {prefix} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} eta {eta}";
/// Often enough to look alive, seldom enough for a slow line.
const TICK: Duration = Duration::from_millis(120);

/// What is on the terminal.
pub(super) struct Human {
    bars: MultiProgress,
    page: Page,
    verbose: u8,
    /// In the order in which they began.
    phases: Vec<Phase>,
    vms: BTreeMap<VmName, (ProgressBar, Trail)>,
    planned: BTreeMap<VmName, usize>,
    spoke: bool,
}

struct Phase {
    name: &'static str,
    bar: ProgressBar,
    /// What is being worked on.
    at_work: Vec<String>,
    /// Said in the line that remains.
    count: u64,
    cached: u64,
    bytes: Option<u64>,
}

impl Human {
    /// Draws on stderr.
    pub fn new(page: Page, verbose: u8) -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(12);
        Self {
            bars: MultiProgress::with_draw_target(target),
            page,
            verbose,
            phases: Vec::new(),
            vms: BTreeMap::new(),
            planned: BTreeMap::new(),
            spoke: false,
        }
    }

    /// So many checks are planned for this VM.
    pub fn expect_checks(&mut self, planned: BTreeMap<VmName, usize>) {
        self.planned = planned;
    }

    /// Takes everything off the terminal; what was at work is shown as done, or not.
    pub fn close(&mut self, well: bool, err: &mut Stream) {
        self.end_phases(|_| true, well, err);
        for (_, (bar, _)) in std::mem::take(&mut self.vms) {
            bar.finish_and_clear();
        }
        // An error here means that the terminal is gone.
        let _ = self.bars.clear();
    }

    /// Whether lines were left above since this was asked last.
    pub fn has_spoken(&mut self) -> bool {
        std::mem::take(&mut self.spoke)
    }

    /// Shows an event.
    pub fn event(&mut self, event: &Event, err: &mut Stream) {
        match event {
            Event::Phase { name, total } => self.begin_phase(name, *total, err),
            Event::PhaseEnded { name, ok } => self.end_phases(|each| each == *name, *ok, err),
            Event::Evaluating { vm } => self.work(|phase| phase.at_work.push(vm.to_string())),
            Event::Evaluated { vm, cached, .. } => self.work(|phase| {
                phase.at_work.retain(|name| name != vm.as_str());
                phase.cached += u64::from(*cached);
                phase.step();
            }),
            Event::Building { derivation } => self.work(|phase| {
                phase.at_work = vec![clean_line(derivation)];
                phase.step();
            }),
            Event::BuildLog { line } => {
                let line = self.page.paint(Tone::Dim, &clean_line(line));
                if self.verbose > 0 {
                    self.above(&line, err);
                }
            }
            Event::Copying { done, total, bytes, total_bytes } => {
                self.work(|phase| phase.copying((*done, *total), (*bytes, *total_bytes)));
            }
            Event::Step { vm, step, detail } => self.grow(vm, |trail| trail.step(step, detail.as_deref())),
            Event::Checked { vm, check } => {
                self.grow(vm, |trail| trail.check(check));
                if !check.ok {
                    let name = self.page.paint(Tone::Strong, vm.as_str());
                    let text = self.page.paint(Tone::Warn, &wording::check(check));
                    self.above(&format!("  {name}  {text}"), err);
                }
            }
            Event::Done { outcome } => self.done(outcome, err),
            Event::Warning { message } => {
                let first = format!("{} ", self.page.paint(Tone::Warn, "warning:"));
                let text = self.page.wrap(&first, &harmless(message), 9);
                self.above(&text, err);
            }
        }
    }

    fn begin_phase(&mut self, name: &'static str, total: Option<u64>, err: &mut Stream) {
        self.end_phases(|each| each == name || !wording::ends_by_itself(each), true, err);
        let bar = self.bars.add(match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::new_spinner(),
        });
        bar.set_style(style(if total.is_some() { COUNTED } else { SPINNER }));
        bar.set_prefix(wording::doing(name));
        bar.enable_steady_tick(TICK);
        self.phases.push(Phase { name, bar, at_work: Vec::new(), count: 0, cached: 0, bytes: None });
    }

    fn end_phases(&mut self, which: impl Fn(&str) -> bool, well: bool, err: &mut Stream) {
        let (ended, others) = std::mem::take(&mut self.phases).into_iter().partition(|p| which(p.name));
        self.phases = others;
        let ended: Vec<Phase> = ended;
        ended.iter().for_each(|phase| self.end_phase(phase, well, err));
    }

    fn end_phase(&mut self, phase: &Phase, well: bool, err: &mut Stream) {
        phase.bar.finish_and_clear();
        // The lines of the VMs have said it all.
        if matches!(phase.name, "switch" | "switch-host") {
            return;
        }
        let took = u64::try_from(phase.bar.elapsed().as_millis()).unwrap_or(u64::MAX);
        let took = self.page.paint(Tone::Dim, &quantity::millis(took));
        let line = if well {
            format!(
                "{} {}{}  {took}",
                self.page.paint(Tone::Good, "✓"),
                wording::done(phase.name),
                phase.said()
            )
        } else {
            format!("{} {}  {took}", self.page.paint(Tone::Bad, "✗"), wording::doing(phase.name))
        };
        self.above(&line, err);
    }

    fn work(&mut self, change: impl FnOnce(&mut Phase)) {
        // There is nothing to be said of connecting on the way.
        if let Some(phase) = self.phases.iter_mut().rfind(|phase| phase.name != "connect") {
            change(phase);
            phase.bar.set_message(phase.at_work.join(", "));
        }
    }

    fn grow(&mut self, vm: &VmName, change: impl FnOnce(&mut Trail)) {
        let (bars, planned) = (&self.bars, self.planned.get(vm).copied().unwrap_or(0));
        let (bar, trail) = self.vms.entry(vm.clone()).or_insert_with(|| {
            let bar = bars.add(ProgressBar::new_spinner());
            bar.set_style(style(SPINNER));
            bar.enable_steady_tick(TICK);
            (bar, Trail::new(planned))
        });
        change(trail);
        bar.set_prefix(self.page.paint(Tone::Strong, vm.as_str()));
        // The spinner before, and the time behind.
        let room = self.page.width.map(|width| width.saturating_sub(columns(vm.as_str()) + 9));
        bar.set_message(trail.text(room));
    }

    fn done(&mut self, outcome: &Outcome, err: &mut Stream) {
        let counts = |phase: &&mut Phase| matches!(phase.name, "switch" | "check");
        if let Some(phase) = self.phases.iter_mut().rfind(counts) {
            phase.step();
        }
        // A VM to which nothing happened is in the summary, and that is enough.
        let Some((bar, mut trail)) = self.vms.remove(&outcome.name) else { return };
        bar.finish_and_clear();
        if trail.is_empty() {
            return;
        }
        let word = match outcome.result {
            Word::Deployed => wording::outcome(outcome).replacen("deployed", "ok", 1),
            _ => wording::outcome(outcome),
        };
        trail.end(word);
        let sign = self.page.paint(summary::tone(outcome.result), wording::sign(outcome.result));
        let name = self.page.paint(Tone::Strong, outcome.name.as_str());
        let room = self.page.width.map(|width| width.saturating_sub(columns(outcome.name.as_str()) + 4));
        self.above(&format!("{sign} {name}  {}", trail.text(room)), err);
    }

    fn above(&mut self, line: &str, err: &mut Stream) {
        self.spoke = true;
        let line = if line.contains('\n') { line.to_owned() } else { self.page.cut(line) };
        self.bars.suspend(|| err.line(&line));
    }
}

impl Phase {
    fn step(&mut self) {
        self.count += 1;
        self.bar.inc(1);
    }

    fn copying(&mut self, paths: (u64, u64), bytes: (Option<u64>, Option<u64>)) {
        self.count = paths.0;
        self.bytes = bytes.0.or(self.bytes);
        let (form, done, total) = match bytes {
            (Some(done), Some(total)) if total > 0 => (BYTES, done, total),
            _ => (PATHS, paths.0, paths.1),
        };
        self.bar.set_style(style(form));
        self.bar.set_length(total.max(done));
        self.bar.set_position(done);
    }

    /// What the line that remains says about how much it was.
    fn said(&self) -> String {
        if self.count == 0 {
            return String::new();
        }
        let cached = match self.cached {
            0 => String::new(),
            cached => format!(", {cached} from the cache"),
        };
        let bytes = self.bytes.map(|bytes| format!(", {}", quantity::bytes(bytes))).unwrap_or_default();
        format!(" {}{cached}{bytes}", wording::counted(self.name, self.count))
    }
}

/// The templates are constants of this file; a mistake in one shows in its test.
fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_spinner()).progress_chars("━╸ ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_can_be_read() {
        for template in [SPINNER, COUNTED, PATHS, BYTES] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
