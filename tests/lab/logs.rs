//! Journals, consoles, and into guests. What is shown is held against the hypervisor's own
//! journal.

use serde_json::Value;

use crate::harness::{HYPERVISOR, Lab};
use crate::running::{Output, Running, until};

fn deployvm(lab: &Lab, args: &[&str]) -> Output {
    lab.laptop(&[&["deployvm", args[0], "-H", HYPERVISOR], &args[1..]].concat())
}

fn start(lab: &Lab, args: &[&str]) -> Running {
    Running::start(lab.command(&[&["deployvm", args[0], "-H", HYPERVISOR], &args[1..]].concat()), true)
}

/// The objects that were printed.
fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// Waits until guests have said their last.
fn ready(lab: &Lab) {
    for vm in lab.vms() {
        until(&format!("{vm} is ready"), 60, || {
            let said = lab.hv(&format!("journalctl -q -o cat -u microvm@{vm}")).stdout;
            if said.contains(&format!("{vm}: ready")) { Ok(()) } else { Err(said) }
        });
    }
}

#[test]
fn journals_of_all_and_of_some() {
    let lab = Lab::deployed(&[]);
    ready(&lab);
    // All of both, and each line once, in the order of time.
    let all = lines(&deployvm(&lab, &["logs", "-n", "all", "--json"]).expect(0).stdout);
    let times: Vec<&str> = all.iter().map(|line| line["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    for vm in ["vm1", "vm2"] {
        let console = all.iter().filter(|line| line["vm"] == vm && line["speaker"].is_null()).count();
        let journal = lab.hv(&format!("journalctl -q -o cat _SYSTEMD_UNIT=microvm@{vm}.service")).stdout;
        assert_eq!(console, journal.lines().count(), "{vm}: {journal}");
        let has = |unit: String| all.iter().any(|line| line["vm"] == vm && line["unit"] == unit);
        assert!(has(format!("microvm-set-booted@{vm}.service")), "{all:?}");
        let ready = format!("{vm}: ready");
        assert!(all.iter().any(|line| line["message"].as_str().unwrap().trim() == ready), "{all:?}");
    }
    assert!(all.iter().any(|line| line["speaker"] == "systemd"));

    // Chosen ones, in words.
    let text = deployvm(&lab, &["logs", "vm2", "--grep", "vm2: ready$"]).expect(0);
    let line = text.stdout.lines().next().unwrap_or_default();
    assert!(line.ends_with("vm2  vm2: ready") && text.stdout.lines().count() == 1, "{text}");
    let two = deployvm(&lab, &["logs", "--grep", "VM[12]: ready|vm[12]: http", "-n", "2"]).expect(0).stdout;
    assert_eq!(two.lines().count(), 2, "{two}");
    let last = lines(&deployvm(&lab, &["logs", "-n", "3", "--json"]).expect(0).stdout);
    assert_eq!(last, all[all.len() - 3..], "nothing has happened since");
    for nothing in
        [&["--since", "2099-01-01"][..], &["--until", "2020-01-01 12:00"], &["--grep", "no such text"]]
    {
        let said = deployvm(&lab, &[&["logs"], nothing].concat()).expect(0);
        assert_eq!(said.stdout, "", "{nothing:?}");
    }
    let since = deployvm(&lab, &["logs", "--since", "2h", "--json"]).expect(0).stdout;
    assert_eq!(lines(&since), all);
    // What has the same time cannot be parted.
    let cut = (5..times.len()).find(|&at| times[at] > times[at - 1]).unwrap();
    let (before, from) = (times[cut - 1], times[cut]);
    let early = lines(&deployvm(&lab, &["logs", "--until", before, "--json"]).expect(0).stdout);
    let late = lines(&deployvm(&lab, &["logs", "--since", from, "--json"]).expect(0).stdout);
    assert_eq!([early, late].concat(), all);

    // The console alone, as it was.
    let console = deployvm(&lab, &["console", "vm1"]).expect(0).stdout;
    assert!(console.lines().any(|line| line.trim() == "vm1: ready"), "{console}");
    assert!(!console.contains("Started") && !console.contains("vm2:"), "{console}");
    assert!(!console.contains(['\u{1b}', '\r']), "{console:?}");

    // What is not there, and what journalctl does not understand.
    deployvm(&lab, &["logs", "vm3"]).expect(2).says("nearest first: vm1, vm2");
    deployvm(&lab, &["console", "vm3"]).expect(2).says("nearest first: vm1, vm2");
    deployvm(&lab, &["logs", "--grep", "("]).expect(2).says("Bad pattern");
    deployvm(&lab, &["logs", "--since", "$(reboot)"]).expect(2).says("Failed to parse timestamp: $(reboot)");
}

/// A unit of vm1 that says `line 1`, `line 2` and so on, ten a second.
const SPEAKER: &str = r#"
systemd-run -q --collect --unit=install-microvm-vm1 -p SyslogIdentifier=speaker sh -c \
    'i=0; while [ ! -e /srv/enough ]; do i=$((i + 1)); echo "line $i"; sleep 0.1; done; echo "line end"'
"#;

#[test]
fn followed_over_a_lost_line_each_line_comes_once() {
    let lab = Lab::deployed(&["--vms", "1"]);
    let mut following = start(&lab, &["logs", "vm1", "-f", "-n", "0", "--json", "--grep", "^line"]);
    let mut console = start(&lab, &["console", "vm1", "-f", "-n", "1"]);
    until("the console", 60, || if console.stdout().is_empty() { Err(String::new()) } else { Ok(()) });
    until("both follow", 60, || match lab.hv("pgrep -f -c '^journalctl .* -f --no-tail'").stdout {
        count if count.trim() == "2" => Ok(()),
        count => Err(count),
    });
    lab.hv(SPEAKER).expect(0);
    let heard = |running: &Running, text: &str, seconds| {
        until(text, seconds, || match running.said() {
            said if said.contains(text) => Ok(()),
            said => Err(said),
        });
    };
    heard(&following, "line 5\"", 60);
    lab.script("link", &["down"]).expect(0);
    heard(&following, "the connection was lost", 60);
    lab.script("link", &["up"]).expect(0);
    heard(&following, "connected again", 60);
    lab.hv("touch /srv/enough").expect(0);
    heard(&following, "line end", 60);
    assert!(following.goes_on() && console.goes_on());
    following.signal("INT");
    let said = following.wait(60).expect(0);

    let messages: Vec<String> =
        lines(&said.stdout).iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect();
    let journal = lab.hv("journalctl -q -o cat -t speaker").stdout;
    let spoken: Vec<&str> = journal.lines().collect();
    // It may have begun a little after the first.
    assert!(spoken.ends_with(&messages.iter().map(String::as_str).collect::<Vec<_>>()), "{spoken:?}\n{said}");
    assert!(messages.len() + 5 >= spoken.len(), "{spoken:?}\n{said}");

    // A reboot is a lost connection as well: what was said on the way down comes, too.
    let rebooted = start(&lab, &["logs", "vm1", "-f", "-n", "1"]);
    until("a line", 60, || if rebooted.stdout().is_empty() { Err(String::new()) } else { Ok(()) });
    lab.script("reboot", &[]).expect(0);
    until("the guest after the reboot", 60, || match rebooted.stdout() {
        said if said.contains("vm1: ready") => Ok(()),
        said => Err(said),
    });
    rebooted.signal("INT");
    let said = rebooted.wait(60).expect(0).stdout;
    let all = deployvm(&lab, &["logs", "vm1", "-n", "all"]).expect(0).stdout;
    assert!(said.contains("Stopped microvm-set-booted@vm1") && all.ends_with(&said), "{said}\n---\n{all}");

    // The console goes on over a restart of its VM.
    deployvm(&lab, &["restart", "vm1", "--yes"]).expect(0);
    until("the console after the restart", 60, || match console.stdout() {
        said if said.matches("vm1: ready").count() == 3 => Ok(()),
        said => Err(said),
    });
    console.signal("TERM");
    console.wait(60).expect(0);
    // Nobody goes on reading there.
    until("no journalctl is left", 60, || match lab.hv("pidof journalctl || :").stdout {
        none if none.trim().is_empty() => Ok(()),
        some => Err(some),
    });
}

#[test]
fn into_a_guest() {
    let lab = Lab::deployed(&[]);
    let ssh = |args: &[&str]| deployvm(&lab, &[&["ssh"], args].concat());
    let said = ssh(&["vm1", "--", "cat /etc/lab.conf; echo oops >&2; exit 7"]).expect(7);
    assert!(said.stdout.contains("vm1") && said.stderr.contains("oops"), "{said}");
    // What is typed arrives there.
    let mut typing = start(&lab, &["ssh", "vm1", "--", "read", "word;", "echo", "got:$word"]);
    typing.types("hello\n");
    assert_eq!(typing.wait(60).expect(0).stdout, "got:hello\n");
    // A login on a terminal.
    let line = format!("{} ssh -H {HYPERVISOR} vm1", env!("CARGO_BIN_EXE_deployvm"));
    let mut shell = Running::start(lab.command(&["script", "-q", "-e", "-c", &line, "/dev/null"]), true);
    shell.types("tty; echo on $((6 * 7)); exit 9\n");
    let shell = shell.wait(60).expect(9);
    assert!(shell.stdout.contains("/dev/pts/") && shell.stdout.contains("on 42"), "{shell}");

    // Without a route of its own, the laptop gets in through the hypervisor only.
    lab.laptop(&["ip", "route", "del", "10.0.0.0/8"]).expect(0);
    assert_eq!(ssh(&["vm1", "--", "hostname"]).expect(0).code, 0);
    lab.write("deployvm.toml", "[vms.vm1.guest]\nvia = \"laptop\"\n");
    ssh(&["vm1", "--", "true"]).expect(255).says("Network is unreachable");
    lab.laptop(&["ip", "route", "add", "10.0.0.0/8", "via", "10.99.0.2"]).expect(0);
    ssh(&["vm1", "--", "exit 3"]).expect(3);

    // No sshd, no such VM, and not running.
    let said = ssh(&["vm2", "true"]).expect(255);
    said.says("no sshd answers at 10.2.0.2 port 22").says("deployvm console vm2");
    // A command's own 255 is no such thing.
    let said = ssh(&["vm1", "exit 255"]).expect(255);
    assert!(!said.stderr.contains("no sshd"), "{said}");
    ssh(&["vm3"]).expect(2).says("nearest first: vm1, vm2").says("deployvm push vm3");
    deployvm(&lab, &["stop", "vm2", "--yes"]).expect(0).says("vm2  stopped");
    ssh(&["vm2"]).expect(12).says("vm2 is not running");
}
