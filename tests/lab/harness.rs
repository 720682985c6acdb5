//! A lab for a test: brought up, worked on as its laptop, torn down when it is dropped.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, Once};

use serde_json::Value;

use crate::running::{Output, Running, until};

/// The hypervisor, as users write it.
pub const HYPERVISOR: &str = "root@10.99.0.2";

/// Deadlines with room for a busy machine: only what fails is waited for to the end, and
/// tests of that shorten what they wait for.
pub const DEADLINES: [(&str, &str); 4] = [
    ("DEPLOYVM_DEFAULTS__SETTLE", "1"),
    ("DEPLOYVM_DEFAULTS__BOOT", "60"),
    ("DEPLOYVM_DEFAULTS__WITHIN", "30"),
    ("DEPLOYVM_DEFAULTS__VERDICT", "10"),
];

/// How many labs are up.
static PLACES: (Mutex<u32>, Condvar) = (Mutex::new(0), Condvar::new());
const MOST: u32 = 3;

/// A laptop, a hypervisor, and a flake with microVMs.
pub struct Lab {
    name: String,
    /// Its directory.
    pub dir: PathBuf,
}

fn script(name: &str) -> Command {
    Command::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/lab").join(name))
}

fn run(command: Command) -> Output {
    Running::start(command, false).wait(300)
}

impl Lab {
    /// Brings a lab up, with options of `tests/lab/up`; waits for its turn first.
    pub fn up(options: &[&str]) -> Self {
        static SWEPT: Once = Once::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mut taken = PLACES.0.lock().unwrap_or_else(|e| e.into_inner());
        while *taken >= MOST {
            taken = PLACES.1.wait(taken).unwrap_or_else(|e| e.into_inner());
        }
        *taken += 1;
        drop(taken);
        SWEPT.call_once(|| drop(run(script("sweep"))));
        let name = format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let state = std::env::var("DEPLOYVM_LAB_DIR").unwrap_or("/var/tmp/deployvm-lab".to_owned());
        let lab = Self { dir: PathBuf::from(state).join(&name), name };
        let mut up = script("up");
        up.args(options).arg(&lab.name);
        run(up).expect(0);
        lab
    }

    /// A lab whose VMs are all deployed, and answer.
    pub fn deployed(options: &[&str]) -> Self {
        let lab = Self::up(options);
        lab.push(&[]).expect(0);
        for vm in lab.vms() {
            lab.answers(&vm, &format!("{vm} version 1"));
        }
        lab
    }

