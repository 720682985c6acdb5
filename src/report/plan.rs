//! The text of a plan: what `plan` prints, and what `push` prints before it asks.
//! One line per VM says what will be done; what belongs to it stands below.

use super::closure;
use super::page::{Page, Tone, columns, harmless};
use super::quantity;
use super::system;
use crate::error::clean_line;
use crate::model::plan::{How, Move, Plan};

/// Columns that belong to what is said below a VM's line.
const INDENT: usize = 4;
/// Lines of an error that are shown for a VM that cannot be built.
const ERROR_LINES: usize = 12;

/// The whole text, without a newline at its end.
pub fn text(plan: &Plan, page: Page) -> String {
    let widest = plan.moves.iter().map(|m| columns(m.vm.as_str())).max().unwrap_or(0);
    let mut lines = vec![page.wrap("", &headline(plan), 0)];
    for each in &plan.moves {
        lines.push(String::new());
        lines.extend(one(each, widest, page));
    }
    for (vm, error) in &plan.broken {
        lines.push(String::new());
        lines.push(format!(
            "{}  {}",
            page.paint(Tone::Strong, vm.as_str()),
            page.paint(Tone::Bad, "cannot be built")
        ));
        let error = crate::error::last_lines(error, ERROR_LINES);
        lines.extend(error.iter().map(|line| page.wrap("    ", line, INDENT)));
    }
    if let Some(effects) = plan.effects.as_deref().filter(|effects| !effects.is_empty()) {
        lines.push(String::new());
        lines.push("what that does to the microVMs:".to_owned());
        lines.extend(system::effects(effects, page));
    }
    lines.push(String::new());
    lines.extend(closing(plan, page));
    lines.join("\n")
}

/// What a move does, in words.
pub fn how(how: &How) -> String {
    match how {
        How::Keep => "unchanged".to_owned(),
        How::Restart => "restart".to_owned(),
        How::Stage => "stage".to_owned(),
        How::Install => "install and start".to_owned(),
        How::Switch => "switch".to_owned(),
        How::Refuse(why) => format!("refused: {}", harmless(why)),
    }
}

fn headline(plan: &Plan) -> String {
    format!("plan for {}: {}", clean_line(&plan.hypervisor), counts(plan))
}

/// How many VMs it does what with.
pub fn counts(plan: &Plan) -> String {
    let count = |wanted: fn(&How) -> bool, word: &str| {
        let count = plan.moves.iter().filter(|m| wanted(&m.how)).count();
        (count > 0).then(|| format!("{count} {word}"))
    };
    let parts = [
        count(|h| matches!(h, How::Restart), "to restart"),
        count(|h| matches!(h, How::Install), "to install"),
        count(|h| matches!(h, How::Stage), "to stage"),
        count(|h| matches!(h, How::Switch), "to switch"),
        count(|h| matches!(h, How::Keep), "unchanged"),
        count(|h| matches!(h, How::Refuse(_)), "refused"),
        (!plan.broken.is_empty()).then(|| format!("{} broken", plan.broken.len())),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "no microVMs".to_owned() } else { parts.join(", ") }
}

fn one(each: &Move, widest: usize, page: Page) -> Vec<String> {
    let name = page.paint(Tone::Strong, each.vm.as_str());
    let pad = " ".repeat(widest - columns(each.vm.as_str()).min(widest));
    let tone = match each.how {
        How::Keep => Tone::Dim,
        How::Refuse(_) => Tone::Bad,
        How::Install => Tone::Good,
        How::Restart | How::Stage | How::Switch => Tone::Warn,
    };
    let how = how(&each.how);
    if matches!(each.how, How::Refuse(_)) {
        let indent = widest + 2;
        let narrower = Page { width: page.width.map(|width| width.saturating_sub(indent)), ..page };
        let wrapped = narrower.wrap("", &how, 0);
        let lines: Vec<String> = wrapped.lines().map(|line| page.paint(tone, line)).collect();
        let gap = format!("\n{}", " ".repeat(indent));
        let mut all = vec![format!("{name}{pad}  {}", lines.join(&gap))];
        all.extend(each.notes.iter().map(|note| remark("note", note, page)));
        return all;
    }
    let runners = match each.how {
        How::Keep => quantity::short(&each.to),
        _ => quantity::short_move(each.from.as_ref(), &each.to),
    };
    let mut lines = vec![page.cut(&format!("{name}{pad}  {}  {runners}", page.paint(tone, &how)))];
    lines.extend(below(each, page));
    lines
}

fn below(each: &Move, page: Page) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(diff) = &each.diff {
        lines.extend(closure::lines(diff, page, INDENT));
    }
    let size = each.diff.as_ref().filter(|_| each.how != How::Keep).map(closure::size);
    let send = each.bytes_to_send.filter(|_| each.how != How::Keep).map(|bytes| match bytes {
        0 => "nothing to send".to_owned(),
        bytes => format!("at most {} to send", quantity::bytes(bytes)),
    });
    let sizes: Vec<String> = size.into_iter().chain(send).collect();
    if !sizes.is_empty() {
        lines.push(page.wrap("    ", &sizes.join(", "), INDENT));
    }
    for (what, path) in &each.adopt {
        let adopted = format!(
            "what is {} now, {}, becomes a generation first",
            clean_line(what),
            quantity::short(path)
        );
        lines.push(remark("adopts", &adopted, page));
    }
    lines.extend(each.notes.iter().map(|note| remark("note", note, page)));
    lines
}

fn remark(kind: &str, text: &str, page: Page) -> String {
    let first = format!("    {kind}: ");
    let indent = columns(&first);
    page.wrap(&first, &harmless(text), indent)
}

/// Which VMs restart and which do not, what goes over the wire, and warnings.
fn closing(plan: &Plan, page: Page) -> Vec<String> {
    let names = |wanted: fn(&How) -> bool| {
        let chosen = plan.moves.iter().filter(|m| wanted(&m.how)).map(|m| m.vm.as_str());
        chosen.collect::<Vec<_>>().join(", ")
    };
    let mut lines = Vec::new();
    let groups = [
        ("restarts: ", names(|h| matches!(h, How::Restart))),
        ("starts: ", names(|h| matches!(h, How::Install))),
        ("does not restart: ", names(|h| matches!(h, How::Keep | How::Stage | How::Refuse(_)))),
    ];
    // The hypervisor itself never does.
    let groups = groups.into_iter().filter(|_| plan.effects.is_none());
    for (title, names) in groups.filter(|(_, names)| !names.is_empty()) {
        lines.push(page.wrap(title, &names, columns(title)));
    }
    let sends: Vec<u64> =
        plan.moves.iter().filter(|m| m.how != How::Keep).filter_map(|m| m.bytes_to_send).collect();
    if sends.len() > 1 {
        // Paths that several VMs share are counted for each: it stays an upper bound.
        let total = sends.into_iter().fold(0, u64::saturating_add);
        lines.push(format!("at most {} to send in all", quantity::bytes(total)));
    }
    for warning in &plan.warnings {
        let first = format!("{} ", page.paint(Tone::Warn, "warning:"));
        lines.push(page.wrap(&first, &harmless(warning), 9));
    }
    if !plan.broken.is_empty() {
        lines.push(page.paint(Tone::Bad, "nothing is touched while a VM cannot be built"));
    } else if !plan.has_changes() {
        lines.push(match names(|h| matches!(h, How::Refuse(_))) {
            refused if refused.is_empty() => "nothing to do".to_owned(),
            refused => page.wrap("nothing is done: ", &format!("{refused} refused, as said above"), 17),
        });
    }
    lines
}