    /// The VMs of the flake.
    pub fn vms(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.flake().join("vms")).unwrap();
        let name = |file: std::fs::DirEntry| file.file_name().to_string_lossy().replace(".nix", "");
        let mut vms: Vec<String> = files.map(|file| name(file.unwrap())).collect();
        vms.sort();
        vms
    }

    /// A file of the lab's own source.
    pub fn source(&self, name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/lab").join(name)
    }

    /// The process id, seen from outside, of the hypervisor's init, when it is up.
    pub fn leader(&self) -> Option<u32> {
        let nspawn = std::fs::read_to_string(self.dir.join("hv/nspawn.pid")).ok()?;
        let nspawn = nspawn.trim();
        let children = std::fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// The processes of that name on the laptop.
    pub fn on_laptop(&self, name: &str) -> Vec<String> {
        let mut command = Command::new("ip");
        let namespace = format!("{}-lap", self.name);
        command.args(["netns", "pids", &namespace]);
        let pids = run(command).stdout;
        let is = |pid: &&str| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
        };
        pids.split_whitespace().filter(is).map(str::to_owned).collect()
    }

    /// Ends every process of that name on the laptop. How many there were that had not just ended by themselves.
    pub fn kill_on_laptop(&self, name: &str) -> usize {
        const ALL: &str = "n=0; for pid; do ! kill -s KILL $pid 2>&- || n=$((n + 1)); done; echo $n";
        let all = self.on_laptop(name);
        let pids: Vec<&str> = all.iter().map(String::as_str).collect();
        let killed = self.laptop(&[&["sh", "-c", ALL, "sh"], &pids[..]].concat()).expect(0).stdout;
        killed.trim().parse().unwrap()
    }

    /// The flake's directory.
    pub fn flake(&self) -> PathBuf {
        self.dir.join("home/infra")
    }

    /// A command on the laptop, in the flake's directory; `deployvm` is the one under test.
    pub fn command(&self, argv: &[&str]) -> Command {
        // Where whoever tests ignores SIGHUP (nohup), deployvm would as well.
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP").arg(self.source("laptop"));
        let program = if argv[0] == "deployvm" { env!("CARGO_BIN_EXE_deployvm") } else { argv[0] };
        command.arg(&self.name).arg(program).args(&argv[1..]).current_dir(self.flake());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            // Nor is this a pipeline, wherever the tests run.
            let ci = name == "CI" || name.starts_with("GITHUB_") || name.starts_with("GITLAB_");
            if ci || name.starts_with("DEPLOYVM_") && name != "DEPLOYVM_LAB_DIR" {
                command.env_remove(&*name);
            }
        }
        command.envs(DEADLINES).env("NO_COLOR", "1").env("TERM", "xterm").env("COLUMNS", "200");
        command
    }

    /// Runs it to its end.
    pub fn laptop(&self, argv: &[&str]) -> Output {
        run(self.command(argv))
    }

    /// `deployvm push --yes --json` with more arguments.
    pub fn push(&self, args: &[&str]) -> Pushed {
        self.push_with(args, &[])
    }

    /// The same with variables, such as other deadlines.
    pub fn push_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Pushed {
        Pushed(self.pushing(args, variables).wait(300))
    }

    /// The same, under way.
    pub fn pushing(&self, args: &[&str], variables: &[(&str, &str)]) -> Running {
        let argv = [&["deployvm", "push", "-H", HYPERVISOR, "--yes", "--json"], args].concat();
        let mut command = self.command(&argv);
        command.envs(variables.iter().copied());
        Running::start(command, false)
    }

    /// Changes words of a VM's file, such as `version = "2"; fault = "exit";`, and commits.
    pub fn edit_vm(&self, vm: &str, words: &str) {
        self.change_vm(vm, words);
        self.commit();
    }

    /// The same without the commit.
    pub fn change_vm(&self, vm: &str, words: &str) {
        let path = self.flake().join(format!("vms/{vm}.nix"));
        let old = std::fs::read_to_string(&path).unwrap();
        let mut all = BTreeMap::new();
        for word in old.trim().trim_matches(['{', '}']).split(';').chain(words.split(';')) {
            if let Some((key, value)) = word.split_once('=') {
                all.insert(key.trim(), value.trim());
            }
        }
        let lines: String = all.iter().map(|(key, value)| format!("  {key} = {value};\n")).collect();
        std::fs::write(&path, format!("{{\n{lines}}}\n")).unwrap();
    }

    /// Writes a file of the flake, and adds it to git.
    pub fn write(&self, file: &str, text: &str) {
        std::fs::write(self.flake().join(file), text).unwrap();
        self.laptop(&["git", "add", file]).expect(0);
    }

    /// Commits what has changed.
    pub fn commit(&self) {
        self.laptop(&["git", "commit", "-qam", "A change"]).expect(0);
    }

    /// Runs a shell script in the hypervisor, not by ssh.
    pub fn hv(&self, text: &str) -> Output {
        let mut command = script("hv");
        command.arg(&self.name).args(["sh", "-euc", text]);
        run(command)
    }

    /// One of the lab's own scripts, with the lab's name as its first argument.
    pub fn script(&self, name: &str, args: &[&str]) -> Output {
        let mut command = script(name);
        command.arg(&self.name).args(args);
        run(command)
    }

    /// The end of the hypervisor's journal.
    pub fn journal(&self) -> String {
        let text = "journalctl -q -o short-precise --no-pager -n 60 | grep -v sshd || :";
        format!("the journal of {}'s hypervisor ends with\n{}", self.name, self.hv(text).stdout)
    }

    /// What a guest's web server says to the laptop.
    pub fn http(&self, vm: &str) -> Result<String, String> {
        self.page(vm, "")
    }

    /// One page of it: `boots`, `boot-id`.
    pub fn page(&self, vm: &str, page: &str) -> Result<String, String> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}-lap", self.name));
        command.args(["curl", "-q", "-s", "-S", "-f", "-m", "2", "--noproxy", "*"]);
        command.arg(format!("http://10.{}.0.2/{page}", vm.trim_start_matches("vm")));
        let output = run(command);
        match output.code {
            0 => Ok(output.stdout.trim().to_owned()),
            _ => Err(output.stderr.trim().to_owned()),
        }
    }

    /// The same, until it is there: a busy machine takes its time.
    #[track_caller]
    pub fn reads(&self, vm: &str, page: &str) -> String {
        until(&format!("{vm} has a page {page:?}"), 60, || self.page(vm, page))
    }

    /// Waits until a guest says this.
    #[track_caller]
    pub fn answers(&self, vm: &str, text: &str) {
        until(&format!("{vm} says {text:?}"), 60, || match self.http(vm) {
            Ok(said) if said == text => Ok(()),
            Ok(instead) | Err(instead) => Err(instead),
        });
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.journal());
        }
        let mut down = script("down");
        down.arg(&self.name);
        let gone = run(down);
        *PLACES.0.lock().unwrap_or_else(|e| e.into_inner()) -= 1;
        PLACES.1.notify_one();
        assert!(gone.code == 0 || std::thread::panicking(), "down\n{gone}");
    }
}

/// A push that ended.
pub struct Pushed(pub Output);

impl Pushed {
    /// Panics unless it ended with this exit code, in its summary as well.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.0.code, code, "the exit code of the push\n{}", self.0);
        if let Some(summary) = self.summary() {
            assert_eq!(summary["exit"], code, "the summary's exit code\n{}", self.0);
        }
        self
    }

    fn lines(&self) -> impl DoubleEndedIterator<Item = Value> {
        self.0.stdout.lines().map(|line| {
            serde_json::from_str(line).unwrap_or_else(|e| panic!("this is no JSON ({e}): {line}"))
        })
    }

    /// The last line, when it is a summary.
    pub fn summary(&self) -> Option<Value> {
        self.lines().next_back().filter(|line| line["event"] == "summary")
    }

    /// The lines of an event.
    pub fn events(&self, name: &str) -> Vec<Value> {
        self.lines().filter(|line| line["event"] == name).collect()
    }

    /// What the summary says of a VM.
    #[track_caller]
    pub fn vm(&self, name: &str) -> Value {
        let summary = self.summary().unwrap_or_else(|| panic!("there is no summary\n{}", self.0));
        let vms = summary["vms"].as_array().unwrap();
        let vm = vms.iter().find(|vm| vm["name"] == name);
        vm.unwrap_or_else(|| panic!("{name} is not in the summary\n{}", self.0)).clone()
    }

    /// Panics unless the summary says this of the VM.
    #[track_caller]
    pub fn vm_is(&self, name: &str, result: &str, code: i32) -> Value {
        let vm = self.vm(name);
        assert_eq!((&vm["result"], &vm["exit"]), (&result.into(), &code.into()), "{name}\n{}", self.0);
        vm
    }
}
